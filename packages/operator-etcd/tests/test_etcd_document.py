"""What docs/etcd.md says of rules, causes, actions and parts is what the code says."""

from doc_pages import DocPage, names
from etcd_samples import healthy_survey, look
from operator_etcd.definitions import DEFINITIONS
from operator_etcd.hypotheses import HYPOTHESES
from operator_etcd.invariants import INVARIANTS

PAGE = DocPage("etcd.md")


def test_rules_stand_with_their_grace() -> None:
    told = {row[0].strip("`"): float(row[3]) for row in PAGE.rows("What is broken")}
    assert told == {one.name: one.grace_seconds for one in INVARIANTS}


def test_causes_stand_with_the_rules_that_they_explain() -> None:
    assert PAGE.causes() == {(one.name, rule) for one in HYPOTHESES for rule in one.explains}


def test_actions_stand_with_their_risk() -> None:
    told = {row[0].strip("`"): row[1] for row in PAGE.rows("Actions")}
    assert told == {one.name: one.risk_level.value for one in DEFINITIONS}


def test_every_part_of_a_look_is_told() -> None:
    told = {name for row in PAGE.rows("What a look asks for") for name in names(row[0])}
    assert told == set(look(healthy_survey()).parts)

"""What docs/patroni.md says of rules, causes and actions is what the code says."""

from __future__ import annotations

from doc_pages import DocPage, names
from operator_patroni.definitions import DEFINITIONS
from operator_patroni.hypotheses import HYPOTHESES
from operator_patroni.invariants import INVARIANTS
from operator_patroni.obstacles import SMALLEST

PAGE = DocPage("patroni.md")


def test_rules_stand_with_their_grace() -> None:
    told = {row[0].strip("`"): float(row[3]) for row in PAGE.rows("What is broken")}
    assert told == {one.name: one.grace_seconds for one in INVARIANTS}


def test_causes_stand_with_the_rules_that_they_explain() -> None:
    assert PAGE.causes() == {(one.name, rule) for one in HYPOTHESES for rule in one.explains}


def test_actions_stand_with_their_risk() -> None:
    told = {row[0].strip("`"): row[1] for row in PAGE.rows("Actions")}
    assert told == {one.name: one.risk_level.value for one in DEFINITIONS}


def test_the_settings_that_may_be_changed_are_named() -> None:
    assert set(SMALLEST) <= names(
        PAGE.text.split("`set_config` changes")[1].split("and nothing else")[0]
    )

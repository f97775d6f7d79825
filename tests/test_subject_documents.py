"""What the pages of etcd and Patroni say of rules, causes and actions is what the code says."""

from collections.abc import Sequence
from typing import NamedTuple

import pytest

from doc_pages import DocPage
from operator_core.actions.types import ActionDefinition
from operator_core.monitor.types import Invariant
from operator_core.subject import Hypothesis
from operator_etcd import definitions as etcd_definitions
from operator_etcd import hypotheses as etcd_hypotheses
from operator_etcd import invariants as etcd_invariants
from operator_patroni import definitions as patroni_definitions
from operator_patroni import hypotheses as patroni_hypotheses
from operator_patroni import invariants as patroni_invariants


class Told(NamedTuple):
    """A page, and what it tells."""

    page: DocPage
    rules: Sequence[Invariant]
    causes: Sequence[Hypothesis]
    actions: Sequence[ActionDefinition]


PAGES = [
    Told(
        DocPage("etcd.md"),
        etcd_invariants.INVARIANTS,
        etcd_hypotheses.HYPOTHESES,
        etcd_definitions.DEFINITIONS,
    ),
    Told(
        DocPage("patroni.md"),
        patroni_invariants.INVARIANTS,
        patroni_hypotheses.HYPOTHESES,
        patroni_definitions.DEFINITIONS,
    ),
]
each_page = pytest.mark.parametrize("told", PAGES, ids=["etcd", "patroni"])


@each_page
def test_rules_stand_with_their_grace(told: Told) -> None:
    rows = told.page.rows("What is broken")
    shown = {row[0].strip("`"): float(row[3]) for row in rows}
    assert shown == {one.name: one.grace_seconds for one in told.rules}


@each_page
def test_causes_stand_with_the_rules_that_they_explain(told: Told) -> None:
    explained = {(one.name, rule) for one in told.causes for rule in one.explains}
    assert told.page.causes() == explained


@each_page
def test_actions_stand_with_their_risk(told: Told) -> None:
    shown = {row[0].strip("`"): row[1] for row in told.page.rows("Actions")}
    assert shown == {one.name: one.risk_level.value for one in told.actions}

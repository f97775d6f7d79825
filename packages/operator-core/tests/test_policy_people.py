"""Whose word counts, and when it is enough."""

from datetime import timedelta

import pytest

from operator_core.actions.policy import decide, load
from operator_core.actions.policy.people import (
    Word,
    missing,
    people_of,
    why_not_approve,
    why_not_counted,
)
from operator_core.actions.policy.words import Demand
from policy_kit import NOON, approving, asked, policy

ONE_DBA = '[{ role = "dba" }]'
TWO_DBAS = '[{ role = "dba", count = 2 }]'
DBA_AND_SRE = '[{ role = "dba" }, { role = "sre" }]'

ENOUGH: list[tuple[str, str, list[str], bool]] = [
    (ONE_DBA, "", [], False),
    (ONE_DBA, "", ["alice"], True),
    (ONE_DBA, "", ["carol"], False),
    (TWO_DBAS, "", ["alice"], False),
    (TWO_DBAS, "", ["alice", "alice"], False),
    (TWO_DBAS, "", ["alice", "bob"], True),
    (DBA_AND_SRE, "", ["bob"], False),
    (DBA_AND_SRE, "distinct = false", ["bob"], True),
    (DBA_AND_SRE, "", ["alice", "bob"], True),
    (DBA_AND_SRE, "", ["bob", "carol"], True),
    (DBA_AND_SRE, "", ["alice"], False),
    (DBA_AND_SRE, "distinct = false", ["alice"], False),
    ('[{ role = "ghosts" }]', "", ["alice", "bob", "carol"], False),
    ('[{ role = "ghosts" }]', "distinct = false", ["alice", "bob", "carol"], False),
    ('[{ role = "anybody", count = 2 }]', "", ["zoe", "alice"], True),
    ('[{ role = "anybody", count = 2 }]', "", ["zoe", "agent"], False),
    ('[{ role = "anybody", count = 2 }]', "proposer_may_approve = true", ["zoe", "agent"], True),
    ('[{ role = "anybody" }]', "distinct = false", ["agent"], False),
]


@pytest.mark.parametrize(("approvals", "more", "people", "enough"), ENOUGH)
def test_the_right_people_are_enough(
    approvals: str, more: str, people: list[str], *, enough: bool
) -> None:
    loaded = approving(approvals, more)
    decision = decide(loaded, asked())
    assert (missing(loaded.policy, decision, people, ["agent"]) == ()) is enough


def test_what_is_missing_is_said() -> None:
    loaded = approving(DBA_AND_SRE)
    lack = missing(loaded.policy, decide(loaded, asked()), ["alice"], ["agent"])
    assert people_of(lack) == "1 of sre"
    assert people_of([Demand(role="*", count=2)]) == "2 of anybody"


CLICKS: list[tuple[str, str, str]] = [
    ("alice", ONE_DBA, ""),
    ("bob", ONE_DBA, "has approved it already"),
    ("carol", ONE_DBA, "has none of the roles"),
    ("agent", ONE_DBA, "proposed it"),
    ("alice", '[{ role = "ghosts" }]', "has none of the roles"),
    ("zoe", '[{ role = "anybody" }]', ""),
]


@pytest.mark.parametrize(("person", "approvals", "told"), CLICKS)
def test_a_click_that_cannot_count_is_refused(person: str, approvals: str, told: str) -> None:
    loaded = approving(approvals)
    refused = why_not_approve(loaded.policy, [decide(loaded, asked())], person, ["bob"], ["agent"])
    assert told in refused
    assert bool(told) == bool(refused)


def test_what_is_denied_cannot_be_approved() -> None:
    loaded = load('[[rule]]\nname = "never"\neffect = "deny"')
    refused = why_not_approve(loaded.policy, [decide(loaded, asked())], "alice", [], ["agent"])
    assert "rule 'never'" in refused


def test_a_proposer_may_approve_where_the_policy_says_so() -> None:
    loaded = policy(
        '[[rule]]\nname = "ask"\neffect = "approve"\nproposer_may_approve = true\n'
        'approvals = [{ role = "dba" }]'
    )
    decision = decide(loaded, asked(proposer="alice"))
    assert why_not_approve(loaded.policy, [decision], "alice", [], ["alice"]) == ""
    assert missing(loaded.policy, decision, ["alice"], ["alice"]) == ()


WORD = Word("alice", NOON, NOON + timedelta(hours=1), "policy", "call")
STALE: list[tuple[dict[str, object], str]] = [
    ({}, ""),
    ({"now": NOON + timedelta(hours=1)}, "expired"),
    ({"policy_hash": "other"}, "policy has changed"),
    ({"call": "other"}, "another call"),
]


@pytest.mark.parametrize(("changes", "told"), STALE)
def test_a_stale_word_does_not_count(changes: dict[str, object], told: str) -> None:
    asked_for: dict[str, object] = {"now": NOON, "policy_hash": "policy", "call": "call"}
    refused = why_not_counted(WORD, **(asked_for | changes))  # type: ignore[arg-type]
    assert told in refused
    assert bool(told) == bool(refused)

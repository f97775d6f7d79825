"""What breaks a rule and what does not, on literal clusters."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from operator_core.call_failures import FailureKind
from operator_core.types import Severity
from operator_patroni.invariants import INVARIANTS
from patroni_samples import (
    LEADER,
    MIB,
    NOW,
    SECOND,
    THIRD,
    Seat,
    broken,
    leader,
    look,
    observed,
    survey_of,
    violations,
)

if TYPE_CHECKING:
    from operator_core.monitor.types import Observation

LOST = Seat("pg1", state="stopped", lag="unknown")
LAGS = replace(SECOND, lag=17 * MIB)
UNSEEN = replace(SECOND, more_listed={"replay_lag": 20 * MIB})
DOWN = replace(SECOND, state="start failed", lag="unknown", timeline=None)
UNFED = replace(SECOND, state="running")
SYNC = {"synchronous_mode": "on"}

BROKEN: list[tuple[Observation, list[str]]] = [
    (look(LEADER, SECOND, THIRD), []),
    (look(LEADER), []),
    (look(LOST, SECOND, THIRD), ["no_primary:cluster", "postgres_down:member-pg1"]),
    (
        look(leader(state="start failed"), SECOND, THIRD),
        ["no_primary:cluster", "postgres_down:member-pg1"],
    ),
    (
        look(LEADER, replace(UNFED, own_role="primary"), THIRD),
        ["two_primaries:cluster", "replica_not_streaming:member-pg2"],
    ),
    (
        look(LEADER, replace(SECOND, failure=FailureKind.REFUSED), THIRD),
        ["member_down:member-pg2"],
    ),
    (
        look(LEADER, replace(SECOND, failure=FailureKind.TIMEOUT)),
        ["no_failover_candidate:cluster", "member_down:member-pg2"],
    ),
    (look(LEADER, DOWN, THIRD), ["postgres_down:member-pg2"]),
    (look(LEADER, replace(DOWN, state="crashed"), THIRD), ["postgres_down:member-pg2"]),
    (look(LEADER, replace(DOWN, state="creating replica"), THIRD), []),
    (look(LEADER, replace(DOWN, state="starting"), THIRD), []),
    (look(LEADER, LAGS, THIRD), ["replica_lag:member-pg2"]),
    # It has the log and its readers do not see it yet.
    (look(LEADER, UNSEEN, THIRD), ["replica_lag:member-pg2"]),
    (look(LEADER, replace(SECOND, lag=15 * MIB), THIRD), []),
    (look(LEADER, replace(SECOND, lag="unknown"), THIRD), []),
    (look(LEADER, UNFED, THIRD), ["replica_not_streaming:member-pg2"]),
    (
        look(LEADER, replace(SECOND, state="in archive recovery"), THIRD),
        ["replica_not_streaming:member-pg2"],
    ),
    (
        look(leader(timeline=2), replace(UNFED, timeline=1), replace(THIRD, timeline=2)),
        ["timeline_diverged:member-pg2"],
    ),
    # What streams shows the old number until the first record of the new history.
    (look(leader(timeline=2), SECOND, replace(THIRD, timeline=2)), []),
    (
        look(LEADER, LAGS, replace(THIRD, tags={"nofailover": True})),
        ["no_failover_candidate:cluster", "replica_lag:member-pg2", "tag_left:member-pg3"],
    ),
    (
        look(LEADER, SECOND, THIRD, config=SYNC),
        ["no_failover_candidate:cluster", "sync_standby_missing:cluster"],
    ),
    (look(LEADER, replace(SECOND, role="sync_standby"), THIRD, config=SYNC), []),
    (
        look(LEADER, replace(SECOND, role="quorum_standby"), config={"synchronous_mode": "quorum"}),
        [],
    ),
    (look(LEADER, config=SYNC), []),
    (
        look(LEADER, config=SYNC | {"synchronous_mode_strict": True}),
        ["sync_standby_missing:cluster"],
    ),
    (look(LEADER, SECOND, THIRD, paused=True), ["paused_long:cluster"]),
    (
        look(LEADER, replace(SECOND, pending_restart=True), THIRD),
        ["pending_restart:cluster"],
    ),
    (look(LEADER, SECOND, THIRD, blind=("pg3",)), ["dcs_unreachable:cluster"]),
    (look(LEADER, SECOND, THIRD, blind=("pg1", "pg2", "pg3")), ["dcs_unreachable:cluster"]),
    (look(LEADER, replace(SECOND, tags={"noloadbalance": True}), THIRD), ["tag_left:member-pg2"]),
    (
        look(LEADER, replace(SECOND, tags={"nosync": False, "failover_priority": 2}), THIRD),
        [],
    ),
    (
        look(LEADER, replace(SECOND, more={"watchdog_failed": True}), THIRD),
        ["watchdog_failed:member-pg2"],
    ),
    # A cluster that only follows another one has a leader that takes no writes, on purpose.
    (
        look(
            Seat("pg1", role="standby_leader", state="streaming", own_role="standby_leader"), SECOND
        ),
        [],
    ),
]


@pytest.mark.parametrize(("seen", "keys"), BROKEN)
def test_what_is_broken(seen: Observation, keys: list[str]) -> None:
    assert broken(seen) == keys


def test_what_is_at_work_neither_opens_nor_resolves_a_ticket() -> None:
    [rule] = [one for one in INVARIANTS if one.name == "postgres_down"]
    assert rule.unseen is not None
    for state in ("starting", "creating replica"):
        assert list(rule.unseen(look(LEADER, replace(DOWN, state=state)))) == ["member-pg2"]
    assert list(rule.unseen(look(LEADER, DOWN, THIRD))) == []


AWAY = Seat("pg1", state="stopped", role="replica", lag="unknown", timeline=None)


@pytest.mark.parametrize(
    ("seconds", "more", "is_told"),
    [
        (5.0, {}, False),
        (60.0, {}, False),
        (-3.0, {}, False),  # the clocks of two machines differ
        (61.0, {}, True),
        (-90.0, {}, True),
        (5.0, {"state": "crashed"}, False),
        (5.0, {"state": "start failed"}, True),
        (None, {}, True),
    ],
)
def test_who_led_before_is_given_a_minute_to_be_rewound(
    seconds: float | None, more: dict[str, Any], *, is_told: bool
) -> None:
    at = None if seconds is None else (NOW - timedelta(seconds=seconds)).isoformat()
    [rule] = [one for one in INVARIANTS if one.name == "postgres_down"]
    assert rule.unseen is not None
    for paused in (False, True):
        seen = observed(
            survey_of(
                replace(AWAY, **more),
                leader("pg2", timeline=2),
                replace(THIRD, timeline=2),
                paused=paused,
                history=((1, 25, "no recovery target specified", at, "pg2"),),
            )
        )
        told = "postgres_down:member-pg1" in broken(seen)
        assert told is (is_told or paused)
        assert ("member-pg1" in rule.unseen(seen)) is not told


def test_who_leads_and_is_down_is_told_at_once() -> None:
    history = ((1, 25, "no recovery target specified", NOW.isoformat(), "pg1"),)
    seen = observed(survey_of(LOST, SECOND, THIRD, history=history))
    assert "postgres_down:member-pg1" in broken(seen)


def severity(seen: Observation, invariant: str) -> Severity:
    [found] = [one for one in violations(seen) if one.invariant == invariant]
    return found.severity


def test_what_is_worse_is_told_as_worse() -> None:
    strict = SYNC | {"synchronous_mode_strict": True}
    ahead = replace(UNFED, timeline=3)
    behind = replace(UNFED, timeline=1)
    second = leader(timeline=2)
    everybody = ("pg1", "pg2")
    assert severity(look(LEADER, config=strict), "sync_standby_missing") is Severity.CRITICAL
    assert severity(look(second, ahead), "timeline_diverged") is Severity.CRITICAL
    assert severity(look(second, behind), "timeline_diverged") is Severity.WARNING
    assert severity(look(LEADER, SECOND, blind=everybody), "dcs_unreachable") is Severity.CRITICAL
    assert severity(look(LEADER, SECOND, blind=("pg2",)), "dcs_unreachable") is Severity.WARNING


def test_failsafe_mode_is_told() -> None:
    held = replace(LEADER, more={"failsafe_mode_is_active": True})
    [found] = violations(look(held, blind=("pg1",)))
    assert "Failsafe mode keeps the primary" in found.message
    [found] = violations(look(LEADER, blind=("pg1",)))
    assert "writes stop" in found.message


def test_a_cluster_may_have_another_limit_of_lag() -> None:
    [rule] = [one for one in INVARIANTS if one.name == "replica_lag"]
    assert rule.build is not None
    seen = look(LEADER, replace(SECOND, lag=2 * MIB), THIRD)
    assert list(rule.check(seen)) == []
    assert [one.target for one in rule.build({"lag_bytes": MIB})(seen)] == ["member-pg2"]


def test_a_planned_pause_and_a_restart_are_given_time() -> None:
    grace = {one.name: one.grace_seconds for one in INVARIANTS}
    assert grace["paused_long"] >= 1800
    assert grace["postgres_down"] > 10, "Patroni starts what crashed with its next turn"
    assert grace["no_primary"] <= 10
    assert all(one.clear_seconds > 0 for one in INVARIANTS), "nothing flaps"


def test_a_message_of_one_member_names_it() -> None:
    for one in violations(look(LEADER, LAGS, DOWN)):
        assert one.metrics.get("member", "pg") in one.message

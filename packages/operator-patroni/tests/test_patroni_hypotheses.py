"""Which cause is named for what is seen, and what is recommended, on literal clusters."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from operator_core.agent.grouping import Member, roots
from operator_core.agent.odd_failures import ODD_FAILURES
from operator_core.agent.rules import diagnose
from operator_core.call_failures import FailureKind
from operator_core.monitor.types import Ticket, TicketPhase
from operator_patroni.definitions import DEFINITIONS
from operator_patroni.hypotheses import HYPOTHESES
from operator_patroni.invariants import INVARIANTS
from patroni_samples import LEADER, MIB, NOW, SECOND, THIRD, Seat, leader, look, violations

if TYPE_CHECKING:
    from operator_core.agent.diagnosis import Diagnosis
    from operator_core.monitor.types import Observation
    from operator_core.subject import Hypothesis

LOST = Seat("pg1", state="stopped", lag="unknown", timeline=None)
DOWN = replace(SECOND, state="stopped", lag="unknown", timeline=None)
DAMAGED = replace(DOWN, state="start failed")
UNFED = replace(SECOND, state="running")
LATE = replace(SECOND, lag=20 * MIB)
LATE_TOO = replace(THIRD, lag=20 * MIB)
LEAD2, ON2 = leader(timeline=2), replace(THIRD, timeline=2)
SYNC = {"synchronous_mode": True}
# Its Patroni is gone and the leader still feeds its PostgreSQL.
LEADER_ALONE = replace(LEADER, more={"replication": None})
FEEDING = replace(LEADER, more={"replication": [{"application_name": "pg2", "state": "streaming"}]})
BEHIND = {"receive_lag": 20 * MIB, "replay_lag": 20 * MIB}
RECEIVED = {"receive_lag": 0, "replay_lag": 20 * MIB}


def silent(kind: FailureKind) -> Seat:
    return replace(SECOND, failure=kind)


# What is seen, the rule, the cause, the actions.
CAUSES: list[tuple[Observation, str, str, list[str]]] = [
    (look(FEEDING, silent(FailureKind.REFUSED), THIRD), "member_down", "patroni_stopped", []),
    (look(LEADER, silent(FailureKind.REFUSED), THIRD), "member_down", "member_stopped", []),
    (look(LEADER, silent(FailureKind.TIMEOUT), THIRD), "member_down", "patroni_hangs", []),
    (look(LEADER, silent(FailureKind.UNREACHABLE), THIRD), "member_down", "network_cut", []),
    (
        look(LEADER, silent(FailureKind.REFUSED), THIRD, processes={"pg2": "running"}),
        "member_down",
        "not_listening",
        [],
    ),
    *(
        (look(LEADER, silent(odd.kind), THIRD), "member_down", odd.hypothesis, [])
        for odd in ODD_FAILURES
    ),
    # One that hangs takes no connection either once its queue is full.
    (look(FEEDING, silent(FailureKind.UNREACHABLE), THIRD), "member_down", "patroni_hangs", []),
    (
        look(LEADER, silent(FailureKind.UNREACHABLE), THIRD, processes={"pg2": "frozen"}),
        "member_down",
        "patroni_hangs",
        ["restart_patroni"],
    ),
    (
        look(LEADER, silent(FailureKind.REFUSED), THIRD, processes={"pg2": "stopped"}),
        "member_down",
        "member_stopped",
        ["restart_patroni"],
    ),
    (
        look(FEEDING, silent(FailureKind.REFUSED), THIRD, processes={"pg2": "stopped"}),
        "member_down",
        "patroni_stopped",
        ["restart_patroni"],
    ),
    # A connection that comes about too late says nothing of a process that the supervisor knows.
    *(
        (
            look(feeding, silent(FailureKind.UNREACHABLE), THIRD, processes={"pg2": "stopped"}),
            "member_down",
            cause,
            ["restart_patroni"],
        )
        for feeding, cause in ((FEEDING, "patroni_stopped"), (LEADER, "member_stopped"))
    ),
    (
        look(LEADER, silent(FailureKind.REFUSED), THIRD, processes={"pg2": "unknown"}),
        "member_down",
        "member_stopped",
        [],
    ),
    # The DCS still lists those that are gone as streaming.
    (
        look(
            LEADER_ALONE,
            silent(FailureKind.REFUSED),
            replace(THIRD, failure=FailureKind.REFUSED),
            config=SYNC,
        ),
        "sync_standby_missing",
        "standbys_gone",
        [],
    ),
    (
        look(LEADER, DOWN, THIRD, paused=True),
        "postgres_down",
        "stopped_in_pause",
        ["restart_member"],
    ),
    (
        look(LEADER, DAMAGED, THIRD),
        "postgres_down",
        "replica_data_damaged",
        ["reinitialize_member"],
    ),
    (look(LEADER, replace(DOWN, state="unknown"), THIRD), "postgres_down", "postgres_silent", []),
    (look(leader(state="start failed"), SECOND), "postgres_down", "leader_cannot_start", []),
    (
        look(LEADER, replace(DOWN, state="crashed"), THIRD),
        "postgres_down",
        "crashed",
        ["restart_member"],
    ),
    (
        look(LEAD2, UNFED, ON2),
        "timeline_diverged",
        "left_on_old_timeline",
        ["reinitialize_member"],
    ),
    (look(LEAD2, replace(UNFED, timeline=3), ON2), "timeline_diverged", "ahead_of_leader", []),
    (look(LEADER, UNFED, THIRD), "replica_not_streaming", "feed_broken", []),
    (
        look(LEADER, replace(LATE, more={"xlog": {"paused": True}}, more_listed=RECEIVED), THIRD),
        "replica_lag",
        "replay_paused",
        [],
    ),
    (look(LEADER, replace(LATE, more_listed=RECEIVED), THIRD), "replica_lag", "slow_replay", []),
    (look(LEADER, replace(LATE, more_listed=BEHIND), THIRD), "replica_lag", "slow_feed", []),
    (
        look(LOST, SECOND, THIRD, paused=True),
        "no_primary",
        "paused_without_leader",
        ["resume_cluster"],
    ),
    (look(LOST, SECOND, THIRD), "no_primary", "election_stuck", ["failover"]),
    (look(LOST, LATE, LATE_TOO), "no_primary", "nobody_fit", []),
    (look(leader(state="start failed"), SECOND), "no_primary", "leader_does_not_serve", []),
    (look(LEADER, replace(UNFED, own_role="primary"), THIRD), "two_primaries", "split", []),
    (
        look(LEADER, replace(SECOND, tags={"nofailover": True})),
        "no_failover_candidate",
        "candidates_kept_away",
        [],
    ),
    (look(LEADER, LATE, LATE_TOO), "no_failover_candidate", "candidates_behind", []),
    (look(LEADER, DOWN), "no_failover_candidate", "replicas_gone", []),
    (look(LEADER, UNFED, config=SYNC), "sync_standby_missing", "standbys_gone", []),
    (look(LEADER, SECOND, config=SYNC), "sync_standby_missing", "standbys_unwilling", []),
    (
        look(LEADER, SECOND, THIRD, paused=True),
        "paused_long",
        "pause_forgotten",
        ["resume_cluster"],
    ),
    (
        look(LEADER, replace(SECOND, pending_restart=True), THIRD),
        "pending_restart",
        "setting_changed",
        ["restart_member"],
    ),
    (look(LEADER, SECOND, blind=("pg1", "pg2")), "dcs_unreachable", "dcs_lost", []),
    (look(LEADER, SECOND, blind=("pg2",)), "dcs_unreachable", "members_cut_from_dcs", []),
    (look(LEADER, replace(SECOND, tags={"nosync": True})), "tag_left", "tag_kept", []),
    (
        look(LEADER, replace(SECOND, more={"watchdog_failed": True})),
        "watchdog_failed",
        "watchdog_broken",
        [],
    ),
]


def found(seen: Observation, invariant: str) -> Diagnosis:
    [broken, *_] = [one for one in violations(seen) if one.invariant == invariant]
    return diagnose(broken, seen, HYPOTHESES, now=NOW)


def recommended(diagnosis: Diagnosis) -> list[str]:
    steps = [step for workflow in diagnosis.workflows for step in workflow.actions]
    return [one.action_name for one in [*diagnosis.actions, *steps]]


@pytest.mark.parametrize(("seen", "invariant", "cause", "actions"), CAUSES)
def test_a_cause_is_named_with_its_remedy_or_a_person(
    seen: Observation, invariant: str, cause: str, actions: list[str]
) -> None:
    diagnosis = found(seen, invariant)
    assert diagnosis.hypothesis == cause
    assert recommended(diagnosis) == actions
    assert diagnosis.escalate is not bool(actions)
    assert diagnosis.struck == []


def test_every_cause_is_shown_by_a_case_and_every_rule_has_causes() -> None:
    assert {cause for _, _, cause, _ in CAUSES} == {one.name for one in HYPOTHESES}
    explained = {rule for one in HYPOTHESES for rule in one.explains}
    assert explained == {one.name for one in INVARIANTS}
    assert {name for one in HYPOTHESES for name in one.brings} <= explained


def test_who_ended_in_a_pause_that_leaves_nobody_leading_follows_that() -> None:
    """The end of the pause brings back both: one remedy, and no restart in the middle of it."""
    causes = {one.name: one for one in HYPOTHESES}
    seen = look(LOST, SECOND, THIRD, paused=True)
    leads, stopped = (
        Member(ticket_of(number, seen, rule), found(seen, rule))
        for number, rule in enumerate(("no_primary", "postgres_down"), 1)
    )
    assert stopped.diagnosis.hypothesis == "stopped_in_pause"
    assert roots([leads, stopped], causes) == {2: 1}
    acting = leads.ticket.model_copy(update={"phase": TicketPhase.ACTING})
    assert roots([replace(leads, ticket=acting), stopped], causes) == {2: 1}


def ticket_of(number: int, seen: Observation, rule: str) -> Ticket:
    [broken, *_] = [one for one in violations(seen) if one.invariant == rule]
    return Ticket(
        id=number,
        subject="patroni",
        violation_key=broken.key,
        invariant_name=rule,
        target=broken.target,
        message=broken.message,
        severity=broken.severity,
        first_seen_at=NOW,
        last_seen_at=NOW,
    )


def test_what_is_recommended_is_an_action_of_the_subject() -> None:
    known = {one.name for one in DEFINITIONS}
    assert {name for *_, actions in CAUSES for name in actions} <= known


def test_a_remedy_that_the_rules_refuse_is_for_a_person() -> None:
    # Two take writes: nobody knows whose data are right, so nothing is copied from either.
    split = look(LEADER, replace(THIRD, state="running", own_role="primary"), DAMAGED)
    diagnosis = found(split, "postgres_down")
    assert diagnosis.hypothesis == "replica_data_damaged"
    assert diagnosis.escalate
    assert recommended(diagnosis) == []


def test_between_two_tries_a_start_that_fails_is_known_as_one() -> None:
    [broken] = violations(look(LEADER, DAMAGED, THIRD))
    again = look(LEADER, replace(DAMAGED, state="starting"), THIRD)
    diagnosis = diagnose(broken, again, HYPOTHESES, now=NOW)
    assert diagnosis.hypothesis == "replica_data_damaged"
    assert recommended(diagnosis) == ["reinitialize_member"]


def test_two_primaries_and_a_lost_dcs_get_no_action_at_all() -> None:
    split = look(LEADER, replace(UNFED, own_role="primary"), THIRD, paused=True)
    for seen in (split, look(LEADER, SECOND, blind=("pg1", "pg2"))):
        for one in violations(seen):
            assert recommended(diagnose(one, seen, HYPOTHESES, now=NOW)) == []


def test_settings_are_applied_to_replicas_first_and_to_the_leader_last() -> None:
    waiting = [replace(one, pending_restart=True) for one in (LEADER, SECOND, THIRD)]
    [workflow] = found(look(*waiting), "pending_restart").workflows
    order = [one.parameters["member_name"] for one in workflow.actions]
    assert order == ["pg2", "pg3", "pg1"]


def test_the_candidate_least_behind_takes_over() -> None:
    seen = look(LOST, replace(SECOND, lag=500), replace(THIRD, lag=100))
    [action] = found(seen, "no_primary").actions
    assert action.parameters == {"candidate": "pg3"}


@pytest.mark.parametrize("hypothesis", HYPOTHESES, ids=lambda one: one.name)
def test_a_cause_can_be_weighed_on_any_cluster(hypothesis: Hypothesis) -> None:
    for seen, *_ in CAUSES:
        for one in violations(seen):
            if one.invariant in hypothesis.explains:
                assessment = hypothesis.assess(one, seen)
                assert assessment is None or assessment.supports

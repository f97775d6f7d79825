"""The twin of Patroni: what is safe and what is not, as tables, and what it predicts."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from operator_core.actions.rehearsal import Rehearsal, rehearse
from operator_core.actions.types import ActionRequest
from operator_core.call_failures import FailureKind
from operator_core.subject import has_twin
from operator_patroni.subject import PatroniSubject
from operator_patroni.twin import EFFECTS, twin_of
from patroni_samples import LEADER, MIB, SECOND, THIRD, Seat, leader, look

if TYPE_CHECKING:
    from operator_core.monitor.types import Observation

SYNC = {"synchronous_mode": True}
STRICT = {"synchronous_mode": True, "synchronous_mode_strict": True}
STANDBY = replace(SECOND, role="sync_standby")
LATE = replace(SECOND, lag=2 * MIB)
KEPT = replace(SECOND, tags={"nofailover": True})
STOPPED = replace(SECOND, state="stopped", lag="unknown", timeline=None)
DAMAGED = replace(STOPPED, state="start failed")
SILENT = replace(SECOND, failure=FailureKind.REFUSED)
LOST_LEADER = replace(LEADER, failure=FailureKind.REFUSED)
OLD = replace(SECOND, state="running", timeline=1)
GONE = [replace(one, state="stopped", lag="unknown") for one in (SECOND, THIRD)]
LEAD2 = leader(timeline=2)
ON2 = replace(THIRD, timeline=2)

HEALTHY = look(LEADER, SECOND, THIRD)
ALONE = look(LEADER)
PAIR = look(LEADER, SECOND)
PAIR_STOPPED = look(LEADER, STOPPED)
BOTH_GONE = look(LEADER, *GONE)
LEADERLESS = look(Seat("pg1", state="stopped", lag="unknown"), SECOND, THIRD)
LEADERLESS_LATE = look(Seat("pg1", state="stopped", lag="unknown"), LATE, THIRD)
TWO_PRIMARIES = look(LEADER, replace(SECOND, state="running", own_role="primary"), THIRD)
AHEAD = look(leader(), replace(SECOND, state="running", timeline=3), THIRD)
SYNCED = look(LEADER, STANDBY, THIRD, config=SYNC)
STRICTLY = look(LEADER, STANDBY, THIRD, config=STRICT)
PAUSED = look(LEADER, SECOND, THIRD, paused=True)
COPYING = look(LEADER, replace(STOPPED, state="creating replica"), THIRD)
PENDING = look(LEADER, replace(SECOND, pending_restart=True), THIRD)

Case = tuple["Observation", str, dict[str, Any], str]

UNSAFE: list[Case] = [
    (look(LEADER, LATE, THIRD), "switchover", {"candidate": "pg2"}, "2097152 bytes behind"),
    (look(LEADER, KEPT, THIRD), "switchover", {"candidate": "pg2"}, "nofailover"),
    (
        look(LEADER, replace(SECOND, tags={"failover_priority": 0}), THIRD),
        "switchover",
        {"candidate": "pg2"},
        "nofailover",
    ),
    (look(LEADER, STOPPED, THIRD), "switchover", {"candidate": "pg2"}, "is stopped"),
    (look(LEADER, SILENT, THIRD), "switchover", {"candidate": "pg2"}, "does not answer"),
    (look(LEAD2, OLD, ON2), "switchover", {"candidate": "pg2"}, "timeline 1"),
    (HEALTHY, "switchover", {"candidate": "pg9"}, "no member pg9"),
    (SYNCED, "switchover", {"candidate": "pg3"}, "synchronous standby"),
    (LEADERLESS, "switchover", {"candidate": "pg2"}, "that is a failover"),
    (
        look(LEADER, replace(SECOND, lag="unknown"), THIRD),
        "switchover",
        {"candidate": "pg2"},
        "nobody knows how far",
    ),
    (COPYING, "switchover", {"candidate": "pg2"}, "creating replica"),
    (LEADERLESS_LATE, "failover", {"candidate": "pg2"}, "2097152 bytes behind"),
    (LEADERLESS, "failover", {"candidate": "pg1"}, "is stopped"),
    (LEADERLESS, "failover", {"candidate": "pg9"}, "no member"),
    (HEALTHY, "failover", {"candidate": "pg2"}, "that is a switchover"),
    (BOTH_GONE, "restart_member", {"member_name": "pg1"}, "nobody could take over"),
    (PAIR_STOPPED, "restart_member", {"member_name": "pg1"}, "nobody could take over"),
    (look(LEADER, LATE), "restart_member", {"member_name": "pg1"}, "nobody could take over"),
    (STRICTLY, "restart_member", {"member_name": "pg2"}, "stops all writes"),
    (look(LEADER, SILENT, THIRD), "restart_member", {"member_name": "pg2"}, "does not answer"),
    (COPYING, "restart_member", {"member_name": "pg2"}, "at work already"),
    (HEALTHY, "restart_member", {"member_name": "pg9"}, "no member"),
    (HEALTHY, "reinitialize_member", {"member_name": "pg1"}, "pg1 leads"),
    (PAIR, "reinitialize_member", {"member_name": "pg2"}, "only one that could take over"),
    (
        look(LEADER, SECOND, GONE[1]),
        "reinitialize_member",
        {"member_name": "pg2"},
        "only one that could take over",
    ),
    (LEADERLESS, "reinitialize_member", {"member_name": "pg1"}, "no member takes writes"),
    (AHEAD, "reinitialize_member", {"member_name": "pg2"}, "may be the right ones"),
    (TWO_PRIMARIES, "reinitialize_member", {"member_name": "pg3"}, "whose data are right"),
    (STRICTLY, "reinitialize_member", {"member_name": "pg2"}, "stops all writes"),
    (COPYING, "reinitialize_member", {"member_name": "pg2"}, "at work already"),
    (LEADERLESS, "pause_cluster", {}, "no member takes writes"),
    (TWO_PRIMARIES, "pause_cluster", {}, "two members take writes"),
    (TWO_PRIMARIES, "resume_cluster", {}, "two members take writes"),
    (HEALTHY, "set_config", {"key": "ttl", "value": 25}, "twice retry_timeout"),
    (HEALTHY, "set_config", {"key": "ttl", "value": 10}, "at least 20"),
    (HEALTHY, "set_config", {"key": "loop_wait", "value": 20}, "twice retry_timeout"),
    (HEALTHY, "set_config", {"key": "retry_timeout", "value": 11}, "twice retry_timeout"),
    (
        look(LEADER, LATE, THIRD),
        "set_config",
        {"key": "maximum_lag_on_failover", "value": 4 * MIB},
        "bytes were lost",
    ),
    (HEALTHY, "set_config", {"key": "synchronous_node_count", "value": 3}, "only 2 replicas"),
    (
        look(LEADER, replace(SECOND, lag=1000), replace(THIRD, lag=1000)),
        "set_config",
        {"key": "maximum_lag_on_failover", "value": 10},
        "somebody could take over",
    ),
    (look(LEADER, SILENT, THIRD), "reload_member", {"member_name": "pg2"}, "does not answer"),
]

SAFE: list[tuple[Observation, str, dict[str, Any]]] = [
    (HEALTHY, "switchover", {"candidate": "pg2"}),
    (HEALTHY, "switchover", {"candidate": "pg1"}),
    (PAIR, "switchover", {"candidate": "pg2"}),
    (SYNCED, "switchover", {"candidate": "pg2"}),
    (PAUSED, "switchover", {"candidate": "pg3"}),
    (look(LEADER, LATE, THIRD), "switchover", {"candidate": "pg3"}),
    (look(LEADER, KEPT, THIRD), "switchover", {"candidate": "pg3"}),
    (LEADERLESS, "failover", {"candidate": "pg2"}),
    (LEADERLESS_LATE, "failover", {"candidate": "pg3"}),
    (
        look(Seat("pg1", state="stopped", lag="unknown"), STANDBY, THIRD, config=SYNC),
        "failover",
        {"candidate": "pg2"},
    ),
    (look(LEADER, SILENT, THIRD), "restart_patroni", {"member_name": "pg2"}),
    (look(LOST_LEADER, SECOND, THIRD), "restart_patroni", {"member_name": "pg1"}),
    (HEALTHY, "restart_member", {"member_name": "pg2"}),
    (HEALTHY, "restart_member", {"member_name": "pg1"}),
    (ALONE, "restart_member", {"member_name": "pg1"}),
    (PAIR_STOPPED, "restart_member", {"member_name": "pg2", "only_if_down": True}),
    (BOTH_GONE, "restart_member", {"member_name": "pg1", "only_if_down": True}),
    (PENDING, "restart_member", {"member_name": "pg2", "only_if_pending": True}),
    (SYNCED, "restart_member", {"member_name": "pg2"}),
    (look(LEADER, DAMAGED, THIRD), "reinitialize_member", {"member_name": "pg2"}),
    (look(LEADER, DAMAGED), "reinitialize_member", {"member_name": "pg2"}),
    (look(LEAD2, OLD, ON2), "reinitialize_member", {"member_name": "pg2"}),
    (
        look(LEADER, replace(DAMAGED, state="starting"), THIRD),
        "reinitialize_member",
        {"member_name": "pg2"},
    ),
    (HEALTHY, "reinitialize_member", {"member_name": "pg2"}),
    (HEALTHY, "reload_member", {"member_name": "pg1"}),
    (HEALTHY, "pause_cluster", {}),
    (PAUSED, "pause_cluster", {}),
    (PAUSED, "resume_cluster", {}),
    (HEALTHY, "resume_cluster", {}),
    (HEALTHY, "set_config", {"key": "ttl", "value": 60}),
    (HEALTHY, "set_config", {"key": "loop_wait", "value": 5}),
    (HEALTHY, "set_config", {"key": "maximum_lag_on_failover", "value": 4 * MIB}),
]


def rehearsed(seen: Observation, action: str, given: dict[str, Any]) -> Rehearsal:
    twin = twin_of(seen)
    assert twin is not None
    return rehearse(twin, [ActionRequest(action_name=action, parameters=given)])[0]


@pytest.mark.parametrize(("seen", "action", "given", "why"), UNSAFE)
def test_what_is_unsafe_is_refused(
    seen: Observation, action: str, given: dict[str, Any], why: str
) -> None:
    assert why in "; ".join(rehearsed(seen, action, given).worse)


@pytest.mark.parametrize(("seen", "action", "given"), SAFE)
def test_what_is_safe_passes(seen: Observation, action: str, given: dict[str, Any]) -> None:
    found = rehearsed(seen, action, given)
    assert found.worse == ()
    assert found.blast is not None
    assert all(share is not None and 0 <= share <= 1 for share in found.blast)


def test_a_switchover_pauses_all_writes_and_a_replica_only_its_readers() -> None:
    moved = rehearsed(HEALTHY, "switchover", {"candidate": "pg2"}).blast
    restarted = rehearsed(HEALTHY, "restart_member", {"member_name": "pg2"}).blast
    assert moved is not None
    assert restarted is not None
    assert (moved.leader_share, moved.client_share) == (1.0, 1.0)
    assert (restarted.leader_share, restarted.client_share) == (0.0, 0.3333)
    assert restarted.quorum_share == 0.5


def test_a_repair_holds_better() -> None:
    found = rehearsed(look(LEADER, DAMAGED), "reinitialize_member", {"member_name": "pg2"})
    assert "somebody could take over: holds again" in found.better
    assert {one.path: (one.before, one.after) for one in found.changes} == {"cluster/spare": (0, 1)}


def test_what_a_resume_brings_back_is_told() -> None:
    paused = look(LEADER, STOPPED, paused=True)
    assert "every PostgreSQL runs: holds again" in rehearsed(paused, "resume_cluster", {}).better
    lost = look(Seat("pg1", state="stopped", lag="unknown"), SECOND, paused=True)
    assert "a member takes writes: holds again" in rehearsed(lost, "resume_cluster", {}).better


def test_steps_build_on_each_other() -> None:
    twin = twin_of(PAIR)
    assert twin is not None
    there, back = (
        ActionRequest(action_name="switchover", parameters={"candidate": one})
        for one in ("pg2", "pg1")
    )
    assert rehearse(twin, [there, back, there])[2].worse == ()
    empty = ActionRequest(action_name="reinitialize_member", parameters={"member_name": "pg2"})
    assert "step 2" in rehearse(twin, [there, empty])[1].worse[0]


def test_a_setting_that_changes_is_a_number_of_the_observation() -> None:
    [change] = rehearsed(HEALTHY, "set_config", {"key": "ttl", "value": 60}).changes
    assert (change.path, change.before, change.after) == ("config/ttl", 30, 60)


def test_too_little_seen_is_no_twin() -> None:
    assert twin_of(look(LEADER, SECOND, THIRD, blind=("pg1", "pg2", "pg3"))) is None


def test_every_action_has_a_model() -> None:
    known = {one.name for one in PatroniSubject.__new__(PatroniSubject).get_action_definitions()}
    assert set(EFFECTS) == known


def test_an_action_without_a_model_is_not_known() -> None:
    assert rehearsed(HEALTHY, "unheard_of", {}).blast is None
    assert has_twin(PatroniSubject.__new__(PatroniSubject))

"""The twin of etcd: what is safe and what is not, as tables, and what it predicts."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from etcd_samples import (
    CORRUPT,
    IDS,
    MIB,
    NOSPACE,
    QUOTA,
    failure,
    healthy_survey,
    look,
    observed,
    readings,
    status,
    survey_of,
)
from operator_core.actions.rehearsal import Rehearsal, rehearse
from operator_core.actions.types import ActionRequest
from operator_core.subject import has_twin
from operator_etcd.subject import EtcdSubject
from operator_etcd.twin import EFFECTS, twin_of

if TYPE_CHECKING:
    from operator_core.monitor.types import Observation


def alive(*ids: str, dead: tuple[str, ...] = (), learners: tuple[str, ...] = ()) -> Observation:
    silent = {one: failure(one) for one in dead}
    leader = ids[0]
    known = [status(one, leader=leader) for one in ids]
    return look(survey_of(*known, failures=silent, learners=learners))


def lagging(*, voters: int = 3, dead: tuple[str, ...] = ()) -> Observation:
    """Voters of which 33 lacks so much of the log that it can agree to nothing for long."""
    ids = [str(11 * number) for number in range(1, voters + 1)]
    known = (status(one, raft_index=500 if one == "33" else 10_000) for one in set(ids) - {*dead})
    return look(survey_of(*known, failures={one: failure(one) for one in dead}))


def leaderless() -> Observation:
    seen = survey_of(status("11", leader="0"), failures={one: failure(one) for one in IDS[1:]})
    return look(seen)


def full(size: int = QUOTA) -> Observation:
    sizes = (status(one, size=size if one == "11" else MIB, in_use=MIB) for one in IDS)
    return look(survey_of(*sizes), NOSPACE)


def behind(member_id: str, *, entries: int, learners: tuple[str, ...] = ()) -> Observation:
    """A cluster of four of which one lacks so many of the newest entries."""
    ids = ("11", "22", "33", "44")
    lag = {member_id: entries}
    known = (status(one, raft_index=10_000 - lag.get(one, 0)) for one in ids)
    return look(survey_of(*known, learners=learners))


def corrupt(member_id: str) -> Observation:
    known = (status(one) for one in IDS)
    return look(survey_of(*known), CORRUPT.model_copy(update={"member_id": member_id}))


HEALTHY = look(healthy_survey())
ONE_DOWN = alive("11", "22", dead=("33",))
FIVE = alive("11", "22", "33", "44", "55")
FIVE_ONE_DOWN = alive("11", "22", "33", "44", dead=("55",))
FIVE_TWO_DOWN = alive("11", "22", "33", dead=("44", "55"))
ALONE = alive("11")
WITH_LEARNER = alive("11", "22", "33", "44", learners=("44",))
DEAD_LEARNER = alive("11", "22", "33", dead=("44",), learners=("44",))
PAIR = alive("11", "22")

Case = tuple["Observation", str, dict[str, Any], str]

UNSAFE: list[Case] = [
    (ONE_DOWN, "remove_member", {"member_id": "11"}, "quorum"),
    (ONE_DOWN, "remove_member", {"member_id": "22"}, "quorum"),
    (HEALTHY, "remove_member", {"member_id": "22"}, "a voter may fail"),
    (HEALTHY, "remove_member", {"member_id": "11"}, "a voter may fail"),
    (ALONE, "remove_member", {"member_id": "11"}, "quorum"),
    (PAIR, "remove_member", {"member_id": "77"}, "no member"),
    (FIVE_TWO_DOWN, "remove_member", {"member_id": "11"}, "quorum"),
    (FIVE_ONE_DOWN, "remove_member", {"member_id": "22"}, "a voter may fail"),
    (ONE_DOWN, "defragment", {"member_id": "11"}, "quorum"),
    (ONE_DOWN, "defragment", {"member_id": "22"}, "quorum"),
    (ONE_DOWN, "defragment", {"member_id": "33"}, "does not answer"),
    (FIVE_TWO_DOWN, "defragment", {"member_id": "11"}, "quorum"),
    (PAIR, "defragment", {"member_id": "22"}, "quorum"),
    (ONE_DOWN, "restart_member", {"member_name": "n1"}, "quorum"),
    (ONE_DOWN, "restart_member", {"member_name": "n2"}, "quorum"),
    (PAIR, "restart_member", {"member_name": "n1"}, "quorum"),
    (HEALTHY, "restart_member", {"member_name": "n9"}, "no member"),
    (HEALTHY, "move_leader", {"target_member_id": "99"}, "no member"),
    (ONE_DOWN, "move_leader", {"target_member_id": "33"}, "does not answer"),
    (WITH_LEARNER, "move_leader", {"target_member_id": "44"}, "learner"),
    (leaderless(), "move_leader", {"target_member_id": "11"}, "no leader"),
    (leaderless(), "add_learner", {"peer_url": "http://new:2380"}, "no leader"),
    (leaderless(), "remove_member", {"member_id": "22"}, "no leader"),
    (HEALTHY, "compact", {"revision": 101}, "not been reached"),
    (full(), "disarm_alarm", {"member_id": "11"}, "come back"),
    (DEAD_LEARNER, "promote_member", {"member_id": "44"}, "does not answer"),
    (WITH_LEARNER, "add_learner", {"peer_url": "http://new:2380"}, "learner already"),
    (HEALTHY, "add_learner", {"peer_url": "http://etcd-11:2380"}, "has a vote"),
    (behind("22", entries=6000), "move_leader", {"target_member_id": "22"}, "6000 entries behind"),
    (
        behind("44", entries=9000, learners=("44",)),
        "promote_member",
        {"member_id": "44"},
        "9000 entries behind",
    ),
    (corrupt("22"), "move_leader", {"target_member_id": "22"}, "has raised CORRUPT"),
    (leaderless(), "promote_member", {"member_id": "11"}, "no leader"),
    # A quorum that answers and is none in step.
    (lagging(), "restart_member", {"member_name": "n2"}, "no quorum in step"),
    (lagging(), "restart_member", {"member_name": "n1"}, "no quorum in step"),
    (lagging(), "defragment", {"member_id": "22"}, "no quorum in step"),
    (lagging(), "remove_member", {"member_id": "22"}, "no quorum in step"),
    (lagging(voters=5, dead=("55",)), "restart_member", {"member_name": "n2"}, "in step"),
    (corrupt("22"), "restart_member", {"member_name": "n3"}, "has raised CORRUPT"),
    (corrupt("22"), "defragment", {"member_id": "11"}, "has raised CORRUPT"),
    (
        alive("11", "22", "33", dead=("44",)),
        "remove_member",
        {"member_id": "22"},
        "n4 does not answer",
    ),
    (leaderless(), "defragment", {"member_id": "22"}, "does not answer"),
    (leaderless(), "compact", {"keep_revisions": 1}, "no leader"),
    (leaderless(), "disarm_alarm", {"member_id": "11"}, "no leader"),
    (ALONE, "move_leader", {"target_member_id": "22"}, "no member"),
    (HEALTHY, "defragment", {"member_id": "0"}, "no member"),
    (HEALTHY, "remove_member", {"member_id": str(2**63)}, "no member"),
    (HEALTHY, "promote_member", {"member_id": "99"}, "no member"),
    (HEALTHY, "disarm_alarm", {"member_id": "99"}, "no member"),
]

SAFE: list[tuple[Observation, str, dict[str, Any]]] = [
    (HEALTHY, "move_leader", {"target_member_id": "22"}),
    (HEALTHY, "move_leader", {"target_member_id": "11"}),
    (ONE_DOWN, "move_leader", {"target_member_id": "22"}),
    (HEALTHY, "compact", {"keep_revisions": 10}),
    (ONE_DOWN, "compact", {"revision": 50}),
    (HEALTHY, "defragment", {"member_id": "22"}),
    (HEALTHY, "defragment", {"member_id": "11"}),
    (ALONE, "defragment", {"member_id": "11"}),
    (FIVE_ONE_DOWN, "defragment", {"member_id": "22"}),
    (full(MIB), "disarm_alarm", {"member_id": "11"}),
    (full(), "compact", {"keep_revisions": 10}),
    (full(), "defragment", {"member_id": "11"}),
    (HEALTHY, "add_learner", {"peer_url": "http://new:2380"}),
    (ONE_DOWN, "add_learner", {"peer_url": "http://new:2380"}),
    (WITH_LEARNER, "promote_member", {"member_id": "44"}),
    (WITH_LEARNER, "remove_member", {"member_id": "44"}),
    (DEAD_LEARNER, "remove_member", {"member_id": "44"}),
    (ONE_DOWN, "remove_member", {"member_id": "33"}),
    (FIVE, "remove_member", {"member_id": "22"}),
    (FIVE_ONE_DOWN, "remove_member", {"member_id": "55"}),
    (HEALTHY, "restart_member", {"member_name": "n2"}),
    (ONE_DOWN, "restart_member", {"member_name": "n3"}),
    (ONE_DOWN, "restart_member", {"member_name": "n1", "only_if_down": True}),
    (ALONE, "restart_member", {"member_name": "n1"}),
    (leaderless(), "restart_member", {"member_name": "n2"}),
    (behind("22", entries=100), "move_leader", {"target_member_id": "22"}),
    (behind("22", entries=6000), "move_leader", {"target_member_id": "33"}),
    (behind("44", entries=10, learners=("44",)), "promote_member", {"member_id": "44"}),
    (corrupt("22"), "move_leader", {"target_member_id": "33"}),
    (corrupt("22"), "restart_member", {"member_name": "n2"}),
    (lagging(), "restart_member", {"member_name": "n3"}),
    (lagging(voters=5), "restart_member", {"member_name": "n2"}),
    (FIVE_TWO_DOWN, "restart_member", {"member_name": "n5"}),
    (FIVE_TWO_DOWN, "remove_member", {"member_id": "55"}),
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


def test_the_same_restart_is_larger_where_less_can_fail() -> None:
    few, many = (rehearsed(one, "defragment", {"member_id": "22"}) for one in (HEALTHY, FIVE))
    assert few.blast is not None
    assert many.blast is not None
    assert few.blast.quorum_share == 1.0
    assert many.blast.quorum_share == 0.5


def test_numbers_stand_where_a_look_shows_them() -> None:
    changes = rehearsed(FIVE, "remove_member", {"member_id": "22"}).changes
    assert {one.path: (one.before, one.after) for one in changes} == {
        "cluster/member_count": (5, 4),
        "cluster/voter_count": (5, 4),
        "cluster/healthy_voters": (5, 4),
        "cluster/spare": (2, 1),
    }


def test_steps_build_on_each_other() -> None:
    twin = twin_of(FIVE)
    assert twin is not None
    steps = [
        ActionRequest(action_name="remove_member", parameters={"member_id": one})
        for one in ("22", "33", "44")
    ]
    assert rehearse(twin, steps[:1])[0].worse == ()
    worse = rehearse(twin, steps)[0].worse
    assert worse[0].startswith("step 3 (remove_member): a voter may fail")


def test_a_compaction_frees_what_a_defragmentation_gives_back() -> None:
    twin = twin_of(look(healthy_survey(), keys=9))
    assert twin is not None
    steps = [
        ActionRequest(action_name="compact", parameters={"keep_revisions": 0}),
        ActionRequest(action_name="defragment", parameters={"member_id": "22"}),
    ]
    [change] = rehearse(twin, steps)[1].changes
    assert change.path == "status/22/db_size_bytes"
    assert change.after is not None
    # 90 of 99 revisions are superseded.
    assert change.after / MIB == pytest.approx(9 / 99, abs=0.001)
    assert rehearse(twin, steps[1:])[0].changes == ()


def test_too_little_seen_is_no_twin() -> None:
    read = replace(readings(healthy_survey()), keys=None, keys_error="no answer")
    assert twin_of(observed(read)) is None


def test_every_action_has_a_model() -> None:
    known = {one.name for one in EtcdSubject.__new__(EtcdSubject).get_action_definitions()}
    assert set(EFFECTS) == known


def test_an_action_without_a_model_is_not_known() -> None:
    assert rehearsed(HEALTHY, "unheard_of", {}).blast is None
    assert has_twin(EtcdSubject.__new__(EtcdSubject))

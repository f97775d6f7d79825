"""What an action checks itself, because PD does not."""

from typing import Any

import pytest

from operator_core.errors import ActionFailedError, ActionRefusedError, SubjectError
from operator_tikv import facts, preflight, preflight_regions
from operator_tikv.pd.operators import OperatorStatus
from operator_tikv.pd.types import ScheduleConfig, StoreInfo
from operator_tikv.simulator.scenario import build, read_scenario
from operator_tikv.view import View, look
from tikv_cases import RULE, make_stage
from tikv_support import NOW, make_region, make_store, simulated_subject

TIFLASH = [{"key": "engine", "value": "tiflash"}]


def view(
    *stores: StoreInfo,
    evicted: tuple[int, ...] = (),
    config: dict[str, Any] | None = None,
    **more: Any,  # noqa: ANN401 - any field of a view
) -> View:
    known = stores or tuple(make_store(number) for number in range(1, 5))
    return View(
        stores={store.id: store for store in known},
        healthy=facts.cluster_facts(known, NOW, evicted)["healthy_store_ids"],
        evicted=evicted,
        config=ScheduleConfig.model_validate(config or {}),
        **{"schedulers": ["balance-leader-scheduler"], "paused": [], **more},
    )


def test_a_store_of_a_healthy_cluster_may_be_drained() -> None:
    assert preflight.check_drain(view(), 4) == 20


@pytest.mark.parametrize(
    ("seen", "store_id", "expected"),
    [
        (view(), 9, ActionRefusedError),
        (view(evicted=(2,)), 4, ActionFailedError),
        (view(config={"leader-schedule-limit": 0}), 4, ActionFailedError),
        (view(config={"halt-scheduling": "true"}), 4, ActionFailedError),
        # Two stores that PD would count, and that cannot lead anything.
        (
            view(
                make_store(1),
                make_store(2, meta_state_name="Down", age_seconds=3000),
                make_store(3, meta_labels=TIFLASH),
                make_store(4),
            ),
            4,
            ActionFailedError,
        ),
        (view(make_store(1), make_store(3, meta_labels=TIFLASH)), 3, ActionRefusedError),
    ],
)
def test_an_unsafe_drain_is_refused(
    seen: View, store_id: int, expected: type[SubjectError]
) -> None:
    with pytest.raises(expected):
        preflight.check_drain(seen, store_id)


def test_a_store_that_is_evicted_already_may_be_drained_again() -> None:
    assert preflight.check_drain(view(evicted=(4,)), 4) == 20


LEARNER = {"id": 9, "store_id": 2, "role": 1, "role_name": "Learner", "is_learner": True}
PEER_ON_2 = {"id": 1002, "store_id": 2, "role_name": "Voter"}


@pytest.mark.parametrize(
    ("seen", "more", "status", "expected"),
    [
        (view(), {"peers": [LEARNER]}, OperatorStatus.NONE, ActionRefusedError),
        (view(), {"peers": []}, OperatorStatus.NONE, ActionRefusedError),
        (
            view(),
            {"peers": [{**PEER_ON_2, "is_witness": True}]},
            OperatorStatus.NONE,
            ActionRefusedError,
        ),
        (view(make_store(1)), {}, OperatorStatus.NONE, ActionRefusedError),
        (view(), {"pending_peers": [PEER_ON_2]}, OperatorStatus.NONE, ActionFailedError),
        (view(), {"down_peers": [{"peer": PEER_ON_2}]}, OperatorStatus.NONE, ActionFailedError),
        (view(), {}, OperatorStatus.RUNNING, ActionFailedError),
        (view(evicted=(2,)), {}, OperatorStatus.NONE, ActionFailedError),
        (view(make_store(2, slow_score=90)), {}, OperatorStatus.NONE, ActionFailedError),
        (view(make_store(2, is_busy=True)), {}, OperatorStatus.NONE, ActionFailedError),
        (view(make_store(2, age_seconds=25)), {}, OperatorStatus.NONE, ActionFailedError),
    ],
)
def test_a_leader_transfer_that_cannot_work_is_refused(
    seen: View,
    more: dict[str, Any],
    status: OperatorStatus,
    expected: type[SubjectError],
) -> None:
    region = make_region(10, [1, 2, 3], leader=1, **more)
    with pytest.raises(expected):
        preflight_regions.check_leader_transfer(seen, region, 2, status)


def test_a_leader_transfer_to_a_healthy_voter_is_allowed() -> None:
    region = make_region(10, [1, 2, 3], leader=1)
    preflight_regions.check_leader_transfer(view(), region, 2, OperatorStatus.SUCCESS)


FULL = make_store(4, available="20GiB")


@pytest.mark.parametrize(
    ("seen", "source", "target", "more", "expected"),
    [
        (view(), 4, 1, {}, ActionRefusedError),
        (view(), 1, 2, {}, ActionRefusedError),
        (view(), 1, 9, {}, ActionRefusedError),
        (view(make_store(1), FULL), 1, 4, {"approximate_size": 1}, ActionFailedError),
        (view(), 1, 4, {"down_peers": [{"peer": PEER_ON_2}]}, ActionFailedError),
        (view(make_store(4, age_seconds=400)), 1, 4, {}, ActionFailedError),
    ],
)
def test_an_unsafe_move_of_a_replica_is_refused(
    seen: View,
    source: int,
    target: int,
    more: dict[str, Any],
    expected: type[SubjectError],
) -> None:
    region = make_region(10, [1, 2, 3], leader=1, **more)
    with pytest.raises(expected):
        preflight_regions.check_peer_transfer(seen, region, source, target, OperatorStatus.NONE)


def test_a_down_replica_itself_may_be_moved_away() -> None:
    region = make_region(10, [1, 2, 3], leader=1, down_peers=[{"peer": PEER_ON_2}])
    preflight_regions.check_peer_transfer(view(), region, 2, 4, OperatorStatus.NONE)


# --- a store that looks well and is not ---------------------------------------------------


def five(**second: Any) -> tuple[StoreInfo, ...]:  # noqa: ANN401 - any key of PD
    """Five stores, of which the second is as it is told."""
    return tuple(make_store(number, **(second if number == 2 else {})) for number in range(1, 6))


CUT_OFF = five(leader_count=0)


@pytest.mark.parametrize("store_id", [1, 2])
def test_while_a_store_leads_nothing_for_no_reason_none_is_deleted(store_id: int) -> None:
    with pytest.raises(ActionFailedError, match="leads no region"):
        preflight.check_delete(view(*CUT_OFF), store_id)


def test_nor_is_another_one_drained_but_that_one_may_be() -> None:
    with pytest.raises(ActionFailedError, match="leads no region"):
        preflight.check_drain(view(*CUT_OFF), 1)
    assert preflight.check_drain(view(*CUT_OFF), 2) == 0


@pytest.mark.parametrize(
    "seen",
    [
        view(*five()),
        view(*CUT_OFF, evicted=(2,)),
        view(*five(leader_count=0, leader_weight=0)),
        view(*five(leader_count=0, region_count=2)),
        view(*CUT_OFF, leaders_are_placed=True),
        view(*CUT_OFF, schedulers=["grant-leader-scheduler"]),
        view(*(make_store(number, leader_count=0) for number in range(1, 6))),
        view(*five(leader_count=0, meta_labels=TIFLASH)),
    ],
    ids=["leads", "drained", "weight", "new", "placed", "granted", "idle", "tiflash"],
)
def test_a_store_with_a_reason_to_lead_nothing_holds_up_nobody(seen: View) -> None:
    preflight.check_leading(seen)


@pytest.mark.parametrize("check", [preflight.check_drain, preflight.check_delete])
def test_while_a_store_is_slow_no_other_one_is_touched(check: Any) -> None:  # noqa: ANN401 - a check
    slow = view(*five(slow_score=100))
    with pytest.raises(ActionFailedError, match="Store 2 is slow"):
        check(slow, 1)
    check(slow, 2)


def test_a_store_that_pd_emptied_because_it_was_slow_counts_until_it_leads_again() -> None:
    with pytest.raises(ActionFailedError, match="leads no region"):
        preflight.check_drain(view(*five(leader_count=0, slow_score=1)), 1)


async def test_peers_that_are_cut_off_are_noticed_before_pd_lists_them() -> None:
    fault = {"at": "60s", "fault": "partition", "stores": [2], "from": "peers"}
    table = {"name": "cut", "cluster": {"stores": 4, "regions": 60}, "faults": [fault]}
    cluster = build(read_scenario({**table, "duration": "10m"}))
    subject = simulated_subject(cluster)
    cluster.advance_to(50)
    preflight.check_leading(await look(subject._api))
    cluster.advance_to(120)
    seen = await look(subject._api)
    assert seen.troubles == []
    assert seen.leaderless == [2]
    with pytest.raises(ActionFailedError, match="Store 2 looks well"):
        await subject.delete_store(store_id=1)


@pytest.mark.parametrize(("role", "placed"), [("voter", False), ("follower", True)])
async def test_where_rules_place_leaders_a_store_without_any_is_meant(
    role: str, *, placed: bool
) -> None:
    stage = make_stage()
    rule = {**RULE, "role": role, "count": 1}
    await stage.send("POST", "/config/rule", rule)
    assert (await look(stage.subject._api)).leaders_are_placed is placed

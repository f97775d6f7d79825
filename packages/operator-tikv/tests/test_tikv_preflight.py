"""What an action checks itself, because PD does not."""

from typing import Any

import pytest

from operator_core.errors import ActionFailedError, ActionRefusedError, SubjectError
from operator_tikv import facts, preflight
from operator_tikv.pd.operators import OperatorStatus
from operator_tikv.pd.types import ScheduleConfig, StoreInfo
from operator_tikv.view import View
from tikv_support import NOW, make_region, make_store

TIFLASH = [{"key": "engine", "value": "tiflash"}]


def view(
    *stores: StoreInfo, evicted: tuple[int, ...] = (), config: dict[str, Any] | None = None
) -> View:
    known = stores or tuple(make_store(number) for number in range(1, 5))
    return View(
        stores={store.id: store for store in known},
        healthy=facts.cluster_facts(known, NOW, evicted)["healthy_store_ids"],
        evicted=evicted,
        schedulers=["balance-leader-scheduler"],
        paused=[],
        config=ScheduleConfig.model_validate(config or {}),
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
        preflight.check_leader_transfer(seen, region, 2, status)


def test_a_leader_transfer_to_a_healthy_voter_is_allowed() -> None:
    region = make_region(10, [1, 2, 3], leader=1)
    preflight.check_leader_transfer(view(), region, 2, OperatorStatus.SUCCESS)


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
        preflight.check_peer_transfer(seen, region, source, target, OperatorStatus.NONE)


def test_a_down_replica_itself_may_be_moved_away() -> None:
    region = make_region(10, [1, 2, 3], leader=1, down_peers=[{"peer": PEER_ON_2}])
    preflight.check_peer_transfer(view(), region, 2, 4, OperatorStatus.NONE)

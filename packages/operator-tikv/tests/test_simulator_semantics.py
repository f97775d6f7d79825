"""Times and transitions of PD that no other file of the simulator's tests shows."""

from __future__ import annotations

import pytest

from operator_tikv.simulator import SimulatedCluster
from operator_tikv.simulator.operator_model import (
    AddLearner,
    MergeRegion,
    RemovePeer,
    Step,
    TransferLeader,
    step_timeout_seconds,
)
from simulator_kit import Pd

MOVE = TransferLeader(1, 2)
ADD = AddLearner(4, 99)


@pytest.mark.parametrize(
    ("step", "size_mib", "seconds"),
    [
        (MOVE, 64, 60.0),
        (MOVE, 1000, 600.0),
        (RemovePeer(1, 7), 64, 60.0),
        (ADD, 64, 600.0),
        (ADD, 1000, 6000.0),
        (MergeRegion(1, 2, is_passive=False, version=1), 20, 600.0),
    ],
)
def test_a_step_may_take_as_long_as_in_pd(step: Step, size_mib: int, seconds: float) -> None:
    assert step_timeout_seconds(step, size_mib) == seconds


@pytest.mark.parametrize(("regions", "at_once"), [(40, True), (110, False)])
async def test_a_new_store_serves_at_once_only_in_a_young_cluster(
    regions: int, *, at_once: bool
) -> None:
    pd = Pd(SimulatedCluster(seed=5, stores=4, regions=regions))
    pd.cluster.begin_fault("join")
    pd.cluster.advance(30)
    store_id = max(pd.cluster.world.stores)
    new = (await pd.store(store_id))["store"]
    assert (new.get("node_state") == 1) is at_once
    assert new["state_name"] == "Up", "it is Up while it fills"
    pd.cluster.advance(600)
    assert (await pd.store(store_id))["store"]["node_state"] == 1, (
        "nine tenths of its share are there"
    )


async def test_a_store_that_comes_back_empty_is_refused_because_of_its_address() -> None:
    pd = Pd(SimulatedCluster(seed=5, stores=4, regions=40))
    pd.cluster.begin_fault("lost_data", stores=[2])
    pd.cluster.advance(120)
    assert await pd.state_name(2) == "Disconnected"
    logs = pd.cluster.log_text("store-2") + pd.cluster.log_text("pd-0")
    assert "duplicated store address" in logs


async def test_a_tombstone_is_no_store_any_more_and_its_record_can_be_removed() -> None:
    pd = Pd(SimulatedCluster(seed=5, stores=4, regions=40))
    assert (await pd.send("DELETE", "/store/4")).status_code == 200
    pd.cluster.advance(3600)
    assert await pd.state_name(4) == "Tombstone"
    assert {one["store"]["id"] for one in (await pd.get("/stores"))["stores"]} == {1, 2, 3}
    assert (await pd.send("DELETE", "/stores/remove-tombstone")).status_code == 200
    assert (await pd.send("GET", "/store/4")).status_code == 404

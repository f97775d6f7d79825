"""Worlds built from what somebody has seen."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from operator_tikv.simulator import SimulatedCluster
from operator_tikv.simulator.invariants import broken
from operator_tikv.simulator.model import MetaState, Peer
from operator_tikv.simulator.picture import (
    ClusterPicture,
    PictureError,
    RegionPicture,
    StorePicture,
    build_world,
)
from operator_tikv.simulator.units import GIB
from simulator_kit import Pd

COUNTS = ((80, 40), (60, 10), (60, 30), (40, 0))


def store(
    store_id: int, regions: int = 0, leaders: int = 0, age_seconds: float = 3
) -> StorePicture:
    return StorePicture(
        store_id=store_id,
        address=f"10.0.0.{store_id}:20160",
        capacity_bytes=500 * GIB,
        available_bytes=300 * GIB,
        region_count=regions,
        leader_count=leaders,
        heartbeat_age_seconds=age_seconds,
        labels={"zone": f"z{store_id}"},
    )


def counted() -> ClusterPicture:
    return ClusterPicture(stores=tuple(store(i, *pair) for i, pair in enumerate(COUNTS, start=11)))


async def test_counts_sizes_labels_and_schedulers_come_out_as_seen() -> None:
    seen = replace(
        counted(),
        schedulers={"balance-leader-scheduler": (), "evict-leader-scheduler": (12,)},
        paused={"balance-leader-scheduler": 600.0},
        config={"leader-schedule-limit": 0, "max-replicas": 3},
    )
    pd = Pd(SimulatedCluster(world=build_world(seen)))
    for store_id, (regions, leaders) in enumerate(COUNTS, start=11):
        status = (await pd.store(store_id))["status"]
        assert (status["region_count"], status["leader_count"]) == (regions, leaders)
        assert (status["capacity"], status["available"]) == ("500GiB", "300GiB")
    assert sorted(await pd.get("/schedulers")) == sorted(seen.schedulers)
    assert await pd.get("/schedulers?status=paused") == ["balance-leader-scheduler"]
    assert (await pd.get("/config/schedule"))["leader-schedule-limit"] == 0
    assert broken(pd.cluster.world) == []


async def test_a_silent_store_goes_on_being_silent() -> None:
    stores = (*counted().stores[:3], store(14, 40, 0, age_seconds=1500))
    pd = Pd(SimulatedCluster(world=build_world(replace(counted(), stores=stores))))
    assert await pd.state_name(14) == "Disconnected"
    pd.cluster.advance(320)
    assert await pd.state_name(14) == "Down"
    pd.cluster.advance(1200)
    assert await pd.peers(14) == 0  # replaced elsewhere


async def test_listed_regions_are_taken_as_they_are() -> None:
    peers = (Peer(101, 11), Peer(102, 12), Peer(103, 13))
    region = RegionPicture(100, "", "", peers, 12, size_mib=77, down=(103,), pending=(103,))
    pd = Pd(SimulatedCluster(world=build_world(replace(counted(), regions=(region,)))))
    shown = await pd.get("/region/id/100")
    assert shown["leader"]["store_id"] == 12
    assert shown["approximate_size"] == 77
    assert shown["down_peers"][0]["peer"]["id"] == 103
    assert pd.cluster.world.next_id() == 104


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"stores": ()}, "at least one PD member and one store"),
        ({"stores": (store(11), store(11))}, "two stores have the same id"),
        ({"leader": "pd-9"}, "the leader 'pd-9' is not among the members"),
        ({"config": {"odd": 1}}, "config item odd not found"),
        ({"paused": {"odd": 1.0}}, "'odd' is paused and does not run"),
        ({"regions": (RegionPicture(1, "", "", (Peer(2, 99),), 0),)}, "region 1 names stores"),
        ({"regions": (RegionPicture(1, "", "", (Peer(2, 11),), 12),)}, "region 1 has no peer on"),
    ],
)
def test_a_picture_that_contradicts_itself_is_refused(
    change: dict[str, object], complaint: str
) -> None:
    with pytest.raises(PictureError, match=re.escape(complaint)):
        build_world(replace(counted(), **change))  # type: ignore[arg-type]  # of every kind


def test_a_tombstone_stays_one() -> None:
    gone = replace(store(15), meta_state=MetaState.TOMBSTONE)
    world = build_world(replace(counted(), stores=(*counted().stores, gone)))
    SimulatedCluster(world=world).advance(600)
    assert world.stores[15].meta_state is MetaState.TOMBSTONE
    assert broken(world) == []


@settings(max_examples=20)
@given(regions=st.lists(st.integers(0, 30), min_size=3, max_size=6), seed=st.integers(0, 99))
def test_any_counts_make_a_sound_world(regions: list[int], seed: int) -> None:
    stores = tuple(store(i, count, count // 3) for i, count in enumerate(regions, start=1))
    world = build_world(ClusterPicture(stores=stores, seed=seed))
    assert broken(world) == []
    placed = [world.raft.region_count(i) for i in range(1, len(regions) + 1)]
    assert all(
        abs(have - want) <= 3 or have < want for have, want in zip(placed, regions, strict=True)
    )

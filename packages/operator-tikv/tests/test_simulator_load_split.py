"""Splits by load: TiKV cuts what is read too much, where a key parts the reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from operator_tikv.simulator import SimulatedCluster
from operator_tikv.simulator.invariants import broken
from operator_tikv.simulator.load import read_rate, sharing
from operator_tikv.simulator.units import MIB

if TYPE_CHECKING:
    from operator_tikv.simulator.model import Region


@pytest.fixture
def cluster() -> SimulatedCluster:
    return SimulatedCluster(seed=4, stores=4, regions=40)


def hot_parts(cluster: SimulatedCluster) -> list[Region]:
    """The regions among which the hot keys are divided now."""
    (hot,) = cluster.world.load.hot.values()
    found = map(cluster.world.raft.get, sharing(cluster.world, hot))
    return [region for region in found if region is not None]


def test_a_region_that_is_read_much_is_split_within_seconds(cluster: SimulatedCluster) -> None:
    cluster.begin_fault("hot_region", kind="read", mib_per_second=100)
    cluster.advance(9)
    assert len(hot_parts(cluster)) == 1
    cluster.advance(2)
    assert len(hot_parts(cluster)) == 2
    cluster.advance(60)
    parts = hot_parts(cluster)
    assert len(parts) == 4
    assert max(read_rate(cluster.world, region) for region in parts) < 30 * MIB
    assert broken(cluster.world) == []


def test_its_leader_says_so_in_the_log(cluster: SimulatedCluster) -> None:
    cluster.begin_fault("hot_region", kind="read", region=5, mib_per_second=100)
    leader = hot_parts(cluster)[0].leader_store_id
    cluster.advance(11)
    line = next(x for x in cluster.log_text(f"store-{leader}").splitlines() if "load base" in x)
    assert '["load base split region"]' in line
    assert "[region_id=5]" in line


@pytest.mark.parametrize(
    ("kind", "shape", "mib_per_second"),
    [
        ("write", "range", 300),  # writes split nothing
        ("read", "key", 300),  # no key stands beside it
        ("read", "scan", 300),  # each key is in the middle of most reads
        ("read", "range", 25),  # less than the threshold
    ],
)
def test_what_tikv_does_not_split(
    cluster: SimulatedCluster, kind: str, shape: str, mib_per_second: float
) -> None:
    cluster.begin_fault("hot_region", kind=kind, shape=shape, mib_per_second=mib_per_second)
    cluster.advance(600)
    assert len(hot_parts(cluster)) == 1


def test_a_read_that_ends_in_time_splits_nothing(cluster: SimulatedCluster) -> None:
    number = cluster.begin_fault("hot_region", kind="read", mib_per_second=300)
    cluster.advance(8)
    cluster.end_fault(number)
    before = len(cluster.world.raft)
    cluster.begin_fault("hot_region", kind="read", mib_per_second=25)
    cluster.advance(60)
    assert len(cluster.world.raft) == before


def test_nothing_is_split_without_a_leader(cluster: SimulatedCluster) -> None:
    cluster.begin_fault("stop", stores=[1, 2, 3])
    cluster.advance(60)
    before = len(cluster.world.raft)
    cluster.begin_fault("hot_region", kind="read", mib_per_second=300)
    cluster.advance(60)
    assert len(cluster.world.raft) == before


def test_pd_spreads_the_parts_and_merges_them_only_when_they_are_cool() -> None:
    cluster = SimulatedCluster(seed=4, stores=4, regions=12)
    cluster.world.pd.config.update("split-merge-interval", "2m0s")
    number = cluster.begin_fault("hot_region", kind="read", mib_per_second=100)
    cluster.advance(600)
    parts = hot_parts(cluster)
    assert len(parts) == 4
    assert len({region.leader_store_id for region in parts}) > 1
    before = len(cluster.world.raft)
    cluster.end_fault(number)
    cluster.advance(120)
    assert len(cluster.world.raft) < before

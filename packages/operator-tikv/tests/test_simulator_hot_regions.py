"""PD's hot-region scheduler: what it spreads, what it cannot help, and what stops it."""

from __future__ import annotations

from typing import Any

import pytest

from operator_tikv.simulator import SimulatedCluster
from operator_tikv.simulator.hot_region import NAME
from operator_tikv.simulator.load import steady_rates
from simulator_kit import Pd

Json = Any

MIB = 1 << 20
LONG_SECONDS = 900.0


@pytest.fixture
def pd() -> Pd:
    return Pd(SimulatedCluster(seed=7, stores=4, regions=80))


def rates(cluster: SimulatedCluster, kind: str) -> dict[int, float]:
    """MiB a second that each store truly bears."""
    place = 0 if kind == "write" else 1
    return {s: steady_rates(cluster.world, s)[place] / MIB for s in cluster.world.stores}


def heat_store(cluster: SimulatedCluster, *, regions: int = 8, kind: str = "read") -> None:
    """Let clients go to regions that store 2 leads."""
    cluster.begin_fault("hot_store", stores=[2], regions=regions, mib_per_second=200, kind=kind)


def hot_operators(cluster: SimulatedCluster) -> list[str]:
    """The descriptions of hot operators that ended within ten minutes."""
    records = cluster.world.pd.records
    return [one.plan.description for one in records if one.plan.kinds[0] == "hot-region"]


@pytest.mark.parametrize("kind", ["read", "write"])
def test_several_hot_regions_of_one_store_are_spread_within_minutes(pd: Pd, kind: str) -> None:
    cluster = pd.cluster
    heat_store(cluster, kind=kind)
    cluster.advance(290)
    assert hot_operators(cluster) == [], "PD first looks at five minutes of history"
    before = rates(cluster, kind)
    cluster.advance(300)
    after = rates(cluster, kind)
    assert len(hot_operators(cluster)) > 3
    assert max(after.values()) - min(after.values()) < 0.5 * (
        max(before.values()) - min(before.values())
    )
    assert after[2] < before[2]


@pytest.mark.parametrize("kind", ["read", "write"])
def test_one_hot_region_is_left_where_it_is(pd: Pd, kind: str) -> None:
    pd.cluster.begin_fault("hot_region", kind=kind, mib_per_second=300, shape="key")
    before = rates(pd.cluster, kind)
    pd.cluster.advance(LONG_SECONDS)
    assert hot_operators(pd.cluster) == []
    assert rates(pd.cluster, kind) == before


@pytest.mark.parametrize(("shape", "moves"), [("scan", True), ("key", False)])
async def test_the_parts_of_a_split_range_are_spread_and_a_single_key_is_not(
    pd: Pd, shape: str, *, moves: bool
) -> None:
    region_id = (await pd.region_led_by(2))["id"]
    pd.cluster.begin_fault(
        "hot_region", kind="read", region=region_id, mib_per_second=200, shape=shape
    )
    body = {"name": "split-region", "region_id": region_id, "policy": "approximate"}
    assert (await pd.send("POST", "/operators", body)).status_code == 200
    before = rates(pd.cluster, "read")
    pd.cluster.advance(LONG_SECONDS)
    assert bool(hot_operators(pd.cluster)) is moves
    assert (max(rates(pd.cluster, "read").values()) < 0.7 * max(before.values())) is moves


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", f"/schedulers/{NAME}", {"delay": 86400}),
        ("DELETE", f"/schedulers/{NAME}", None),
        ("POST", "/config", {"hot-region-schedule-limit": 0}),
        ("POST", "/config", {"hot-region-cache-hits-threshold": 1000}),
        ("POST", "/config", {"halt-scheduling": True}),
        ("POST", f"/scheduler-config/{NAME}/config", {"forbid-rw-type": "read"}),
    ],
)
async def test_it_moves_nothing_while_somebody_has_turned_it_off(
    pd: Pd, method: str, path: str, body: Json
) -> None:
    assert (await pd.send(method, path, body)).status_code == 200
    heat_store(pd.cluster)
    pd.cluster.advance(LONG_SECONDS)
    assert hot_operators(pd.cluster) == []


async def test_it_goes_on_once_it_is_added_again(pd: Pd) -> None:
    await pd.send("DELETE", f"/schedulers/{NAME}")
    heat_store(pd.cluster)
    pd.cluster.advance(LONG_SECONDS)
    assert (await pd.send("POST", "/schedulers", {"name": NAME})).status_code == 200
    pd.cluster.advance(60)
    assert hot_operators(pd.cluster)


def test_no_more_run_at_once_than_the_limit_allows(pd: Pd) -> None:
    heat_store(pd.cluster, regions=12, kind="write")
    most = 0
    for _ in range(3000):
        pd.cluster.advance(0.2)
        running = pd.cluster.world.pd.operators.values()
        most = max(most, sum(one.plan.kinds[0] == "hot-region" for one in running))
    assert most == 4


async def test_pd_lists_what_it_moves_and_counts_the_reports(pd: Pd) -> None:
    heat_store(pd.cluster)
    path = "/hotspot/regions/read"
    usual = (await pd.get(path))["as_leader"]["2"]["regions_count"]
    pd.cluster.advance(60)
    hot = (await pd.get(path))["as_leader"]["2"]
    assert hot["regions_count"] > usual
    assert min(one["hot_degree"] for one in hot["statistics"]) == 6
    pd.cluster.advance(LONG_SECONDS)
    for store_id, one in (await pd.get(path))["as_leader"].items():
        assert {str(peer["store_id"]) for peer in one["statistics"]} <= {store_id}
    assert (await pd.get(path))["as_leader"]["2"]["regions_count"] < hot["regions_count"]


def test_a_new_pd_leader_has_to_learn_what_is_hot(pd: Pd) -> None:
    heat_store(pd.cluster)
    pd.cluster.advance(250)
    pd.cluster.begin_fault("pd_stop")
    pd.cluster.advance(200)
    assert hot_operators(pd.cluster) == []
    pd.cluster.advance(200)
    assert hot_operators(pd.cluster)


async def test_a_hot_region_is_not_scattered(pd: Pd) -> None:
    region = next(one for one in pd.cluster.world.raft if one.weight == 1.0)
    body = {"name": "scatter-region", "region_id": region.region_id}
    pd.cluster.begin_fault("hot_region", region=region.region_id)
    assert (await pd.send("POST", "/operators", body)).status_code == 200
    pd.cluster.advance(LONG_SECONDS)
    answer = await pd.send("POST", "/operators", body)
    assert (answer.status_code, answer.json()) == (
        500,
        f"region {region.region_id} is a hot region",
    )


def test_no_move_goes_to_a_store_that_may_take_none(pd: Pd) -> None:
    pd.cluster.begin_fault("evict_leader", stores=[3])
    pd.cluster.begin_fault("stop", stores=[4])
    heat_store(pd.cluster)
    pd.cluster.advance(LONG_SECONDS)
    briefs = [
        one.plan.brief for one in pd.cluster.world.pd.records if "hot" in one.plan.description
    ]
    assert briefs
    assert not [brief for brief in briefs if brief.endswith(("to 3", "to 4"))]

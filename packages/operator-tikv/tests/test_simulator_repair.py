"""Elections, down peers, replica repair and lost quorums, on the clock that TiKV and PD keep."""

from __future__ import annotations

import pytest

from operator_tikv.simulator import SimulatedCluster
from operator_tikv.simulator.invariants import broken
from simulator_kit import Pd


@pytest.fixture
def pd() -> Pd:
    return Pd(SimulatedCluster(seed=1, stores=4, regions=20))


async def test_leaders_of_a_dead_store_are_elected_elsewhere_in_10_to_20_s(pd: Pd) -> None:
    led = await pd.leaders(2)
    pd.cluster.apply_fault("stop_store", 2)
    pd.cluster.advance(9.9)
    assert await pd.leaders(2) == led  # PD still believes it
    pd.cluster.advance(10.2)
    assert await pd.leaders(2) == 0
    assert sum([await pd.leaders(store_id) for store_id in (1, 3, 4)]) == 20


async def test_peers_are_reported_down_after_ten_minutes_and_replaced_after_thirty(
    pd: Pd,
) -> None:
    peers = await pd.peers(2)
    pd.cluster.apply_fault("stop_store", 2)
    pd.cluster.advance(590)
    assert await pd.count("down-peer") == 0
    pd.cluster.advance(100)
    assert await pd.count("down-peer") == peers
    pd.cluster.advance(1080)
    assert await pd.count("down-peer") == peers  # 29.5 minutes: nothing is replaced yet
    assert await pd.get("/operators") == []
    pd.cluster.advance(400)
    assert await pd.count("down-peer") == 0
    assert await pd.peers(2) == 0
    assert await pd.state_name(2) == "Down"
    assert broken(pd.cluster.world) == []


async def test_down_seconds_grow_with_the_reports(pd: Pd) -> None:
    pd.cluster.apply_fault("stop_store", 2)
    pd.cluster.advance(700)
    region = (await pd.get("/regions/check/down-peer"))["regions"][0]
    (down,) = region["down_peers"]
    assert down["peer"]["store_id"] == 2
    assert 670 <= down["down_seconds"] <= 700
    assert region["pending_peers"] == [down["peer"]]


async def test_peers_come_back_with_their_store(pd: Pd) -> None:
    pd.cluster.apply_fault("stop_store", 2)
    pd.cluster.advance(700)
    pd.cluster.apply_fault("start_store", 2)
    assert await pd.count("down-peer") == 0
    assert await pd.count("pending-peer") > 0
    pd.cluster.advance(10)
    assert await pd.count("pending-peer") == 0
    assert await pd.peers(2) == 15


async def test_repair_goes_by_the_store_limit(pd: Pd) -> None:
    await pd.send("POST", "/stores/limit", {"rate": 1, "type": "add-peer"})
    pd.cluster.apply_fault("stop_store", 2)
    pd.cluster.advance(1900)
    assert 4 <= await pd.peers(2) <= 9
    half_way = await pd.peers(2)
    pd.cluster.advance(60)
    assert half_way - 3 <= await pd.peers(2) < half_way
    metrics = await pd.metrics()
    assert metrics['pd_checker_event_count{type="rule_checker",name="no-store-replace"}'] > 0


async def test_a_paused_rule_checker_repairs_nothing(pd: Pd) -> None:
    await pd.send("POST", "/checker/rule", {"delay": 36_000})
    assert await pd.get("/checker/rule") == {"paused": True}
    pd.cluster.apply_fault("stop_store", 2)
    pd.cluster.advance(3600)
    assert await pd.peers(2) == 15


async def test_with_three_stores_there_is_nowhere_to_repair_to() -> None:
    pd = Pd(SimulatedCluster(stores=3, regions=6))
    pd.cluster.apply_fault("stop_store", 3)
    pd.cluster.advance(3600)
    assert await pd.count("down-peer") == 6
    assert await pd.peers(3) == 6


async def test_without_a_quorum_pd_still_shows_the_last_leader() -> None:
    pd = Pd(SimulatedCluster(seed=4, stores=3, regions=9))
    before = await pd.get("/regions")
    pd.cluster.apply_fault("quorum_loss", store_ids=[1, 2])
    pd.cluster.advance(3600)
    state = (await pd.raw("GET", "/sim/state")).json()
    assert state["regions_without_leader"] == 9
    after = await pd.get("/regions")
    leaders = [region["leader"] for region in after["regions"]]
    assert leaders == [region["leader"] for region in before["regions"]]
    for check in ("miss-peer", "down-peer", "pending-peer"):
        assert await pd.count(check) == 0
    assert await pd.state_name(1) == "Down"


async def test_a_quorum_comes_back_with_one_store() -> None:
    pd = Pd(SimulatedCluster(seed=4, stores=3, regions=9))
    pd.cluster.apply_fault("quorum_loss", store_ids=[1, 2])
    pd.cluster.advance(120)
    pd.cluster.apply_fault("start_store", 1)
    pd.cluster.advance(21)
    state = (await pd.raw("GET", "/sim/state")).json()
    assert state["regions_without_leader"] == 0
    assert await pd.leaders(2) == 0


async def test_a_frozen_store_that_thaws_in_time_still_leads(pd: Pd) -> None:
    led = await pd.leaders(3)
    pd.cluster.apply_fault("pause_store", 3)
    pd.cluster.advance(5)
    pd.cluster.apply_fault("resume_store", 3)
    pd.cluster.advance(30)
    assert await pd.leaders(3) == led


async def test_a_store_that_dies_while_it_receives_a_replica_harms_nobody(pd: Pd) -> None:
    pd.cluster.apply_fault("stop_store", 2)
    pd.cluster.advance(1805)
    pd.cluster.apply_fault("stop_store", 3)
    pd.cluster.advance(60)
    pd.cluster.apply_fault("start_all")
    pd.cluster.advance(1800)
    assert broken(pd.cluster.world) == []
    for check in ("miss-peer", "extra-peer", "down-peer", "pending-peer", "learner-peer"):
        assert await pd.count(check) == 0

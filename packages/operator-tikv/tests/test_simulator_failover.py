"""PD without a leader and after a new one."""

from __future__ import annotations

import pytest

from operator_tikv.simulator import SimulatedCluster
from simulator_kit import Pd


@pytest.fixture
def pd() -> Pd:
    return Pd(SimulatedCluster(seed=9, stores=4, regions=20))


async def test_without_a_leader_pd_answers_503_in_text_except_for_local_pages(pd: Pd) -> None:
    pd.cluster.apply_fault("pd_no_leader")
    for path in ("/stores", "/members", "/leader", "/region/id/5", "/schedulers"):
        answer = await pd.send("GET", path)
        assert answer.status_code == 503
        assert answer.headers["content-type"].startswith("text/plain")
        assert answer.text == "[PD:apiutil:ErrRedirectNoLeader]redirect finds no leader\n"
    for path in ("/health", "/status", "/version", "/ping", "/config"):
        assert (await pd.send("GET", path)).status_code == 200
    metrics = await pd.metrics()
    assert metrics["etcd_server_is_leader"] == 0
    assert not any(name.startswith("pd_cluster_status") for name in metrics)


async def test_a_new_leader_is_elected_within_ten_seconds(pd: Pd) -> None:
    before = (await pd.get("/leader"))["name"]
    pd.cluster.apply_fault("pd_leader_change")
    assert (await pd.send("GET", "/leader")).status_code == 503
    pd.cluster.advance(10)
    assert (await pd.get("/leader"))["name"] != before


async def test_a_new_leader_has_no_operators_no_statistics_and_knows_no_leaders(pd: Pd) -> None:
    region = await pd.region_led_by(1)
    other = next(p["store_id"] for p in region["peers"] if p["store_id"] != 1)
    body = {"name": "transfer-leader", "region_id": region["id"], "to_store_id": other}
    await pd.send("POST", "/operators", body)
    pd.cluster.advance(2)
    pd.cluster.apply_fault("pd_leader_change")
    while not pd.cluster.world.pd.has_leader:
        pd.cluster.advance(0.01)
    assert (await pd.send("GET", f"/operators/{region['id']}")).status_code == 500
    status = (await pd.store(1))["status"]
    assert status["capacity"] == "0B"
    assert "last_heartbeat_ts" not in status
    assert "uptime" not in status
    assert sum([await pd.leaders(store_id) for store_id in (1, 2, 3, 4)]) < 20
    pd.cluster.advance(11)
    assert (await pd.store(1))["status"]["capacity"] == "200GiB"
    pd.cluster.advance(50)
    assert sum([await pd.leaders(store_id) for store_id in (1, 2, 3, 4)]) == 20


async def test_a_new_leader_takes_a_dead_stores_heartbeat_from_what_was_persisted(pd: Pd) -> None:
    pd.cluster.advance(280)
    pd.cluster.apply_fault("stop_store", 2)
    known = (await pd.store(2))["store"]["last_heartbeat"]
    pd.cluster.apply_fault("pd_leader_change")
    pd.cluster.advance(15)
    later = (await pd.store(2))["store"]["last_heartbeat"]
    assert 0 < known - later <= 300 * 10**9


async def test_a_new_leader_schedules_only_when_most_regions_have_reported(pd: Pd) -> None:
    await pd.send("POST", "/schedulers", {"name": "evict-leader-scheduler", "store_id": 1})
    pd.cluster.apply_fault("pd_leader_change")
    while not pd.cluster.world.pd.has_leader:
        pd.cluster.advance(0.01)
    pd.cluster.advance(5)
    assert await pd.get("/operators") == []
    pd.cluster.advance(80)
    assert await pd.leaders(1) == 0


async def test_pd_without_a_majority_has_no_leader_until_it_returns(pd: Pd) -> None:
    for _ in range(2):
        pd.cluster.apply_fault("pd_member_down")
    pd.cluster.advance(60)
    assert (await pd.send("GET", "/stores")).status_code == 503
    health = await pd.get("/health")
    assert sorted(member["health"] for member in health) == [False, False, True]
    pd.cluster.apply_fault("pd_recover")
    pd.cluster.advance(10)
    assert (await pd.send("GET", "/stores")).status_code == 200


async def test_one_member_down_does_not_matter(pd: Pd) -> None:
    leader = (await pd.get("/leader"))["name"]
    pd.cluster.apply_fault("pd_member_down")
    pd.cluster.advance(60)
    assert (await pd.get("/leader"))["name"] == leader


async def test_resign_and_transfer_are_only_submitted(pd: Pd) -> None:
    answer = await pd.send("POST", "/leader/transfer/pd-2")
    assert answer.json() == "The transfer command is submitted."
    pd.cluster.advance(10)
    assert (await pd.get("/leader"))["name"] == "pd-2"
    assert (await pd.send("POST", "/leader/transfer/odd")).status_code == 500
    answer = await pd.send("POST", "/leader/resign")
    assert answer.json() == "The resign command is submitted."
    pd.cluster.advance(10)
    assert (await pd.get("/leader"))["name"] != "pd-2"


async def test_raft_goes_on_while_pd_is_away(pd: Pd) -> None:
    pd.cluster.apply_fault("pd_no_leader")
    pd.cluster.apply_fault("stop_store", 1)
    pd.cluster.advance(30)
    assert pd.cluster.world.raft.leader_count(1) == 0
    pd.cluster.apply_fault("pd_recover")
    pd.cluster.advance(80)
    assert await pd.leaders(1) == 0
    assert sum([await pd.leaders(store_id) for store_id in (2, 3, 4)]) == 20

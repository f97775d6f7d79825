"""Stores: their states by heartbeat, deleting them, limits, and what PD does not notice."""

from __future__ import annotations

import pytest

from operator_tikv.simulator import ClusterSpec, SimulatedCluster
from simulator_kit import Pd


@pytest.fixture
def pd() -> Pd:
    return Pd(SimulatedCluster(seed=3, stores=4, regions=24))


async def test_a_silent_store_is_disconnected_after_20_s_and_down_after_30_min(pd: Pd) -> None:
    pd.cluster.apply_fault("stop_store", 2)
    pd.cluster.advance(9)
    assert await pd.state_name(2) == "Up"
    pd.cluster.advance(22)
    assert await pd.state_name(2) == "Disconnected"
    pd.cluster.advance(1750)
    assert await pd.state_name(2) == "Disconnected"
    pd.cluster.advance(60)
    assert await pd.state_name(2) == "Down"
    pd.cluster.apply_fault("start_store", 2)
    assert await pd.state_name(2) == "Up"


async def test_offline_hides_that_a_store_is_silent(pd: Pd) -> None:
    await pd.send("POST", "/checker/rule", {"delay": 3600})  # it would drain the store
    pd.cluster.apply_fault("stop_store", 2)
    assert (await pd.send("DELETE", "/store/2")).text == '"The store is set as Offline."\n'
    pd.cluster.advance(1200)
    store = (await pd.store(2))["store"]
    assert store["state_name"] == "Offline"
    assert (store["state"], store["node_state"]) == (1, 2)
    now_seconds = pd.cluster.world.unix_seconds(pd.cluster.now_seconds)
    assert now_seconds - store["last_heartbeat"] / 1e9 > 1200


async def test_a_deleted_store_drains_and_becomes_a_tombstone(pd: Pd) -> None:
    await pd.send("DELETE", "/store/3")
    pd.cluster.advance(300)
    assert await pd.state_name(3) == "Tombstone"
    assert await pd.peers(3) == 0
    listed = [s["store"]["id"] for s in (await pd.get("/stores"))["stores"]]
    assert sorted(listed) == [1, 2, 4]
    assert (await pd.get("/stores?state=2"))["count"] == 1
    assert (await pd.send("DELETE", "/store/3")).status_code == 410
    assert (await pd.send("POST", "/store/3/state?state=Up")).status_code == 410
    assert await pd.count("miss-peer") == 0
    answer = await pd.send("DELETE", "/stores/remove-tombstone")
    assert answer.text == '"Remove tombstone successfully."\n'
    assert (await pd.send("GET", "/store/3")).status_code == 404


async def test_delete_is_refused_when_too_few_stores_would_be_left() -> None:
    pd = Pd(SimulatedCluster(stores=3, regions=6))
    answer = await pd.send("DELETE", "/store/1")
    assert answer.status_code == 400
    assert answer.json() == (
        "[PD:core:ErrStoresNotEnough]can not remove store 1 since the number of up stores "
        "would be 2 while need 3"
    )


async def test_delete_is_accepted_because_a_down_store_counts_as_up(pd: Pd) -> None:
    pd.cluster.apply_fault("stop_store", 4)
    pd.cluster.advance(2400)
    assert await pd.state_name(4) == "Down"
    assert (await pd.send("DELETE", "/store/1")).status_code == 200
    pd.cluster.advance(600)
    assert await pd.state_name(1) == "Offline"  # stuck: nowhere to go
    assert await pd.peers(1) > 0
    assert (await pd.metrics())[
        'pd_checker_event_count{type="rule_checker",name="no-store-replace"}'
    ] > 0


async def test_delete_is_accepted_because_a_tiflash_store_counts_as_up() -> None:
    pd = Pd(SimulatedCluster(spec=ClusterSpec(stores=3, regions=6, tiflash_stores=1)))
    assert (await pd.send("DELETE", "/store/1")).status_code == 200
    pd.cluster.advance(600)
    assert await pd.state_name(1) == "Offline"
    assert await pd.peers(4) == 0


async def test_delete_is_refused_when_all_others_are_under_evict_leader(pd: Pd) -> None:
    for store_id in (2, 3, 4):
        await pd.send(
            "POST", "/schedulers", {"name": "evict-leader-scheduler", "store_id": store_id}
        )
    answer = await pd.send("DELETE", "/store/1")
    assert answer.status_code == 400
    assert answer.json().startswith("[PD:core:ErrNoStoreForRegionLeader]")


async def test_cancelling_a_delete_restores_the_limit_unless_pds_leader_changed(pd: Pd) -> None:
    async def remove_limit() -> float:
        return float((await pd.get("/stores/limit"))["2"]["remove-peer"])

    await pd.send("DELETE", "/store/2")
    assert await remove_limit() == 100_000_000
    answer = await pd.send("POST", "/store/2/state?state=Up")
    assert answer.text == '"The store\'s state is updated."\n'
    assert await remove_limit() == 15
    await pd.send("DELETE", "/store/2")
    pd.cluster.apply_fault("pd_leader_change")
    pd.cluster.advance(15)
    await pd.send("POST", "/store/2/state?state=Up")
    assert await remove_limit() == 100_000_000


async def test_a_cancelled_delete_keeps_the_store_serving(pd: Pd) -> None:
    await pd.send("DELETE", "/store/2")
    pd.cluster.advance(5)
    await pd.send("POST", "/store/2/state?state=Up")
    pd.cluster.advance(300)
    assert await pd.state_name(2) == "Up"
    assert await pd.peers(2) > 0


async def test_a_forced_delete_cannot_be_undone(pd: Pd) -> None:
    assert (await pd.send("DELETE", "/store/2?force")).status_code == 200
    assert (await pd.store(2))["store"]["physically_destroyed"] is True
    assert (await pd.send("POST", "/store/2/state?state=Up")).status_code == 400


@pytest.mark.parametrize(
    ("path", "body", "status", "text"),
    [
        ("/store/1/limit", {}, 400, "rate unset"),
        ("/store/1/limit", {"rate": 0}, 400, "invalid rate which should be larger than 0"),
        ("/store/1/limit", {"rate": 30, "type": "add-peer"}, 200, "The store's limit is updated."),
        ("/store/9/limit", {"rate": 30}, 500, "[PD:core:ErrStoreNotFound]store 9 not found"),
        ("/stores/limit", {"rate": 30}, 200, "Set store limit successfully."),
        ("/store/1/weight", {"leader": 1}, 400, "region weight unset"),
        ("/store/1/weight", {"leader": "1", "region": 1}, 400, "bad format leader weight"),
        ("/store/1/weight", {"leader": 2, "region": 1}, 200, "The store's weight is updated."),
        ("/store/1/label", {"rack": "r1"}, 200, "The store's label is updated."),
    ],
)
async def test_store_settings_answer_as_pd_does(
    pd: Pd, path: str, body: dict[str, object], status: int, text: str
) -> None:
    answer = await pd.send("POST", path, body)
    assert (answer.status_code, answer.json()) == (status, text)


async def test_a_weight_divides_the_leader_score(pd: Pd) -> None:
    await pd.send("POST", "/store/1/weight", {"leader": 2.0, "region": 1})
    status = (await pd.store(1))["status"]
    assert status["leader_score"] == status["leader_count"] / 2


async def test_a_label_comes_and_goes(pd: Pd) -> None:
    await pd.send("POST", "/store/1/label", {"rack": "r1"})
    labels = (await pd.store(1))["store"]["labels"]
    assert {"key": "rack", "value": "r1"} in labels
    answer = await pd.send("DELETE", "/store/1/label", "rack")
    assert answer.json() == "The label rack is deleted for store 1."


async def test_low_space_shows_after_the_next_heartbeat_and_makes_the_score_explode(
    pd: Pd,
) -> None:
    before = (await pd.store(1))["status"]["region_score"]
    pd.cluster.apply_fault("low_space", 1)
    pd.cluster.advance(11)
    status = (await pd.store(1))["status"]
    assert status["available"] == "20GiB"
    assert status["region_score"] > before + 1e9
    metrics = await pd.metrics()
    assert metrics['pd_cluster_status{type="store_low_space_count",engine="tikv",store="1"}'] == 1
    pd.cluster.apply_fault("restore_disk", 1)
    pd.cluster.advance(11)
    assert (await pd.store(1))["status"]["region_score"] < 1e6


async def test_balance_gives_nothing_to_a_disk_smaller_than_what_pd_keeps_free(pd: Pd) -> None:
    pd.cluster.begin_fault("join", capacity_gib=15)
    pd.cluster.advance(900)
    joined = max((await pd.send("GET", "/stores")).json()["stores"], key=lambda s: s["store"]["id"])
    assert joined["status"]["region_score"] > 1e9
    assert joined["status"].get("region_count", 0) == 0


async def test_a_full_disk_leaves_almost_nothing(pd: Pd) -> None:
    pd.cluster.apply_fault("full_disk", 1)
    pd.cluster.advance(11)
    assert (await pd.store(1))["status"]["available"].endswith("MiB")


async def test_a_slow_disk_raises_the_score_in_not_less_than_70_s_and_leaders_leave(
    pd: Pd,
) -> None:
    pd.cluster.apply_fault("slow_disk", 2)
    pd.cluster.advance(55)
    assert (await pd.store(2))["status"]["slow_score"] < 100
    pd.cluster.advance(60)
    assert (await pd.store(2))["status"]["slow_score"] == 100
    assert await pd.leaders(2) == 0
    metrics = await pd.metrics()
    name = 'pd_scheduler_evicted_slow_store_status{store="2",slow_type="disk"}'
    assert metrics[name] == 1
    body = {"name": "evict-leader-scheduler", "store_id": 2}
    answer = await pd.send("POST", "/schedulers", body)
    assert answer.json() == (
        "[PD:core:ErrPauseLeaderTransfer]store 2 is paused for leader transfer"
    )


async def test_an_isolated_store_keeps_a_stale_leader_count(pd: Pd) -> None:
    before = await pd.leaders(1)
    pd.cluster.apply_fault("partition_from_pd", 1)
    pd.cluster.advance(120)
    assert await pd.state_name(1) == "Disconnected"
    assert await pd.leaders(1) == before
    assert pd.cluster.world.raft.leader_count(1) == before  # it does still lead


async def test_a_store_cut_off_from_its_peers_stays_up_for_pd(pd: Pd) -> None:
    pd.cluster.apply_fault("partition_from_peers", 1)
    pd.cluster.advance(700)
    assert await pd.state_name(1) == "Up"
    assert await pd.leaders(1) == 0
    assert await pd.count("down-peer") == await pd.peers(1)


async def test_the_numbers_move_under_load(pd: Pd) -> None:
    region = await pd.region_led_by(1)
    pd.cluster.advance(90)
    later = await pd.get(f"/region/id/{region['id']}")
    assert later["written_bytes"] != region["written_bytes"]
    assert later["written_bytes"] > 0
    pd.cluster.apply_fault("load", factor=0.0)
    assert (await pd.get(f"/region/id/{region['id']}"))["written_bytes"] == 0

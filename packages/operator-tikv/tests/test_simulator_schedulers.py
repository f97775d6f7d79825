"""Schedulers: evict-leader with its persistence, balance, pauses."""

from __future__ import annotations

import pytest

from operator_tikv.simulator import SimulatedCluster
from simulator_kit import Pd

EVICT = {"name": "evict-leader-scheduler", "store_id": 1}
LIST = "/scheduler-config/evict-leader-scheduler/list"


@pytest.fixture
def pd() -> Pd:
    return Pd(SimulatedCluster(seed=11, stores=4, regions=60))


async def test_evict_leader_drains_a_store_and_lets_no_leader_back(pd: Pd) -> None:
    assert await pd.leaders(1) == 15
    answer = await pd.send("POST", "/schedulers", EVICT)
    assert answer.json() == "The scheduler is created."
    pd.cluster.advance(10)
    assert await pd.leaders(1) == 0
    assert await pd.peers(1) > 0
    pd.cluster.advance(600)
    assert await pd.leaders(1) == 0
    assert "evict-leader-scheduler" in await pd.get("/schedulers")


async def test_no_more_than_four_leader_operators_run_at_once(pd: Pd) -> None:
    for store_id in (1, 2):
        await pd.send("POST", "/schedulers", {**EVICT, "store_id": store_id})
    most = 0
    for _ in range(100):
        pd.cluster.advance(0.05)
        most = max(most, len(await pd.get("/operators?kind=leader")))
    assert most == 4
    assert await pd.leaders(1) == 0


async def test_a_second_post_for_the_same_store_answers_200(pd: Pd) -> None:
    await pd.send("POST", "/schedulers", EVICT)
    answer = await pd.send("POST", "/schedulers", EVICT)
    assert (answer.status_code, answer.json()) == (
        200,
        "The scheduler has been applied to the store.",
    )
    assert list((await pd.get(LIST))["store-id-ranges"]) == ["1"]


async def test_the_list_is_a_missing_page_when_nobody_is_evicted(pd: Pd) -> None:
    answer = await pd.send("GET", LIST)
    assert (answer.status_code, answer.text) == (404, "404 page not found\n")
    await pd.send("POST", "/schedulers", EVICT)
    assert await pd.get(LIST) == {
        "store-id-ranges": {"1": [{"start-key": "", "end-key": ""}]},
        "batch": 3,
    }


async def test_deleting_one_store_answers_null_and_404_null_when_it_is_not_there(pd: Pd) -> None:
    path = "/schedulers/evict-leader-scheduler-1"
    absent = await pd.send("DELETE", path)
    assert (absent.status_code, absent.text) == (404, "null\n")
    await pd.send("POST", "/schedulers", EVICT)
    removed = await pd.send("DELETE", path)
    assert (removed.status_code, removed.text) == (200, "null\n")
    assert "evict-leader-scheduler" not in await pd.get("/schedulers")


async def test_deleting_the_whole_scheduler_frees_all_stores(pd: Pd) -> None:
    for store_id in (1, 2):
        await pd.send("POST", "/schedulers", {**EVICT, "store_id": store_id})
    answer = await pd.send("DELETE", "/schedulers/evict-leader-scheduler")
    assert answer.json() == "The scheduler is removed."
    assert (await pd.send("GET", LIST)).status_code == 404


async def test_the_config_page_deletes_and_names_the_last_one(pd: Pd) -> None:
    base = "/scheduler-config/evict-leader-scheduler"
    assert (await pd.send("DELETE", f"{base}/delete/1")).status_code == 404
    await pd.send("POST", "/schedulers", EVICT)
    added = await pd.send("POST", f"{base}/config", {"store_id": 2})
    assert added.json() == "The scheduler has been applied to the store."
    assert (await pd.send("DELETE", f"{base}/delete/2")).json() is None
    absent = await pd.send("DELETE", f"{base}/delete/2")
    assert absent.status_code == 404
    assert absent.json().startswith("[PD:scheduler:ErrScheduleConfigNotExist]")
    last = await pd.send("DELETE", f"{base}/delete/1")
    assert last.json() == "The last store has been deleted"


async def test_leaders_return_when_the_evict_is_deleted(pd: Pd) -> None:
    await pd.send("POST", "/schedulers", EVICT)
    pd.cluster.advance(60)
    await pd.send("DELETE", "/schedulers/evict-leader-scheduler-1")
    pd.cluster.advance(120)
    counts = [await pd.leaders(store_id) for store_id in (1, 2, 3, 4)]
    assert max(counts) - min(counts) <= 10  # balance-leader tolerates five on both sides
    assert counts[0] >= 7


async def test_an_evict_survives_a_change_of_pds_leader_and_stays(pd: Pd) -> None:
    await pd.send("POST", "/schedulers", EVICT)
    pd.cluster.advance(20)
    pd.cluster.apply_fault("pd_leader_change")
    pd.cluster.advance(400)
    assert list((await pd.get(LIST))["store-id-ranges"]) == ["1"]
    assert await pd.leaders(1) == 0


async def test_a_drain_never_ends_for_regions_without_another_healthy_voter() -> None:
    pd = Pd(SimulatedCluster(seed=2, stores=3, regions=12))
    for store_id in (2, 3):
        await pd.send("POST", "/schedulers", {**EVICT, "store_id": store_id})
    pd.cluster.advance(20)
    assert await pd.leaders(1) == 12
    await pd.send("POST", "/schedulers", EVICT)
    pd.cluster.advance(120)
    assert await pd.leaders(1) == 12
    key = 'pd_scheduler_event_count{type="evict-leader-scheduler",name="no-target-store"}'
    assert (await pd.metrics())[key] > 0


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        ({}, 400, "missing scheduler name"),
        ({"name": "odd"}, 400, "unknown scheduler"),
        ({"name": "evict-leader-scheduler"}, 400, "missing store id"),
        (
            {"name": "evict-leader-scheduler", "store_id": 99},
            500,
            "[PD:core:ErrStoreNotFound]store 99 not found",
        ),
        (
            {"name": "balance-leader-scheduler"},
            500,
            "[PD:scheduler:ErrSchedulerExisted]scheduler existed",
        ),
    ],
)
async def test_refusals_of_new_schedulers(
    pd: Pd, body: dict[str, object], status: int, text: str
) -> None:
    answer = await pd.send("POST", "/schedulers", body)
    assert (answer.status_code, answer.json()) == (status, text)


async def test_a_running_evict_quotes_its_refusal_twice(pd: Pd) -> None:
    await pd.send("POST", "/schedulers", EVICT)
    answer = await pd.send("POST", "/schedulers", {**EVICT, "store_id": 99})
    assert answer.text == r'"\"[PD:core:ErrStoreNotFound]store 99 not found\"\n"' + "\n"


async def test_pause_and_resume(pd: Pd) -> None:
    name = "balance-leader-scheduler"
    missing = await pd.send("POST", f"/schedulers/{name}", {})
    assert (missing.status_code, missing.json()) == (400, "missing pause time")
    answer = await pd.send("POST", f"/schedulers/{name}", {"delay": 30})
    assert answer.json() == "Pause or resume the scheduler successfully."
    assert await pd.get("/schedulers?status=paused") == [name]
    key = f'pd_scheduler_status{{kind="{name}",type="allow"}}'
    assert (await pd.metrics())[key] == 0
    pd.cluster.advance(31)
    assert await pd.get("/schedulers?status=paused") == []
    assert (await pd.send("POST", "/schedulers/odd", {"delay": 1})).status_code == 500
    assert (await pd.send("POST", "/schedulers/all", {"delay": 9})).status_code == 200
    assert len(await pd.get("/schedulers?status=paused")) == 5


async def test_a_lasting_leader_imbalance_needs_the_scheduler_resumed(pd: Pd) -> None:
    pd.cluster.apply_fault("leader_imbalance", 2)
    pd.cluster.advance(300)
    assert await pd.leaders(2) == await pd.peers(2)
    assert await pd.get("/schedulers?status=paused") == ["balance-leader-scheduler"]
    pd.cluster.apply_fault("resume_scheduler")
    pd.cluster.advance(120)
    assert await pd.leaders(2) <= 25


async def test_a_passing_leader_imbalance_heals_by_itself(pd: Pd) -> None:
    pd.cluster.apply_fault("leader_imbalance", 2, persistent=False)
    assert await pd.leaders(2) >= 40
    pd.cluster.advance(120)
    assert await pd.leaders(2) <= 25


async def test_the_leader_schedule_limit_stops_an_evict(pd: Pd) -> None:
    answer = await pd.send("POST", "/config", {"schedule.leader-schedule-limit": 0})
    assert answer.json() == "The config is updated."
    await pd.send("POST", "/schedulers", EVICT)
    pd.cluster.advance(60)
    assert await pd.leaders(1) == 15
    unknown = await pd.send("POST", "/config", {"odd": 1})
    assert (unknown.status_code, unknown.json()) == (400, "config item odd not found")
    bad = await pd.send("POST", "/config", {"max-store-down-time": "soon"})
    assert bad.status_code == 400


async def test_halt_scheduling_stops_everything(pd: Pd) -> None:
    await pd.send("POST", "/config/schedule", {"halt-scheduling": "true"})
    await pd.send("POST", "/schedulers", EVICT)
    await pd.send("DELETE", "/store/2")
    pd.cluster.advance(300)
    assert await pd.leaders(1) == 15
    assert await pd.state_name(2) == "Offline"
    assert (await pd.get("/config/schedule"))["halt-scheduling"] == "true"


async def test_a_healthy_cluster_is_left_alone(pd: Pd) -> None:
    before = [await pd.peers(store_id) for store_id in (1, 2, 3, 4)]
    pd.cluster.advance(1800)
    assert [await pd.peers(store_id) for store_id in (1, 2, 3, 4)] == before
    assert [await pd.leaders(store_id) for store_id in (1, 2, 3, 4)] == [15] * 4


def small_regions(limit: int = 8) -> SimulatedCluster:
    cluster = SimulatedCluster(seed=3, stores=4, regions=24)
    cluster.begin_fault("config", item="merge-schedule-limit", value=limit)
    cluster.begin_fault("resize_regions", regions=12, size_mib=1)
    return cluster


def test_pd_merges_small_neighbours_and_no_key_is_lost() -> None:
    cluster = small_regions()
    cluster.advance(1800)
    regions = cluster.world.raft.in_key_order()
    assert len(regions) < 24
    assert [one.end_key for one in regions[:-1]] == [one.start_key for one in regions[1:]]
    assert (regions[0].start_key, regions[-1].end_key) == ("", "")
    assert sum(one.size_mib > 54 for one in regions) == len(regions)


def test_nothing_is_merged_at_a_limit_of_0_nor_within_an_hour_of_a_new_leader_or_a_split() -> None:
    off, elected, cut = small_regions(limit=0), small_regions(), small_regions()
    elected.begin_fault("pd_stop")
    for region_id in [one.region_id for one in cut.world.raft]:
        cut.world.pd.split_seconds[region_id] = 0.0
    for cluster in (off, elected, cut):
        cluster.advance(3000)
        assert len(cluster.world.raft) == 24
    cut.advance(3000)
    assert len(cut.world.raft) < 24

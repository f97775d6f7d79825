"""Every rule is broken by its documented source: a fault, with PD's answers and metrics of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from operator_tikv.lab import Site
from operator_tikv.simulator.scenario import build, read_scenario
from tikv_pictures import RULES, broken
from tikv_support import simulated_subject

if TYPE_CHECKING:
    from operator_core.monitor.types import Observation

Fault = dict[str, Any]
ALL = [1, 2, 3, 4]
BEGIN_SECONDS = 60.0
EVERY = pytest.mark.timeout(60)


def config(item: str, value: object) -> Fault:
    return {"fault": "config", "item": item, "value": value}


def slow_snapshots(*stores: int) -> Fault:
    return {"fault": "slow_snapshots", "stores": list(stores), "mib_per_second": 0.01}


@dataclass(frozen=True)
class Case:
    """What is done to a cluster, whom the rule then names, and when it is looked at.

    Attributes:
        target: what is broken.
        faults: all begin at once.
        after_seconds: how long before the first of the looks.
        looks: how many; rates need two, and what lasts needs more.
        every_seconds: between two looks.
        regions: how many the cluster has.
    """

    target: str
    faults: tuple[Fault, ...]
    after_seconds: float = 30.0
    looks: int = 1
    every_seconds: float = 30.0
    regions: int = 24


def case(target: str, *faults: Fault, **more: int) -> Case:
    return Case(target, faults, **more)


STOP = {"fault": "stop", "stores": [2]}
LOST_QUORUM = {"fault": "stop", "stores": [1, 2, 3]}
SLOW_DISK = {"fault": "slow_disk", "stores": [2], "latency": "5s"}
STALL = {"fault": "write_stall", "stores": [2]}


def overload(pool: str) -> Fault:
    return {"fault": "overload", "stores": [2], "pool": pool}


def metric(target: str, *faults: Fault, looks: int = 4, **more: int) -> Case:
    return case(target, *faults, looks=looks, **more)


CASES: dict[str, Case] = {
    "store_disconnected": case("store-2", STOP, after_seconds=60),
    "store_down": case("store-2", STOP, after_seconds=1860),
    "slow_store": case("store-2", {**SLOW_DISK, "stores": [2, 3]}, after_seconds=120),
    "low_space": case("store-2", {"fault": "full_disk", "stores": [2], "left": 0.02}),
    "cluster_space": case("cluster", {"fault": "full_disk", "stores": ALL, "left": 0.1}),
    "evict_leader_left_over": case("store-2", {"fault": "evict_leader", "stores": [2]}),
    "leader_imbalance": case(
        "cluster",
        config("leader-schedule-limit", 0),
        {"fault": "move_leaders", "stores": [2]},
        regions=60,
    ),
    "offline_stuck": case(
        "store-3",
        config("replica-schedule-limit", 0),
        {"fault": "delete_store", "stores": [3]},
        looks=2,
        every_seconds=1860,
    ),
    "tombstones_left": case(
        "cluster", {"fault": "delete_store", "stores": [4]}, after_seconds=600, regions=12
    ),
    "mixed_versions": case("cluster", {"fault": "version", "stores": [1]}),
    "partial_partition": case(
        "store-2", {"fault": "partition", "stores": [2]}, after_seconds=60, looks=4
    ),
    "miss_peers": case("regions", config("max-replicas", 4), after_seconds=1),
    "down_peers": case("regions", {"fault": "broken_peers", "stores": [2]}),
    "pending_peers": case("regions", {"fault": "stuck_learner", "stores": [2]}),
    "region_without_leader": case("regions", LOST_QUORUM, after_seconds=60),
    "empty_regions": case(
        "cluster",
        config("merge-schedule-limit", 0),
        {"fault": "resize_regions", "regions": 1100},
        after_seconds=70,
        regions=1500,
    ),
    "store_fills_slowly": case(
        "store-245",  # the id that PD gives next
        {"fault": "store_limit", "stores": ALL, "rate": 0.2},
        {"fault": "join"},
        looks=18,
        every_seconds=60,
        regions=60,
    ),
    "store_limit_low": case(
        "cluster",
        {"fault": "store_limit", "stores": ALL, "rate": 0.2},
        {"fault": "delete_store", "stores": [4]},
    ),
    "operators_crawl": case(
        "cluster",
        slow_snapshots(1, 2, 3),
        {"fault": "resize_regions", "regions": 20, "size_mib": 300},
        {"fault": "delete_store", "stores": [4]},
        after_seconds=540,
    ),
    "pending_peers_stuck": case(
        "store-3",
        {**slow_snapshots(3), "direction": "in"},
        {"fault": "delete_store", "stores": [4]},
        looks=20,
        every_seconds=60,
    ),
    "hot_region": case("write", {"fault": "hot_region", "mib_per_second": 80}, after_seconds=240),
    "hot_store": case(
        "store-2",
        {"fault": "hot_store", "stores": [2], "regions": 10, "mib_per_second": 250},
        after_seconds=60,
        looks=2,
        regions=60,
    ),
    "isolation_lost": case(
        "cluster",
        config("location-labels", "zone"),
        {"fault": "labels", "stores": ALL, "labels": {"zone": "z1"}},
        looks=2,
    ),
    "pd_no_leader": case("pd", {"fault": "pd_freeze"}),
    "pd_member_down": case("pd-pd-1", {"fault": "pd_stop", "members": ["pd-1"]}),
    "pd_leader_flapping": case(
        "pd", {"fault": "pd_flap", "every": "60s"}, looks=30, every_seconds=10
    ),
    "scheduler_paused": case("balance-leader-scheduler", {"fault": "pause_scheduler"}),
    "scheduler_missing": case("balance-leader-scheduler", {"fault": "remove_scheduler"}),
    "eviction_stalled": case(
        "evict-leader-scheduler", {"fault": "evict_leader", "stores": [2], "batch": 0}
    ),
    "checker_paused": case("rule", {"fault": "pause_checker"}),
    "scheduling_halted": case("cluster", config("halt-scheduling", value=True)),
    "schedule_limit_zero": case("leader-schedule-limit", config("leader-schedule-limit", 0)),
    "repair_switched_off": case(
        "enable-make-up-replica", config("enable-make-up-replica", value=False)
    ),
    "schedule_denied": case("cluster", {"fault": "deny_schedule"}),
    "store_limit_unlimited": case(
        "store-2",
        {"fault": "store_limit", "stores": [2], "rate": 100_000_000, "type": "remove-peer"},
    ),
    "placement_unsatisfiable": case(
        "pd/default",
        config("location-labels", "zone"),
        config("isolation-level", "zone"),
        {"fault": "labels", "stores": ALL, "labels": {"zone": "z1"}},
    ),
    "location_labels_missing": case("store-1", config("location-labels", "rack")),
    "gc_safe_point_stale": case("cluster", {"fault": "gc_block", "age": "30h"}),
    "tikv_critical_error": metric("store-2", {"fault": "corruption", "stores": [2]}),
    "leader_missing": metric("store-4", LOST_QUORUM, after_seconds=700),
    "memory_growing": metric(
        "store-2",
        {"fault": "memory_leak", "stores": [2]},
        looks=12,
    ),
    "channel_full": metric("store-2", overload("raftstore")),
    "write_stall": metric("store-2", STALL),
    "async_snapshot_slow": metric("store-2", overload("raftstore")),
    "async_write_slow": metric("store-2", SLOW_DISK),
    "coprocessor_queue": metric("store-2", overload("coprocessor")),
    "raft_append_slow": metric("store-2", SLOW_DISK),
    "raft_apply_slow": metric("store-2", SLOW_DISK),
    "latch_wait_slow": metric("store-2", overload("scheduler")),
    "command_slow": metric("store-2", overload("scheduler")),
    "raft_ready_slow": metric("store-2", overload("raftstore")),
    "raft_tick_slow": metric("store-2", overload("raftstore")),
    "raftstore_cpu_high": metric("store-2", overload("raftstore")),
    "apply_cpu_high": metric("store-2", overload("apply")),
    "read_cpu_high": metric("store-2", overload("coprocessor")),
    "scheduler_backlog": metric("store-2", overload("scheduler"), looks=1),
    "worker_backlog": metric("store-2", overload("raftstore")),
    "region_too_large": metric(
        "store-2", {"fault": "resize_regions", "regions": 24, "size_mib": 3000}, looks=8
    ),
    "tikv_restarted": metric("store-2", {"fault": "kill", "stores": [2], "restart_after": "5s"}),
    "tikv_cpu_high": metric(
        "store-2",
        {"fault": "hot_store", "stores": [2], "mib_per_second": 1000},
    ),
    "tikv_memory_high": metric("store-2", {"fault": "memory_leak", "stores": [2]}, looks=23),
    "leader_drops": case(
        "store-1",
        config("leader-schedule-limit", 0),
        {"fault": "move_leaders", "stores": [2]},
        after_seconds=25,
        regions=120,
    ),
    "raft_log_lag": metric("store-1", {"fault": "lagging_replicas", "stores": [2]}),
    "read_pool_backlog": metric("store-2", overload("coprocessor"), looks=1),
    "store_metrics_unreachable": metric(
        "store-2", {"fault": "closed_status_port", "stores": [2]}, looks=2
    ),
    "write_stall_near": metric("store-2", {"fault": "slow_compaction", "stores": [2]}, looks=1),
    "pd_etcd_space": metric("pd-pd-0", {"fault": "pd_database"}, looks=1),
    "pd_cpu_high": metric("pd-pd-0", {"fault": "pd_overload", "cpu": 0.95}),
    "pd_memory_high": metric("pd-pd-0", {"fault": "pd_overload", "memory": 0.95}),
    "pd_disk_slow": metric("pd-pd-0", {"fault": "pd_slow_disk"}),
    "pd_network_slow": metric("pd-pd-0", {"fault": "pd_slow_network"}),
    "tso_slow": metric("pd-pd-0", {"fault": "pd_overload"}),
    "pd_clock_slow": metric("pd-pd-0", {"fault": "clock_offset", "offset": "-2s"}),
    "no_store_for_replica": metric("pd-pd-0", config("max-replicas", 5), looks=8),
    "operators_time_out": metric(
        "pd-pd-0",
        slow_snapshots(*ALL),
        config("max-replicas", 4),
        after_seconds=640,
        regions=60,
    ),
    "pd_restarted": metric("pd-pd-0", {"fault": "pd_stop", "until": "90s"}),
}


async def look(one: Case) -> Observation:
    """Return the last look at a cluster to which this was done, over HTTP as always."""
    faults = [{"at": f"{BEGIN_SECONDS:g}s", **fault} for fault in one.faults]
    table = {"duration": "2h", "cluster": {"regions": one.regions}, "faults": faults}
    cluster = build(read_scenario(table))
    cluster.advance(BEGIN_SECONDS - 10)
    subject = simulated_subject(cluster, Site(cluster))
    try:
        observation = await subject.observe()
        cluster.advance(10 + one.after_seconds)
        for number in range(one.looks):
            cluster.advance(one.every_seconds if number else 0)
            observation = await subject.observe()
        return observation
    finally:
        await subject.close()


@EVERY
@pytest.mark.parametrize("name", CASES)
async def test_a_fault_breaks_the_rule(name: str) -> None:
    one = CASES[name]
    observation = await look(one)
    assert observation.sees(RULES[name].needs)
    assert one.target in {violation.target for violation in broken(observation, name)}


class OneAddress(Site):
    """The network of a cluster whose PD tells of two stores at one address."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await super().handle_async_request(request)
        await response.aread()
        text = response.text
        if request.url.path.endswith("/stores"):
            text = text.replace("tikv-2.tikv-peer:20160", "tikv-1.tikv-peer:20160")
        return httpx.Response(response.status_code, text=text, request=request)


@EVERY
async def test_two_stores_at_one_address_are_told() -> None:
    """No fault of the simulator makes this: an old store was deleted by force."""
    cluster = build(read_scenario({"duration": "1h", "cluster": {"regions": 12}}))
    subject = simulated_subject(cluster, OneAddress(cluster))
    observation = await subject.observe()
    await subject.close()
    found = [violation.target for violation in broken(observation, "shared_address")]
    assert found == ["tikv-1.tikv-peer:20160"]


def test_no_rule_goes_without_its_source() -> None:
    clients = {"client_tso_slow", "client_gc_failing"}  # only Prometheus tells: test_tikv_sight.py
    assert {*CASES, "shared_address", *clients} == set(RULES)
    assert "shared_address" not in CASES

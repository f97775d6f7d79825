"""What a TiKV process counts, from its vitals, under TiKV's own names and labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from operator_tikv.simulator.meter import Rates, Spread, key
from operator_tikv.simulator.units import MIB
from operator_tikv.simulator.vitals import (
    KEYS_PER_ENTRY,
    POOL_THREADS,
    UNREACHABLE_PER_SECOND,
    cores_used,
    latencies,
    read_vitals,
)

if TYPE_CHECKING:
    from operator_tikv.simulator.model import Store, Vitals
    from operator_tikv.simulator.world import World

_THREADS: Final = {
    "raftstore": "raftstore_1_{}",
    "apply": "apply_{}",
    "coprocessor": "cop_normal_{}",
    "scheduler": "sched_worker_pr_{}",
}
_OTHER_CORES: Final = {"grpc_server_0": 0.1, "store_writer_0": 0.05, "rocksdb:low0": 0.1}
_LAGGING_SHARE: Final = 0.2
"""Of what a leader counts, as long as one of its followers hears nothing."""


def settle(world: World, store: Store) -> None:
    """Bring a store's counters up to date if the way it fares has changed."""
    vitals = read_vitals(world, store)
    if vitals != store.vitals:
        store.vitals = vitals
        store.meter.settle(world.now_seconds, counter_rates(vitals), spread(vitals))


def counter_rates(vitals: Vitals) -> Rates:
    """How fast each counter grows."""
    return {
        **_thread_rates(vitals),
        **_traffic_rates(vitals),
        **_trouble_rates(vitals),
        **_upkeep_rates(vitals),
    }


def _thread_rates(vitals: Vitals) -> Rates:
    rates: Rates = {}
    total = sum(_OTHER_CORES.values())
    for pool, cores in cores_used(vitals).items():
        threads = POOL_THREADS[pool]
        total += cores
        for number in range(threads):
            name = _THREADS[pool].format(number)
            tid = str(100 + len(rates))
            rates[key("tikv_thread_cpu_seconds_total", name=name, tid=tid)] = cores / threads
    for name, cores in _OTHER_CORES.items():
        tid = str(100 + len(rates))
        rates[key("tikv_thread_cpu_seconds_total", name=name, tid=tid)] = cores
    rates[key("process_cpu_seconds_total")] = total
    return rates


def _traffic_rates(vitals: Vitals) -> Rates:
    writes = vitals.writes_per_second / KEYS_PER_ENTRY
    status = "err_server_is_busy" if vitals.ailments.stalled else "success"
    name = "tikv_storage_engine_async_request_total"
    return {
        key(name, type="write", status="all"): writes,
        key(name, type="write", status=status): writes,
        key(name, type="snapshot", status="all"): vitals.reads_per_second / KEYS_PER_ENTRY,
        key(name, type="snapshot", status="success"): vitals.reads_per_second / KEYS_PER_ENTRY,
        key("tikv_scheduler_stage_total", type="prewrite", stage="new"): writes,
        key("tikv_scheduler_stage_total", type="commit", stage="new"): writes,
        key("tikv_engine_flow_bytes", db="kv", type="bytes_written"): (
            vitals.written_bytes_per_second
        ),
        key("tikv_engine_flow_bytes", db="kv", type="bytes_read"): vitals.read_bytes_per_second,
        key("tikv_engine_wal_file_synced", db="kv"): writes,
        key("tikv_pd_heartbeat_message_total", type="send"): vitals.leaders / 60.0,
        key("tikv_pd_validate_peer_total", type="region epoch error"): 0.0,
        key("tikv_raftstore_proposal_total", type="normal"): writes,
    }


def _trouble_rates(vitals: Vitals) -> Rates:
    ailments = vitals.ailments
    busy = "raftstore" in ailments.busy_pools
    scheduler = "scheduler" in ailments.busy_pools or ailments.stalled
    rates = {
        key("tikv_channel_full_total", type="raft"): 5.0 if busy else 0.0,
        key("tikv_channel_full_total", type="apply"): 5.0 * ("apply" in ailments.busy_pools),
        key("tikv_scheduler_too_busy_total", type="prewrite"): 20.0 if scheduler else 0.0,
        key("tikv_grpc_msg_fail_total", type="kv_prewrite"): 5.0 if scheduler else 0.0,
        key("tikv_coprocessor_request_error", reason="full"): (
            10.0 * ("coprocessor" in ailments.busy_pools)
        ),
        key("tikv_pd_reconnect_total", type="try"): 1.0 if vitals.clients_fail else 0.0,
    }
    if ailments.critical_error:
        rates[key("tikv_critical_error_total", type=ailments.critical_error)] = 0.2
    for store_id in vitals.unreachable:
        name = "tikv_server_report_failure_msg_total"
        rates[key(name, type="unreachable", store_id=str(store_id))] = UNREACHABLE_PER_SECOND
    return rates


def _upkeep_rates(vitals: Vitals) -> Rates:
    compactions = 0.02 if vitals.writes_per_second else 0.0
    return {
        key("tikv_gcworker_gc_tasks_vec", task="gc"): 1.0 / 600.0 if vitals.gc_runs else 0.0,
        key("tikv_gc_compaction_filter_perform", key_mode="txn"): (
            compactions if vitals.gc_runs else 0.0
        ),
        key("tikv_engine_event_total", db="kv", cf="write", type="compaction"): compactions,
        key("tikv_engine_event_total", db="kv", cf="default", type="compaction"): compactions,
        key("tikv_engine_event_total", db="kv", cf="write", type="flush"): compactions,
    }


def spread(vitals: Vitals) -> Spread:
    """How many observations of which value each histogram takes in a second."""
    took = latencies(vitals)
    writes = vitals.writes_per_second / KEYS_PER_ENTRY
    reads = vitals.reads_per_second / KEYS_PER_ENTRY
    return {
        key(name, **labels): {took[stage]: writes if of == "write" else reads}
        for name, labels, stage, of in _HISTOGRAMS
    } | _steady_spread(vitals, took, writes)


_HISTOGRAMS: Final[list[tuple[str, dict[str, str], str, str]]] = [
    ("tikv_raftstore_append_log_duration_seconds", {}, "append", "write"),
    ("tikv_raftstore_commit_log_duration_seconds", {}, "commit", "write"),
    ("tikv_raftstore_apply_log_duration_seconds", {}, "apply", "write"),
    ("tikv_raftstore_apply_wait_time_duration_secs", {}, "apply_wait", "write"),
    ("tikv_raftstore_request_wait_time_duration_secs", {}, "propose_wait", "write"),
    ("tikv_storage_engine_async_request_duration_seconds", {"type": "write"}, "write", "write"),
    (
        "tikv_storage_engine_async_request_duration_seconds",
        {"type": "snapshot"},
        "snapshot",
        "read",
    ),
    ("tikv_scheduler_command_duration_seconds", {"type": "prewrite"}, "command", "write"),
    ("tikv_scheduler_command_duration_seconds", {"type": "commit"}, "command", "write"),
    ("tikv_scheduler_latch_wait_duration_seconds", {"type": "prewrite"}, "latch", "write"),
    (
        "tikv_coprocessor_request_wait_seconds",
        {"req": "select", "type": "all"},
        "coprocessor_wait",
        "read",
    ),
    ("tikv_coprocessor_request_duration_seconds", {"req": "select"}, "coprocessor_wait", "read"),
    (
        "tikv_grpc_msg_duration_seconds",
        {"type": "kv_prewrite", "priority": "medium"},
        "command",
        "write",
    ),
    (
        "tikv_grpc_msg_duration_seconds",
        {"type": "kv_commit", "priority": "medium"},
        "command",
        "write",
    ),
    ("tikv_grpc_msg_duration_seconds", {"type": "kv_get", "priority": "medium"}, "read", "read"),
    (
        "tikv_grpc_msg_duration_seconds",
        {"type": "coprocessor", "priority": "medium"},
        "coprocessor_wait",
        "read",
    ),
]


def _steady_spread(vitals: Vitals, took: dict[str, float], writes: float) -> Spread:
    """Observations that come by themselves, and those of other things than seconds."""
    ticks = 1.0 + vitals.regions / 10.0
    process = "tikv_raftstore_raft_process_duration_secs"
    lag = _LAGGING_SHARE if vitals.lag_entries else 0.0
    seen = writes + 1.0
    return {
        key(process, type="ready"): {took["ready"]: writes + 1.0},
        key(process, type="tick"): {took["tick"]: ticks},
        key("tikv_raftstore_event_duration", type="tick"): {took["tick"]: ticks},
        key("tikv_raftstore_log_lag"): {1.0: seen * (1.0 - lag), vitals.lag_entries: seen * lag},
        key("tikv_raftstore_region_size"): {
            float(max(1, vitals.mean_region_mib) * MIB): vitals.leaders / 60.0
        },
        key("tikv_pd_request_duration_seconds", type="tso"): {
            3.0 if vitals.clients_fail else 0.002: 1.0
        },
        key("tikv_coprocessor_scan_keys", req="select", kind="processed_keys"): {
            100.0: vitals.reads_per_second / KEYS_PER_ENTRY
        },
    }

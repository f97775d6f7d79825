"""Rules about metrics: what each store and PD member must not pass."""

from math import inf
from typing import Final

from operator_core.monitor.types import Invariant
from operator_core.types import Severity
from operator_tikv.metrics.sight import CLIENT_METRICS, PD_METRICS, STORE_METRICS
from operator_tikv.rules.limit import Limit

_GIB: Final = float(1 << 30)


def _shares(prefix: str, part: str) -> tuple[Limit, ...]:
    """Return the limits of what a process may use of its CPU and memory."""
    return (
        Limit(
            f"{prefix}_cpu_high",
            "cpu_cores",
            "most_share",
            0.8,
            "it uses {value} of its CPU",
            45.0,
            part,
            per="cpu_quota_cores",
        ),
        Limit(
            f"{prefix}_memory_high",
            "memory_bytes",
            "most_share",
            0.8,
            "it uses {value} of its memory",
            15.0,
            part,
            per="memory_quota_bytes",
        ),
    )


_CRITICAL: Final = Severity.CRITICAL

LIMITS: Final = (
    Limit(
        "tikv_critical_error",
        "critical_errors_per_second",
        "most_per_second",
        0.0,
        "it reports critical errors (corruption, IO): read its log, keep its data, do not "
        "restart it again and again",
        0.0,
        severity=_CRITICAL,
    ),
    Limit(
        "leader_missing",
        "leader_missing_regions",
        "most_regions",
        0.0,
        "{value} of its regions have had no leader for ten minutes, whatever PD shows",
        severity=_CRITICAL,
    ),
    Limit(
        "memory_growing",
        "memory_growth_bytes",
        "most_growth_bytes",
        5 * _GIB,
        "its memory grew by {value} bytes in five minutes",
        300.0,
        severity=_CRITICAL,
    ),
    Limit(
        "channel_full",
        "channel_full_per_second",
        "most_per_second",
        0.0,
        "its raftstore or apply channel is full {value} times a second: a thread is stuck",
        severity=_CRITICAL,
    ),
    Limit(
        "write_stall",
        "write_stall_growth",
        "most_growth_microseconds",
        0.0,
        "RocksDB stalls writes",
        severity=_CRITICAL,
    ),
    Limit(
        "write_stall_near",
        "l0_files",
        "most_files",
        80.0,
        "{value} files wait at level 0, so that a write stall is near",
        severity=_CRITICAL,
    ),
    Limit(
        "raft_log_lag",
        "log_lag_p99_entries",
        "most_entries",
        5000.0,
        "followers lag {value} entries behind (p99)",
        severity=_CRITICAL,
        is_undisturbed=True,
    ),
    *(
        Limit(name, signal, "most_seconds", most, f"{words} {{value}} s", severity=severity)
        for name, signal, most, words, severity in (
            (
                "async_snapshot_slow",
                "async_snapshot_p99_seconds",
                1.0,
                "a local snapshot takes",
                _CRITICAL,
            ),
            ("async_write_slow", "async_write_p99_seconds", 1.0, "a raft write takes", _CRITICAL),
            (
                "coprocessor_queue",
                "coprocessor_wait_p9999_seconds",
                10.0,
                "coprocessor requests wait",
                _CRITICAL,
            ),
            (
                "raft_append_slow",
                "raft_append_p99_seconds",
                1.0,
                "appending to the raft log takes",
                _CRITICAL,
            ),
            ("raft_apply_slow", "raft_apply_p99_seconds", 1.0, "applying takes", _CRITICAL),
            (
                "latch_wait_slow",
                "latch_wait_p99_seconds",
                1.0,
                "writes wait for each other",
                _CRITICAL,
            ),
            ("command_slow", "command_p99_seconds", 1.0, "a write command takes", Severity.WARNING),
            (
                "raft_ready_slow",
                "raft_ready_p999_seconds",
                2.0,
                "handling raft's ready takes",
                Severity.WARNING,
            ),
            (
                "raft_tick_slow",
                "raft_tick_p999_seconds",
                2.0,
                "handling raft's ticks takes",
                Severity.WARNING,
            ),
        )
    ),
    Limit(
        "raftstore_cpu_high",
        "raftstore_cpu_cores",
        "most_cores",
        1.6,
        "its raftstore threads use {value} cores",
        severity=_CRITICAL,
    ),
    Limit(
        "apply_cpu_high",
        "apply_cpu_cores",
        "most_cores",
        0.9,
        "an apply thread uses {value} of a core",
        severity=_CRITICAL,
    ),
    Limit(
        "read_cpu_high",
        "read_cpu_cores",
        "most_share",
        0.9,
        "its read threads use {value} of what they can",
        per="read_threads",
    ),
    Limit(
        "read_pool_backlog",
        "read_pool_tasks",
        "most_tasks",
        5000.0,
        "{value} reads run or wait",
    ),
    Limit(
        "scheduler_backlog",
        "running_commands_change",
        "most_change",
        1000.0,
        "its running write commands changed by {value} in five minutes",
        size=abs,
    ),
    Limit(
        "worker_backlog",
        "waiting_tasks",
        "most_tasks",
        1000.0,
        "{value} tasks wait for a worker",
    ),
    Limit(
        "region_too_large",
        "region_size_p99_bytes",
        "most_bytes",
        _GIB,
        "its largest regions have {value} bytes: they are not split as fast as they grow",
    ),
    Limit(
        "leader_drops",
        "leader_change",
        "most_lost",
        10.0,
        "its leaders changed by {value} in half a minute, and nobody drains it",
        planned=inf,
        size=lambda value: -value,
    ),
    Limit(
        "tikv_restarted",
        "restarts",
        "most_restarts",
        0.0,
        "it was restarted in the last five minutes",
        0.0,
        planned=1.0,  # who restarts a drained store does so once; a second time it dies by itself
    ),
    *_shares("tikv", STORE_METRICS),
    *_shares("pd", PD_METRICS),
    Limit(
        "pd_etcd_space",
        "etcd_bytes",
        "most_share",
        0.8,
        "its etcd uses {value} of its quota",
        15.0,
        PD_METRICS,
        per="etcd_quota_bytes",
    ),
    Limit(
        "pd_disk_slow",
        "etcd_fsync_p99_seconds",
        "most_seconds",
        1.0,
        "writing to its disk takes {value} s (p99): its leader may lose the lease",
        part=PD_METRICS,
        severity=_CRITICAL,
    ),
    Limit(
        "pd_network_slow",
        "peer_round_trip_p99_seconds",
        "most_seconds",
        1.0,
        "another member answers after {value} s (p99)",
        part=PD_METRICS,
    ),
    Limit(
        "tso_slow",
        "tso_p99_seconds",
        "most_seconds",
        0.1,
        "timestamps take {value} s (p99)",
        part=PD_METRICS,
    ),
    Limit(
        "client_tso_slow",
        "client_tso_p99_seconds",
        "most_seconds",
        0.1,
        "its timestamps take {value} s (p99)",
        part=CLIENT_METRICS,
    ),
    Limit(
        "client_gc_failing",
        "client_gc_failures",
        "most_per_second",
        0.167,
        "garbage collection fails {value} times a second",
        part=CLIENT_METRICS,
        severity=_CRITICAL,
    ),
    Limit(
        "pd_clock_slow",
        "clock_slow_events",
        "most_events",
        0.0,
        "its clock went back or stood still: repair the time of the host by slewing",
        part=PD_METRICS,
    ),
    Limit(
        "no_store_for_replica",
        "no_store_per_second",
        "most_per_second",
        0.0,
        "it finds no store for a replica: look at free space, labels and rules",
        # While replicas move, a store at its limit is none for the moment.
        grace_seconds=300.0,
        part=PD_METRICS,
        is_idle=True,
    ),
    Limit(
        "operators_time_out",
        "operator_timeouts_per_second",
        "most_per_second",
        0.05,
        "{value} of its operators a second time out",
        600.0,
        part=PD_METRICS,
    ),
    Limit(
        "pd_restarted",
        "restarts",
        "most_restarts",
        0.0,
        "it was restarted in the last five minutes",
        0.0,
        part=PD_METRICS,
        excused="planned_restarts",
    ),
)

METRIC_RULES: Final[tuple[Invariant, ...]] = tuple(limit.as_rule() for limit in LIMITS)

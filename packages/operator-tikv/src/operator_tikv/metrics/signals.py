"""The readings that are wanted from metrics, each written once.

From one definition come both the PromQL that Prometheus is asked and what is computed from
two looks at a process's own `/metrics`, so the two cannot mean different things.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Component(StrEnum):
    """Whose metrics they are."""

    TIKV = "tikv"
    PD = "pd"
    CLIENT = "client"
    """TiDB and other clients, which only Prometheus knows."""


class Kind(StrEnum):
    """What is made of a metric."""

    VALUE = "value"
    """The value as it stands."""
    RATE = "rate"
    """How much a counter grows in a second, of late."""
    DELTA = "delta"
    """How much a gauge changed over the window."""
    QUANTILE = "quantile"
    """A quantile of a histogram over the window; no data where nothing was counted."""
    STARTS = "starts"
    """How often a start time changed within the window, and a counter of the process fell."""
    GROWTH = "growth"
    """How much a counter grew within the whole window."""


class Join(StrEnum):
    """How the series of one process become one number."""

    SUM = "sum"
    MAX = "max"
    COUNT = "count"


@dataclass(frozen=True, eq=False)
class Signal:
    """One reading of each process. Each is made once, so that it is equal to itself only.

    Attributes:
        name: how observations and rules call it; its unit is in it.
        metric: name of the metric; of a histogram without ``_bucket``.
        kind: what is made of it.
        component: whose metric it is.
        matches: labels that must match, each a regular expression of the whole value.
        by: one label that is kept, else each process has one number.
        join: how a process's series become one number.
        quantile: which one, from 0 to 1.
        counter: of `Kind.STARTS`, the counter of the same process that falls when it begins anew;
            a step of the host's clock moves a start time too.
        window_seconds: how far back is looked. A process itself is read about once a minute for
            rates, whatever this says; changes of gauges are scaled to this window.
    """

    name: str
    metric: str
    kind: Kind = Kind.VALUE
    component: Component = Component.TIKV
    matches: tuple[tuple[str, str], ...] = ()
    by: str | None = None
    join: Join = Join.SUM
    quantile: float = 0.0
    counter: str = ""
    window_seconds: int = 60

    @property
    def series(self) -> str:
        """The name that the samples have in the text format."""
        return f"{self.metric}_bucket" if self.kind is Kind.QUANTILE else self.metric

    @property
    def needs_two_looks(self) -> bool:
        """Whether one look at a process is not enough."""
        return self.kind in {Kind.RATE, Kind.DELTA, Kind.QUANTILE}

    @property
    def is_counted(self) -> bool:
        """Whether what happened between looks is remembered for the window."""
        return self.kind in {Kind.STARTS, Kind.GROWTH}


def _p(
    name: str,
    metric: str,
    quantile: float = 0.99,
    component: Component = Component.TIKV,
    by: str | None = None,
    **matches: str,
) -> Signal:
    return Signal(
        name,
        metric,
        Kind.QUANTILE,
        component,
        matches=tuple(matches.items()),
        by=by,
        quantile=quantile,
    )


_START = "process_start_time_seconds"
_CPU = "process_cpu_seconds_total"
_RSS = "process_resident_memory_bytes"
_ASYNC = "tikv_storage_engine_async_request_duration_seconds"
_READ_THREADS = "cop_.*|unified_read_po.*"
_RAFT_THREADS = "(raftstore|rs)_.*"
_THREAD_CPU = "tikv_thread_cpu_seconds_total"
_FIVE_MINUTES, _TEN_MINUTES = 300, 600
_RATE, _DELTA, _PD = Kind.RATE, Kind.DELTA, Component.PD

TIKV_SIGNALS: Final = (
    Signal("restarts", _START, Kind.STARTS, counter=_CPU, window_seconds=_FIVE_MINUTES),
    Signal("cpu_cores", _CPU, _RATE),
    Signal("cpu_quota_cores", "tikv_server_cpu_cores_quota"),
    Signal("memory_bytes", _RSS),
    Signal("memory_growth_bytes", _RSS, _DELTA, window_seconds=_FIVE_MINUTES),
    Signal("memory_quota_bytes", "tikv_server_memory_quota_bytes"),
    Signal(
        "critical_errors_per_second",
        "tikv_critical_error_total",
        _RATE,
        by="type",
    ),
    Signal(
        "unreachable_per_second",
        "tikv_server_report_failure_msg_total",
        _RATE,
        matches=(("type", "unreachable"),),
        by="store_id",
        window_seconds=_TEN_MINUTES,
    ),
    Signal(
        "unreachable_now_per_second",
        "tikv_server_report_failure_msg_total",
        _RATE,
        matches=(("type", "unreachable"),),
        by="store_id",
    ),
    Signal(
        "channel_full_per_second",
        "tikv_channel_full_total",
        _RATE,
        by="type",
        window_seconds=_TEN_MINUTES,
    ),
    Signal(
        "write_stall_growth",
        "tikv_engine_write_stall",
        _DELTA,
        join=Join.MAX,
        window_seconds=_TEN_MINUTES,
    ),
    Signal("l0_files", "tikv_scheduler_l0_avg", join=Join.MAX),
    Signal("pending_compaction_bytes", "tikv_engine_pending_compaction_bytes", join=Join.MAX),
    _p("log_lag_p99_entries", "tikv_raftstore_log_lag"),
    _p("async_snapshot_p99_seconds", _ASYNC, type="snapshot"),
    _p("async_write_p99_seconds", _ASYNC, type="write"),
    _p(
        "coprocessor_wait_p9999_seconds",
        "tikv_coprocessor_request_wait_seconds",
        0.9999,
        type="all",
    ),
    _p("raft_append_p99_seconds", "tikv_raftstore_append_log_duration_seconds"),
    _p("raft_apply_p99_seconds", "tikv_raftstore_apply_log_duration_seconds"),
    _p("latch_wait_p99_seconds", "tikv_scheduler_latch_wait_duration_seconds", by="type"),
    _p("command_p99_seconds", "tikv_scheduler_command_duration_seconds", by="type"),
    _p("raft_ready_p999_seconds", "tikv_raftstore_raft_process_duration_secs", 0.999, type="ready"),
    _p("raft_tick_p999_seconds", "tikv_raftstore_raft_process_duration_secs", 0.999, type="tick"),
    _p("region_size_p99_bytes", "tikv_raftstore_region_size"),
    Signal("raftstore_cpu_cores", _THREAD_CPU, _RATE, matches=(("name", _RAFT_THREADS),)),
    Signal("apply_cpu_cores", _THREAD_CPU, _RATE, matches=(("name", "apply_.*"),), join=Join.MAX),
    Signal("read_cpu_cores", _THREAD_CPU, _RATE, matches=(("name", _READ_THREADS),)),
    Signal("read_threads", _THREAD_CPU, matches=(("name", _READ_THREADS),), join=Join.COUNT),
    Signal(
        "leader_change",
        "tikv_raftstore_region_count",
        _DELTA,
        matches=(("type", "leader"),),
        window_seconds=30,
    ),
    Signal("slow_score", "tikv_raftstore_slow_score", join=Join.MAX),
    Signal("leader_missing_regions", "tikv_raftstore_leader_missing"),
    Signal(
        "running_commands_change",
        "tikv_scheduler_contex_total",
        _DELTA,
        window_seconds=_FIVE_MINUTES,
    ),
    Signal("waiting_tasks", "tikv_worker_pending_task_total", by="name"),
    Signal("read_pool_tasks", "tikv_unified_read_pool_running_tasks"),
)
"""Of each store. `tikv_scheduler_contex_total` is spelt so by TiKV."""

PD_SIGNALS: Final = (
    Signal("restarts", _START, Kind.STARTS, _PD, counter=_CPU, window_seconds=_FIVE_MINUTES),
    Signal("cpu_cores", _CPU, _RATE, _PD),
    Signal("cpu_quota_cores", "pd_service_maxprocs", component=_PD),
    Signal("memory_bytes", _RSS, component=_PD),
    Signal("memory_quota_bytes", "pd_service_memory_quota_bytes", component=_PD),
    Signal("etcd_bytes", "etcd_mvcc_db_total_size_in_bytes", component=_PD),
    Signal("etcd_quota_bytes", "etcd_server_quota_backend_bytes", component=_PD),
    _p("etcd_fsync_p99_seconds", "etcd_disk_wal_fsync_duration_seconds", component=_PD),
    _p(
        "peer_round_trip_p99_seconds",
        "etcd_network_peer_round_trip_time_seconds",
        component=_PD,
        by="To",
    ),
    _p("tso_p99_seconds", "pd_server_handle_tso_duration_seconds", component=_PD),
    Signal(
        "clock_slow_events",
        "pd_tso_events",
        Kind.GROWTH,
        _PD,
        matches=(("type", "system_time_slow"),),
        window_seconds=_TEN_MINUTES,
    ),
    Signal(
        "no_store_per_second",
        "pd_checker_event_count",
        _RATE,
        _PD,
        matches=(
            ("type", "rule_checker|replica_checker"),
            ("name", "no-store.*|no-target-store"),
        ),
    ),
    Signal(
        "operator_timeouts_per_second",
        "pd_schedule_operators_count",
        _RATE,
        _PD,
        matches=(("event", "timeout"),),
        by="type",
        window_seconds=_TEN_MINUTES,
    ),
    Signal(
        "store_limit_hits_per_second",
        "pd_schedule_operator_exceeded_store_limit",
        _RATE,
        _PD,
        window_seconds=_TEN_MINUTES,
    ),
    Signal(
        "registrations_per_second",
        "grpc_server_handled_total",
        _RATE,
        _PD,
        matches=(("grpc_method", "PutStore"),),
        window_seconds=_TEN_MINUTES,
    ),
    Signal(
        "slow_evicted_by_store",
        "pd_scheduler_evicted_slow_store_status",
        component=_PD,
        matches=(("slow_type", "disk"),),
        by="store",
    ),
    Signal("regions_by_state", "pd_regions_status", component=_PD, by="type"),
    Signal("regions_by_isolation", "pd_regions_label_level", component=_PD, by="type"),
    Signal(
        "store_write_bytes_per_second",
        "pd_scheduler_store_status",
        component=_PD,
        matches=(("type", "store_write_rate_bytes"),),
        by="store",
    ),
    Signal(
        "store_read_bytes_per_second",
        "pd_scheduler_store_status",
        component=_PD,
        matches=(("type", "store_read_rate_bytes"),),
        by="store",
    ),
)
"""Of each PD member; what only its leader exports is missing at the others."""

CLIENT_SIGNALS: Final = (
    _p(
        "client_tso_p99_seconds",
        "pd_client_request_handle_requests_duration_seconds",
        component=Component.CLIENT,
        type="tso",
    ),
    Signal(
        "client_gc_failures",
        "tidb_tikvclient_gc_action_result",
        _RATE,
        Component.CLIENT,
        matches=(("type", "fail"),),
    ),
)
"""Of TiDB; there only through Prometheus, and only in clusters that have TiDB."""

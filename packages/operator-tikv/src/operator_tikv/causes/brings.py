"""What a cause brings with it: rules whose problems, opened beside it, are its consequences.

A cause is named by its hypothesis. Its problem is the root; those that it brings need no answer
of their own while it lasts.
"""

from collections.abc import Mapping
from typing import Final

_SILENT_STORE: Final = frozenset(
    {
        "store_down",
        "down_peers",
        "miss_peers",
        "pending_peers",
        "leader_drops",
        "leader_imbalance",
        "leader_missing",
        "no_store_for_replica",
        "raft_log_lag",
        "region_without_leader",
        "store_metrics_unreachable",
    }
)
_SLOW_STORE: Final = frozenset(
    {
        "async_snapshot_slow",
        "async_write_slow",
        "channel_full",
        "command_slow",
        "latch_wait_slow",
        "raft_append_slow",
        "raft_apply_slow",
        "raft_log_lag",
        "raft_ready_slow",
        "raft_tick_slow",
        "scheduler_backlog",
        "worker_backlog",
    }
)
_NO_LEADER: Final = frozenset({"pd_member_down", "pd_leader_flapping", "tso_slow"})
_SWITCH_OFF: Final = frozenset({"leader_imbalance", "offline_stuck", "store_fills_slowly"})
_FULL_DISK: Final = frozenset({"leader_imbalance", "no_store_for_replica"})
_HOT: Final = _SLOW_STORE | {
    "apply_cpu_high",
    "coprocessor_queue",
    "hot_store",
    "raftstore_cpu_high",
    "read_cpu_high",
    "read_pool_backlog",
    "tikv_cpu_high",
}

WHOLE_CLUSTER: Final = frozenset(
    {
        "checker_left_paused",
        "cluster_full",
        "deny_label_left_over",
        "eviction_batch_is_zero",
        "labels_cannot_be_met",
        "limit_left_at_zero",
        "pd_disk_busy",
        "pd_election",
        "pd_leader_hangs",
        "pd_majority_lost",
        "quorum_lost",
        "repair_left_off",
        "scheduler_left_paused",
        "scheduler_removed",
        "scheduling_was_halted",
        "store_limit_too_low",
        "too_few_stores",
    }
)
"""Causes whose consequences show anywhere; those of the others show only where they are."""

BRINGS: Final[Mapping[str, frozenset[str]]] = {
    "store_stopped": _SILENT_STORE | {"tikv_restarted"},
    "store_cut_off": _SILENT_STORE,
    "store_lost": _SILENT_STORE - {"store_down"},
    "data_lost": _SILENT_STORE,
    "several_stores_silent": _SILENT_STORE,
    "quorum_lost": frozenset({"leader_missing"}),
    "peers_cut_off": frozenset({"down_peers", "pending_peers", "raft_log_lag", "leader_drops"}),
    "slow_disk": _SLOW_STORE,
    "disk_slows_writes": _SLOW_STORE | {"slow_store"},
    "raftstore_at_limit": _SLOW_STORE | {"leader_drops"},
    "compaction_behind": _SLOW_STORE,
    "load_of_one_range": _HOT,
    "one_disk_filling": _FULL_DISK,
    "most_disks_filling": _FULL_DISK,
    "cluster_full": frozenset({"low_space", "miss_peers", "no_store_for_replica"}),
    "store_limit_too_low": frozenset({"no_store_for_replica", "store_fills_slowly"}),
    "snapshots_crawl": frozenset({"offline_stuck", "operators_time_out", "pending_peers_stuck"}),
    "receiver_stuck": frozenset({"operators_crawl", "operators_time_out", "pending_peers"}),
    "labels_cannot_be_met": frozenset({"isolation_lost", "miss_peers", "no_store_for_replica"}),
    "too_few_stores": frozenset({"miss_peers", "no_store_for_replica"}),
    "eviction_batch_is_zero": frozenset({"evict_leader_left_over"}),
    "interrupted_maintenance": frozenset({"leader_imbalance"}),
    "scheduler_left_paused": _SWITCH_OFF,
    "scheduler_removed": _SWITCH_OFF,
    "scheduling_was_halted": _SWITCH_OFF,
    "limit_left_at_zero": _SWITCH_OFF | {"empty_regions", "miss_peers"},
    "deny_label_left_over": _SWITCH_OFF,
    "checker_left_paused": frozenset({"miss_peers", "offline_stuck"}),
    "repair_left_off": frozenset({"miss_peers", "offline_stuck"}),
    "memory_runs_out": frozenset({"tikv_restarted", "tikv_memory_high", "leader_drops"}),
    "pd_majority_lost": _NO_LEADER,
    "pd_leader_hangs": _NO_LEADER,
    "pd_election": _NO_LEADER,
    "pd_disk_busy": frozenset({"pd_leader_flapping", "tso_slow", "client_tso_slow"}),
}

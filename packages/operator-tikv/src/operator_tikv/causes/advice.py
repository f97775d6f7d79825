"""Causes that only a person can remove: what is seen, what it means, what to do in order.

The rule that was broken is itself the evidence; the claim names where it can be read again.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from operator_core.agent.diagnosis import Assessment, Claim, Predicate
from operator_core.monitor.types import Observation, Violation
from operator_core.subject import Hypothesis
from operator_tikv.causes.words import claim
from operator_tikv.facts import SLOW_SCORE
from operator_tikv.rules.limit import Limit
from operator_tikv.rules.metrics import LIMITS
from operator_tikv.rules.words import store_id_of, store_target

_LIMITS: Final[dict[str, Limit]] = {limit.rule: limit for limit in LIMITS}

_PATHS: Final[dict[str, str]] = {
    "eviction_stalled": "schedulers/evict_leader_batch",
    "scheduling_halted": "config/halt_scheduling",
    "schedule_limit_zero": "config/zero_limits",
    "repair_switched_off": "config/repair_switches_off",
    "schedule_denied": "placement/lasting_deny_rules",
    "location_labels_missing": "placement/missing_labels",
    "gc_safe_point_stale": "gc/safe_point_age_seconds",
    "cluster_space": "cluster/used_share",
    "tombstones_left": "cluster/tombstone_store_ids",
    "shared_address": "cluster/shared_addresses",
    "mixed_versions": "cluster/versions",
    "store_metrics_unreachable": "store_metrics/unseen",
    "partial_partition": "store_metrics/readings/unreachable_per_second",
    "empty_regions": "pd_metrics/readings/regions_by_state",
    "pd_member_down": "pd/unhealthy_members",
    "pd_leader_flapping": "pd/leader_changes",
}


@dataclass(frozen=True)
class Advice:
    """A cause that a person must remove.

    Attributes:
        name: the hypothesis.
        rules: the invariants that it explains.
        cause: what is behind it and what to do, in order.
        prior: how likely it is before one looks.
        signs: what else must be seen at the store: statement, path with ``{key}`` for the store,
            and the least value.
    """

    name: str
    rules: tuple[str, ...]
    cause: str
    prior: float = 0.5
    signs: tuple[tuple[str, str, float], ...] = ()

    def as_hypothesis(self) -> Hypothesis:
        """Return it as an entry of the catalogue."""
        return Hypothesis(self.name, frozenset(self.rules), self._assess(), self.prior)

    def _signs(self, violation: Violation) -> list[Claim]:
        key = store_id_of(violation.target)
        return [
            claim(words, path.format(key=key), Predicate.GE, least, 3.0)
            for words, path, least in self.signs
        ]

    def _assess(self) -> Callable[[Violation, Observation], Assessment]:
        def assess(violation: Violation, observation: Observation) -> Assessment:
            del observation
            return Assessment(
                cause=self.cause,
                supports=[_evidence(violation), *self._signs(violation)],
                components=[violation.target, *_also_at(violation)],
                escalate=True,
            )

        assess.__doc__ = self.cause
        return assess


_READING: Final = "store_metrics/readings/{signal}/{{key}}"
_SLOW_DISK: Final = (("Its disk is slow", _READING.format(signal="slow_score"), float(SLOW_SCORE)),)
_STALLED: Final = (("RocksDB stalls", _READING.format(signal="write_stall_growth"), 1.0),)
_THREADS_FULL: Final = (
    ("Its raftstore threads are busy", _READING.format(signal="raftstore_cpu_cores"), 1.6),
)
_SLOWNESS: Final = (
    "async_write_slow",
    "raft_append_slow",
    "async_snapshot_slow",
    "raft_apply_slow",
    "command_slow",
    "raft_ready_slow",
    "raft_tick_slow",
    "worker_backlog",
)
"""Many things make a store slow; each has a sign of its own besides."""


def _evidence(violation: Violation) -> Claim:
    return claim(violation.message, _path(violation), Predicate.EXISTS, weight=2.0)


def _also_at(violation: Violation) -> list[str]:
    """Return the other ends of a cut between two stores: what it brings shows at both."""
    return [store_target(one) for one in violation.metrics.get("cut_from_store_ids", ())]


def _path(violation: Violation) -> str:
    rule = violation.invariant
    if rule == "offline_stuck":
        return f"leaving/{store_id_of(violation.target)}/unchanged_seconds"
    limit = _LIMITS.get(rule)
    if limit is None:
        return _PATHS[rule]
    key = violation.target.removeprefix(limit.target(""))
    return f"{limit.part}/readings/{limit.signal}/{key}"


_ADVICE: Final = (
    Advice(
        "scheduling_was_halted",
        ("scheduling_halted",),
        "Somebody set halt-scheduling and left it. Ask whether a recovery runs; then set it to "
        "false.",
    ),
    Advice(
        "eviction_batch_is_zero",
        ("eviction_stalled",),
        "An evict-leader that was there when PD was upgraded to 8.5 has a batch of 0 "
        "(tikv/pd#9416). Set its batch to 3, or delete it and add it again; do not restart a store "
        "that still leads.",
    ),
    Advice(
        "limit_left_at_zero",
        ("schedule_limit_zero",),
        "Somebody stopped this kind of move and left the limit at 0. Restore the value it had "
        "before, not a guess.",
    ),
    Advice(
        "repair_left_off",
        ("repair_switched_off",),
        "Somebody turned a part of PD's repair off. Ask why; then turn it on again.",
    ),
    Advice(
        "deny_label_left_over",
        ("schedule_denied",),
        "A region label keeps PD from moving a range of keys. See whether an import or a backup "
        "still owns it; if not, delete the label rule.",
    ),
    Advice(
        "labels_forgotten",
        ("location_labels_missing",),
        "The store was started without the labels that PD goes by. Set them on the store.",
    ),
    Advice(
        "service_holds_gc",
        ("gc_safe_point_stale",),
        "A changefeed or a backup holds the safe point. Find its owner; resume or remove it in "
        "its own tool. Delete the service's safe point only if the owner is surely gone.",
    ),
    Advice(
        "cluster_full",
        ("cluster_space",),
        "The cluster as a whole is nearly full: add stores. Take none out.",
    ),
    Advice(
        "no_place_to_go",
        ("offline_stuck",),
        "PD finds no place for the regions of the store that leaves, or may not move them: too "
        "few other stores, no space, labels, limits of 0. Add a store or restore the limits; if "
        "the delete was wrong, cancel it. Do not stop the process.",
    ),
    Advice(
        "tombstones_forgotten",
        ("tombstones_left",),
        "Stores that are gone were not forgotten. See that their processes are stopped and their "
        "data is away; then remove the tombstones.",
    ),
    Advice(
        "data_lost_at_address",
        ("shared_address",),
        "A store lost its data and its address is held by its former self. Take the old id out "
        "and wait for its tombstone, or start the new one at another address.",
    ),
    Advice(
        "upgrade_unfinished",
        ("mixed_versions",),
        "An upgrade stopped half way. Look for regions that cannot give their leaders away on "
        "the next store; repair them, then go on, store by store.",
    ),
    Advice(
        "metrics_cut_off",
        ("store_metrics_unreachable",),
        "The store is Up and its status port cannot be reached: a hung process, a firewall, or a "
        "network that is cut on one side.",
    ),
    Advice(
        "peers_cut_off",
        ("partial_partition",),
        "The network between stores is cut while PD still reaches them. Find the host that the "
        "others cannot reach, and repair its network; restart nothing.",
    ),
    Advice(
        "merging_off",
        ("empty_regions",),
        "Empty regions are not merged: merge-schedule-limit is 0, tables are kept apart, or they "
        "were split within the hour.",
    ),
    Advice(
        "pd_member_stopped",
        ("pd_member_down",),
        "The process or the host of a PD member stopped, or it hangs. Start it again with its "
        "data. Delete no member while a majority is at stake.",
    ),
    Advice(
        "pd_leader_unstable",
        ("pd_leader_flapping",),
        "PD's leader loses its lease again and again: a slow disk, a busy host or a bad network. "
        "Find the slow member by its fsync p99; let another, ready one lead; never restart all.",
    ),
    Advice(
        "disk_slows_writes",
        _SLOWNESS,
        "Writes wait for the disk of this store. Compare its disk with the others'; if it alone "
        "is slow, move its leaders away and replace the disk.",
        0.9,
        _SLOW_DISK,
    ),
    Advice(
        "apply_behind",
        (
            *_SLOWNESS,
            "apply_cpu_high",
            "latch_wait_slow",
            "raft_log_lag",
            "scheduler_backlog",
        ),
        "The store applies writes slower than they come: a slow disk, a hot region, or too many "
        "writes to the same keys. Look at its disk first, then at the hot regions.",
        0.2,
    ),
    Advice(
        "raftstore_at_limit",
        ("raftstore_cpu_high", "channel_full"),
        "The raftstore threads are at their limit: too many regions that are awake, or a slow "
        "disk. Let regions hibernate and merge; raise store-pool-size; add stores.",
    ),
    Advice(
        "stalled_writes",
        _SLOWNESS,
        "Writes wait because RocksDB stalls: compaction does not keep up. Slow the writers and "
        "look at the disk; do not restart.",
        0.8,
        _STALLED,
    ),
    Advice(
        "busy_raftstore",
        _SLOWNESS,
        "Everything waits for the raftstore threads of this store: too many regions that are "
        "awake. Let them hibernate and merge; raise store-pool-size; add stores.",
        0.8,
        _THREADS_FULL,
    ),
    Advice(
        "compaction_behind",
        ("write_stall", "write_stall_near"),
        "Compaction does not keep up with writes. Slow the writers, look at the disk, raise the "
        "limits of flow control. Do not restart: compaction would begin anew.",
        0.6,
    ),
    Advice(
        "reads_overload",
        ("read_cpu_high", "read_pool_backlog", "coprocessor_queue"),
        "Reads are more than the store can do: a hot region or a heavy query. Find the query or "
        "the hot region; split the region or let another store lead it.",
    ),
    Advice(
        "memory_runs_out",
        ("memory_growing", "tikv_memory_high"),
        "Memory grows towards its quota: a heavy query, or a block cache that is too large for "
        "the host. Find the query; restart no other store before this one has caught up.",
    ),
    Advice(
        "process_restarted",
        ("tikv_restarted", "pd_restarted"),
        "The process was started anew: a crash, a kill for its memory, or a person. Read its "
        "log's last lines before the start.",
    ),
    Advice(
        "data_damaged",
        ("tikv_critical_error",),
        "The store reports damage to its data or disk. Keep its data, do not restart it again "
        "and again; replace the disk and let PD make its replicas anew.",
    ),
    Advice(
        "leaders_lost",
        ("leader_missing", "leader_drops"),
        "Regions of this store lost their leaders: other stores are silent or cannot be reached. "
        "The tickets of those stores come first.",
    ),
    Advice(
        "regions_too_large",
        ("region_too_large",),
        "Regions grow faster than they are split: writes to one range, or splitting is blocked.",
    ),
    Advice(
        "host_too_busy",
        ("tikv_cpu_high", "pd_cpu_high", "pd_memory_high"),
        "The process needs more than its host gives. Look for what shares the host, and for hot "
        "regions; move load away or give it more.",
    ),
    Advice(
        "pd_disk_busy",
        ("pd_disk_slow",),
        "The disk of PD's etcd is slow. Move what shares the disk; let a member with a good disk "
        "lead.",
    ),
    Advice(
        "pd_database_filling",
        ("pd_etcd_space",),
        "The database of PD's etcd nears its quota, where PD can write nothing more. Find who "
        "writes so much; compact its history, then defragment one member after the other, the "
        "leader last.",
    ),
    Advice(
        "pd_network_bad",
        ("pd_network_slow",),
        "The network between PD's members is slow. Repair it; let a member in the middle lead.",
    ),
    Advice(
        "timestamps_slow",
        ("tso_slow", "client_tso_slow", "client_gc_failing"),
        "PD's leader is slow to answer: CPU, disk or network of its host.",
    ),
    Advice(
        "clock_wrong",
        ("pd_clock_slow",),
        "The clock of PD's host is wrong. Repair its time by slewing, never by a step back on a "
        "running leader; let a member with a good clock lead.",
    ),
    Advice(
        "no_fitting_store",
        ("no_store_for_replica",),
        "PD finds no store for a replica: too few stores, too little space, or labels that "
        "cannot be met. Add a store; take none out.",
    ),
    Advice(
        "snapshots_too_slow",
        ("operators_time_out",),
        "PD's moves end by timeout: regions too large for one snapshot, or a slow receiver. Split "
        "the large ones; lower the number of snapshots at once.",
    ),
)

ADVISED_CAUSES: Final = tuple(one.as_hypothesis() for one in _ADVICE)

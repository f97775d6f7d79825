"""TiKV's `/metrics`: the gauges of one store and what its process has counted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from operator_tikv.simulator import gc
from operator_tikv.simulator.exposition import TIKV_SECONDS, Page
from operator_tikv.simulator.heartbeats import read_stats
from operator_tikv.simulator.units import GIB, MIB
from operator_tikv.simulator.vitals import CORES, MEMORY_BYTES, USED_MEMORY_BYTES

if TYPE_CHECKING:
    from operator_tikv.simulator.model import Store
    from operator_tikv.simulator.world import World

LEADER_MISSING_SECONDS: Final = 600.0
PENDING_TASKS: Final = 5000
READ_TASKS: Final = 8000
RUNNING_COMMANDS: Final = 20
_STALL_US_PER_SECOND: Final = 1000.0
_MICROSECONDS: Final = 1e6


def page(world: World, store: Store) -> str:
    """Print all metrics of a store.

    Args:
        world: the simulation.
        store: a store whose process answers.
    """
    made = Page()
    made.meter(store.meter, world.now_seconds, TIKV_SECONDS)
    _process(made, world, store)
    _raftstore(made, world, store)
    _sizes(made, world, store)
    _queues(made, store)
    _engine(made, store)
    made.gauge("tikv_gcworker_autogc_safe_point", float(gc.safe_point(world)))
    return made.text()


def missing_leaders(world: World, store: Store) -> int:
    """How many regions with a peer here have had no leader for ten minutes."""
    earliest = world.now_seconds - LEADER_MISSING_SECONDS
    regions = (world.raft.get(i) for i, since in world.unled.items() if since <= earliest)
    return sum(
        region is not None and region.peer_on(store.store_id) is not None for region in regions
    )


def _process(made: Page, world: World, store: Store) -> None:
    clock_seconds = store.ailments.clock_offset_seconds
    started = world.unix_seconds(store.start_seconds) + clock_seconds
    made.gauge("process_start_time_seconds", float(int(started)))
    made.gauge("process_resident_memory_bytes", float(int(USED_MEMORY_BYTES + store.leaked_bytes)))
    made.gauge("process_open_fds", float(400 + len(world.stores)))
    made.gauge("process_max_fds", 1_000_000.0)
    made.gauge("tikv_server_cpu_cores_quota", CORES)
    made.gauge("tikv_server_memory_quota_bytes", float(MEMORY_BYTES))


def _raftstore(made: Page, world: World, store: Store) -> None:
    store_id = store.store_id
    regions, leaders = world.raft.region_count(store_id), world.raft.leader_count(store_id)
    made.gauge("tikv_raftstore_region_count", float(regions), type="region")
    made.gauge("tikv_raftstore_region_count", float(leaders), type="leader")
    made.gauge("tikv_raftstore_leader_missing", float(missing_leaders(world, store)))
    made.gauge("tikv_raftstore_slow_score", float(store.disk.slow_score), type="store")
    snapshots = {"sending": store.sending_snapshots, "receiving": store.receiving_snapshots}
    for kind, count in snapshots.items():
        made.gauge("tikv_raftstore_snapshot_traffic_total", float(count), type=kind)
    made.gauge("tikv_raftstore_hibernated_peer_state", float(regions), state="hibernated")


def _sizes(made: Page, world: World, store: Store) -> None:
    stats = read_stats(world, store)
    sizes = {
        "capacity": stats.capacity_bytes,
        "available": stats.available_bytes,
        "used": stats.used_bytes,
        "kv_size": stats.used_bytes,
        "raft_size": stats.used_bytes // 100,
        "snap_size": store.receiving_snapshots * 64 * MIB,
        "import_size": 0,
    }
    for kind, size in sizes.items():
        made.gauge("tikv_store_size_bytes", float(size), type=kind)
    made.gauge("tikv_engine_size_bytes", float(stats.used_bytes * 3 // 4), db="kv", type="default")
    made.gauge("tikv_engine_size_bytes", float(stats.used_bytes // 4), db="kv", type="write")


def _queues(made: Page, store: Store) -> None:
    busy = store.ailments.busy_pools
    stuck = "scheduler" in busy or store.ailments.stalled
    made.gauge("tikv_scheduler_contex_total", float(PENDING_TASKS if stuck else RUNNING_COMMANDS))
    for name, pool in (("apply-worker", "apply"), ("pd-worker", "raftstore")):
        tasks = PENDING_TASKS if pool in busy else 0
        made.gauge("tikv_worker_pending_task_total", float(tasks), name=name)
    reads = READ_TASKS if "coprocessor" in busy else RUNNING_COMMANDS
    labels = {"name": "unified-read-pool", "priority": "low"}
    made.gauge("tikv_unified_read_pool_running_tasks", float(reads), **labels)
    late = PENDING_TASKS if "raftstore" in busy else 0
    made.gauge("tikv_pd_pending_heartbeat_total", float(late))


def _engine(made: Page, store: Store) -> None:
    """RocksDB: a stall shows in the pending compaction, the files of level 0 and the stall time."""
    stalled = store.ailments.stalled
    disk_us = store.ailments.disk_seconds * _MICROSECONDS
    stalls = float(int(store.stalled_seconds / 5.0))
    reason = "pending_compaction_bytes_stops"
    made.gauge("tikv_engine_write_stall_reason", stalls, db="kv", type=reason)
    pending = 300 * GIB if stalled else 2 * GIB
    for kind in ("average", "max", "percentile95", "percentile99"):
        stall_us = store.stalled_seconds * _STALL_US_PER_SECOND
        made.gauge("tikv_engine_write_stall", stall_us, db="kv", type=f"write_stall_{kind}")
        sync_us = 500.0 + disk_us
        wal = f"wal_file_sync_{kind}"
        made.gauge("tikv_engine_wal_file_sync_micro_seconds", sync_us, db="kv", type=wal)
        made.gauge(
            "tikv_engine_write_micro_seconds", 300.0 + disk_us, db="kv", type=f"write_{kind}"
        )
        made.gauge("tikv_engine_get_micro_seconds", 50.0, db="kv", type=f"get_{kind}")
        made.gauge("tikv_engine_seek_micro_seconds", 80.0, db="kv", type=f"seek_{kind}")
    for family in ("default", "write", "lock"):
        made.gauge("tikv_engine_pending_compaction_bytes", float(pending), db="kv", cf=family)
        files = float(max(60 if stalled else 0, store.ailments.level0_files))
        made.gauge("tikv_engine_num_files_at_level", files, db="kv", cf=family, level="0")
        tables = 6.0 if stalled else 1.0
        made.gauge("tikv_engine_num_immutable_mem_table", tables, db="kv", cf=family)
        made.gauge("tikv_engine_block_cache_size_bytes", float(4 * GIB), db="kv", cf=family)
        made.gauge("tikv_scheduler_l0_avg", files, cf=family)

"""How a store fares at one moment: its work, its threads and its latencies, as plain figures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from operator_tikv.simulator import gc
from operator_tikv.simulator.load import BYTES_PER_KEY, steady_rates
from operator_tikv.simulator.model import Vitals

if TYPE_CHECKING:
    from operator_tikv.simulator.model import Store
    from operator_tikv.simulator.world import World

CORES: Final = 16.0
MEMORY_BYTES: Final = 32 << 30
USED_MEMORY_BYTES: Final = 10 << 30
POOL_THREADS: Final = {"raftstore": 2, "apply": 2, "coprocessor": 8, "scheduler": 4}
STALLED_SECONDS: Final = 6.0
BUSY_SECONDS: Final = 3.0
COPROCESSOR_WAIT_SECONDS: Final = 15.0
KEYS_PER_ENTRY: Final = 50.0
"""How many keys one request of a client writes, which is one entry of a region's log."""
UNREACHABLE_PER_SECOND: Final = 6.0
CORE_BYTES_PER_SECOND: Final = 40e6


def read_vitals(world: World, store: Store) -> Vitals:
    """Look at a store as it truly is."""
    store_id = store.store_id
    written, read = steady_rates(world, store_id)
    regions, leaders = world.raft.region_count(store_id), world.raft.leader_count(store_id)
    unreachable = _unreachable(world, store_id)
    return Vitals(
        writes_per_second=round(written / BYTES_PER_KEY, 3),
        reads_per_second=round(read / BYTES_PER_KEY, 3),
        written_bytes_per_second=round(written, 3),
        read_bytes_per_second=round(read, 3),
        leaders=leaders,
        regions=regions,
        mean_region_mib=world.raft.region_size_mib(store_id) // max(1, regions),
        ailments=store.ailments,
        unreachable=unreachable,
        lag_entries=_lag_entries(world, store_id),
        gc_runs=not gc.is_blocked(world),
        clients_fail=not world.pd.has_leader,
    )


def cores_used(vitals: Vitals) -> dict[str, float]:
    """The cores that each pool of threads uses; a busy pool uses all its threads."""
    work = (vitals.written_bytes_per_second + vitals.read_bytes_per_second) / CORE_BYTES_PER_SECOND
    share = {
        "raftstore": 0.05 + vitals.regions * 1e-5 + 0.3 * work,
        "apply": 0.02 + 0.2 * work,
        "coprocessor": 0.02 + 0.4 * work,
        "scheduler": 0.02 + 0.2 * work,
    }
    limits = {pool: 0.98 * threads for pool, threads in POOL_THREADS.items()}
    return {
        pool: limits[pool] if pool in vitals.ailments.busy_pools else min(limits[pool], cores)
        for pool, cores in share.items()
    }


def latencies(vitals: Vitals) -> dict[str, float]:
    """How long each stage of a request takes, in seconds."""
    ailments = vitals.ailments
    disk, busy = ailments.disk_seconds, ailments.busy_pools
    raftstore = BUSY_SECONDS if "raftstore" in busy else 0.0
    apply = BUSY_SECONDS if "apply" in busy else STALLED_SECONDS if ailments.stalled else 0.0
    scheduler = BUSY_SECONDS if "scheduler" in busy else 0.0
    append = 0.001 + disk + raftstore / 2.0
    commit = append + 0.001
    write = commit + 0.001 + apply
    return {
        "append": append,
        "commit": commit,
        "apply": 0.0005 + apply + disk / 2.0,
        "apply_wait": 0.0005 + apply,
        "propose_wait": 0.0005 + raftstore,
        "ready": 0.0005 + disk + raftstore,
        "tick": 0.0001 + raftstore,
        "write": write,
        "snapshot": 0.0001 + raftstore,
        "command": write + scheduler + 0.001,
        "latch": 0.00005 + scheduler,
        "coprocessor_wait": COPROCESSOR_WAIT_SECONDS if "coprocessor" in busy else 0.0005,
        "read": 0.001 + (0.5 if "coprocessor" in busy else 0.0),
    }


def _lag_entries(world: World, store_id: int) -> float:
    """How many entries of their logs the regions led here are ahead of their slowest follower."""
    behind = (
        other.ailments.lag_entries
        for other in world.stores.values()
        if other.ailments.lag_entries and _leads_for(world, store_id, other.store_id)
    )
    return max(behind, default=0.0)


def _leads_for(world: World, store_id: int, other_id: int) -> bool:
    led = (world.raft.get(region_id) for region_id in world.raft.leads(store_id))
    return store_id != other_id and any(
        region is not None and region.peer_on(other_id) is not None for region in led
    )


def _unreachable(world: World, store_id: int) -> tuple[int, ...]:
    """The stores that this one cannot send to, of those it has regions in common with."""
    cut = {receiver for sender, receiver in world.cuts if sender == store_id}
    return tuple(
        other.store_id
        for other in world.stores.values()
        if (other.process.silent_since_seconds is not None or other.store_id in cut)
        and other.store_id != store_id
        and world.raft.region_count(other.store_id)
    )

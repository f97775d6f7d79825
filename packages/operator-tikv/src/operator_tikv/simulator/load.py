"""The flow that clients cause, as a pure function of the region and the time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from operator_tikv.simulator.units import MIB

if TYPE_CHECKING:
    from operator_tikv.simulator.model import Region, Store
    from operator_tikv.simulator.world import World

INTERVAL_SECONDS: Final = 60
BYTES_PER_KEY: Final = 120
GARBAGE_SHARE: Final = 0.05
GARBAGE_LIMIT_SHARE: Final = 0.2
_NOISE_SHARE: Final = 0.3
_WORD: Final = (1 << 64) - 1


class Flow(NamedTuple):
    """What one region did in the minute before its last heartbeat."""

    written_bytes: int
    read_bytes: int
    written_keys: int
    read_keys: int
    cpu_usage_percent: int


def region_flow(world: World, region: Region, at_seconds: float) -> Flow:
    """The flow of a region in the minute that ended last before a virtual time."""
    minute = int(at_seconds + region.region_id * 7919) // INTERVAL_SECONDS
    noise = 1.0 + _NOISE_SHARE * (2.0 * _fraction(world.seed, region.region_id, minute) - 1.0)
    share = region.weight / world.load.total_weight * noise * world.load.factor * INTERVAL_SECONDS
    written = int(world.load.write_bytes_per_second * share)
    read = int(world.load.read_bytes_per_second * share)
    return Flow(written, read, written // BYTES_PER_KEY, read // BYTES_PER_KEY, read // (64 * MIB))


def store_rates(world: World, store_id: int, at_seconds: float) -> tuple[float, float]:
    """Bytes a second that all peers of a store write, and that its leaders read."""
    minute = int(at_seconds) // INTERVAL_SECONDS
    noise = 1.0 + _NOISE_SHARE * (_fraction(world.seed, store_id, minute) - 0.5)
    scale = noise * world.load.factor / world.load.total_weight
    written = world.load.write_bytes_per_second * world.pd.regions.weight(store_id) * scale
    read = world.load.read_bytes_per_second * world.pd.regions.leader_weight(store_id) * scale
    return round(max(0.0, written), 1), round(max(0.0, read), 1)


def used_bytes(world: World, store: Store) -> int:
    """What a store's data takes on its disk."""
    return world.raft.region_size_mib(store.store_id) * MIB + store.disk.garbage_bytes


def grow_garbage(world: World, store: Store, duration_seconds: float) -> None:
    """Let overwritten versions pile up for a while until compaction frees them."""
    data_bytes = world.raft.region_size_mib(store.store_id) * MIB
    share = world.raft.region_count(store.store_id) / max(1, len(world.raft))
    written = world.load.write_bytes_per_second * world.load.factor * share * duration_seconds
    grown = store.disk.garbage_bytes + int(written * GARBAGE_SHARE)
    store.disk.garbage_bytes = 0 if grown > data_bytes * GARBAGE_LIMIT_SHARE else grown


def _fraction(*parts: int) -> float:
    """A number in [0, 1) that depends on nothing but its arguments (SplitMix64)."""
    mixed = 0
    for part in parts:
        mixed = (mixed + part + 0x9E3779B97F4A7C15) & _WORD
        mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & _WORD
        mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & _WORD
        mixed ^= mixed >> 31
    return (mixed & _WORD) / (_WORD + 1)

"""The flow that clients cause, as a pure function of the region and the time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from operator_tikv.simulator.units import MIB

if TYPE_CHECKING:
    from operator_tikv.simulator.model import Region, Store
    from operator_tikv.simulator.regions import RegionTable
    from operator_tikv.simulator.world import HotRange, World

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
    hot_write, hot_read = hot_rates(world, region)
    scale = noise * INTERVAL_SECONDS
    written = int(world.load.write_bytes_per_second * share + hot_write * scale)
    read = int(world.load.read_bytes_per_second * share + hot_read * scale)
    return Flow(written, read, written // BYTES_PER_KEY, read // BYTES_PER_KEY, read // (64 * MIB))


def hot_rates(world: World, region: Region) -> tuple[float, float]:
    """Bytes a second that a region gets written and read by hot ranges of keys."""
    written = read = 0.0
    for hot in world.load.hot.values():
        ids = sharing(world, hot)
        if region.region_id in ids:
            written += hot.write_bytes_per_second / len(ids)
            read += hot.read_bytes_per_second / len(ids)
    return written, read


def read_rate(world: World, region: Region) -> float:
    """Bytes a second that a region is read, without the ups and downs of single minutes."""
    load = world.load
    share = region.weight * load.factor / load.total_weight
    return load.read_bytes_per_second * share + hot_rates(world, region)[1]


def sharing(world: World, hot: HotRange) -> list[int]:
    """The regions among which the flow of a hot range is divided."""
    if hot.end_key == hot.start_key:
        found = world.raft.containing(hot.start_key)
        return [found.region_id] if found is not None else []
    return [r.region_id for r in world.raft.overlapping(hot.start_key, hot.end_key)]


def store_rates(world: World, store_id: int, at_seconds: float) -> tuple[float, float]:
    """Bytes a second that all peers of a store write, and that its leaders read."""
    minute = int(at_seconds) // INTERVAL_SECONDS
    noise = 1.0 + _NOISE_SHARE * (_fraction(world.seed, store_id, minute) - 0.5)
    written, read = _rates(world, world.pd.regions, store_id)
    return round(max(0.0, written * noise), 1), round(max(0.0, read * noise), 1)


def steady_rates(world: World, store_id: int) -> tuple[float, float]:
    """The same as they truly are, without the ups and downs of single minutes."""
    return _rates(world, world.raft, store_id)


def _rates(world: World, regions: RegionTable, store_id: int) -> tuple[float, float]:
    load = world.load
    scale = load.factor / load.total_weight
    written = load.write_bytes_per_second * regions.weight(store_id) * scale
    read = load.read_bytes_per_second * regions.leader_weight(store_id) * scale
    for hot in load.hot.values():
        ids = sharing(world, hot)
        for region_id in ids:
            region = regions.get(region_id)
            if region is not None and region.peer_on(store_id) is not None:
                written += hot.write_bytes_per_second / len(ids)
                leads = region.leader_store_id == store_id
                read += hot.read_bytes_per_second / len(ids) * leads
    return written, read


def base_rate(world: World, store_id: int, kind: str, *, leaders_only: bool) -> float:
    """Bytes a second that a store's leaders, or all its peers, get of the usual load."""
    load, regions = world.load, world.pd.regions
    weight = regions.leader_weight(store_id) if leaders_only else regions.weight(store_id)
    total = load.read_bytes_per_second if kind == "read" else load.write_bytes_per_second
    return total * load.factor * weight / load.total_weight


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

"""Splits and merges: regions are cut in two, and neighbours become one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from operator_tikv.simulator import raft
from operator_tikv.simulator.heartbeats import report_region

if TYPE_CHECKING:
    from operator_tikv.simulator.model import Region
    from operator_tikv.simulator.world import World

_HEX_DIGITS = 2


def middle_key(region: Region) -> str:
    """A key inside a region, half way by its bytes; empty where there is none."""
    length = max(len(region.start_key), len(region.end_key)) + _HEX_DIGITS
    first = int(region.start_key.ljust(length, "0") or "0", 16)
    last = int(region.end_key.ljust(length, "0") if region.end_key else "F" * length, 16)
    key = f"{(first + last) // 2:0{length}X}"
    return key if contains_inside(region, key) else ""


def contains_inside(region: Region, key: str) -> bool:
    """Whether a region can be cut at a key."""
    return region.start_key < key and (not region.end_key or key < region.end_key)


def split(world: World, region_id: int, keys: tuple[str, ...]) -> bool:
    """Cut a region at keys; the right-most part keeps its id, as in TiKV.

    Returns:
        Whether its leader could do it.
    """
    region = world.raft.get(region_id)
    if region is None or not raft.is_led(world, region):
        return False
    cuts = [key for key in sorted(set(keys)) if contains_inside(region, key)]
    if not cuts:
        return False
    parts = len(cuts) + 1
    version = region.version + len(cuts)
    size_mib, keys_each = max(1, region.size_mib // parts), region.keys // parts
    shared = replace(
        region, version=version, size_mib=size_mib, keys=keys_each, weight=region.weight / parts
    )
    starts = (region.start_key, *cuts)
    world.raft.put(replace(shared, start_key=cuts[-1]))
    world.record("split", f"region {region_id} at {' '.join(cuts)}")
    world.pd.split_seconds[region_id] = world.now_seconds
    report_region(world, region_id)
    for start_key, end_key in zip(starts, cuts, strict=False):
        _add_part(world, replace(shared, start_key=start_key, end_key=end_key))
    return True


def _add_part(world: World, part: Region) -> None:
    """A new region on the same stores, with peers of its own."""
    peers = tuple(peer._replace(peer_id=world.next_id()) for peer in part.peers)
    ids = {old.peer_id: new.peer_id for old, new in zip(part.peers, peers, strict=True)}
    made = replace(
        part,
        region_id=world.next_id(),
        peers=peers,
        leader_peer_id=ids[part.leader_peer_id],
        down=tuple((ids[peer_id], since) for peer_id, since in part.down),
        pending=tuple(ids[peer_id] for peer_id in part.pending),
    )
    world.raft.put(made)
    world.pd.split_seconds[made.region_id] = world.now_seconds
    report_region(world, made.region_id)


def merge(world: World, source_id: int, target_id: int) -> bool:
    """Merge a region into its neighbour, where both are led and on the same stores.

    Returns:
        Whether they could be merged.
    """
    source, target = world.raft.get(source_id), world.raft.get(target_id)
    if source is None or target is None:
        return False
    led = raft.is_led(world, source) and raft.is_led(world, target)
    if not led or not are_neighbours(source, target) or _stores(source) != _stores(target):
        return False
    is_left = source.end_key == target.start_key
    world.raft.remove(source_id)
    world.pd.regions.remove(source_id)
    world.pd.suspects.pop(source_id, None)
    world.pd.split_seconds.pop(source_id, None)
    world.raft.put(
        replace(
            target,
            start_key=source.start_key if is_left else target.start_key,
            end_key=target.end_key if is_left else source.end_key,
            version=max(source.version, target.version) + 1,
            size_mib=source.size_mib + target.size_mib,
            keys=source.keys + target.keys,
            weight=source.weight + target.weight,
        )
    )
    world.record("merge", f"region {source_id} into {target_id}")
    report_region(world, target_id)
    return True


def are_neighbours(one: Region, other: Region) -> bool:
    """Whether two regions touch."""
    touching = ((one.end_key, other.start_key), (other.end_key, one.start_key))
    return any(end and end == start for end, start in touching)


def _stores(region: Region) -> set[int]:
    return {peer.store_id for peer in region.peers}

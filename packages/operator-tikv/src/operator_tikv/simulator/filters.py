"""Which stores PD lets leaders or peers go to, and the scores it compares."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from operator_tikv.simulator import heartbeats
from operator_tikv.simulator.limits import has_tokens
from operator_tikv.simulator.units import GIB

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from operator_tikv.simulator.model import Peer, Region, Store
    from operator_tikv.simulator.world import World

LEADER_PAUSING: Final = ("evict-leader-scheduler", "grant-leader-scheduler")
LOW_SPACE_PENALTY: Final = 1e10
_RESERVED_GIB: Final = 50.0
_AMPLIFIER: Final = 256.0
_WEIGHT_FLOOR: Final = 1e-6


def paused_for_leaders(world: World, store_id: int) -> bool:
    """Whether a scheduler has paused leader transfer to a store."""
    return store_id in world.pd.slow_evicted or any(
        store_id in world.pd.schedulers[name].stores
        for name in LEADER_PAUSING
        if name in world.pd.schedulers
    )


def may_receive_leader(world: World, store_id: int) -> bool:
    """PD's filter of leader targets: up, heard of within 20 s, not paused, not busy."""
    store = world.stores.get(store_id)
    return (
        store is not None
        and store.is_up_to_pd
        and not store.is_tiflash
        and not heartbeats.is_disconnected(world, store)
        and not paused_for_leaders(world, store_id)
        and not (store.stats is not None and store.stats.is_busy)
    )


def takes_peers(world: World, store: Store) -> bool:
    """PD's filter of targets for a new peer of any region: alive, with room, not flooded."""
    stats = store.stats
    return (
        stats is not None
        and store.is_up_to_pd
        and not store.is_tiflash
        and not stats.is_busy
        and not heartbeats.is_disconnected(world, store)
        and not heartbeats.is_low_on_space(world, store)
        and stats.receiving_snapshots <= world.pd.config.number("max-snapshot-count")
    )


def may_receive_peer(world: World, store: Store, region: Region) -> bool:
    """PD's filter of targets for a new peer of one region, with the store limit and isolation."""
    return (
        region.peer_on(store.store_id) is None
        and takes_peers(world, store)
        and has_tokens(world, store.store_id, "add-peer")
        and keeps_isolation(world, store, region.peers)
    )


def location_labels(world: World) -> list[str]:
    """The labels that say where a store stands, the widest first."""
    text = str(world.pd.config.replication["location-labels"])
    return [label for label in text.split(",") if label]


def isolation(world: World, store: Store, peers: Iterable[Peer]) -> tuple[int, ...]:
    """For each location label, how many peers stand elsewhere than a store would."""
    others = [world.stores[p.store_id] for p in peers if p.store_id in world.stores]
    return tuple(
        sum(other.labels.get(label) != store.labels.get(label) for other in others)
        for label in location_labels(world)
    )


def keeps_isolation(world: World, store: Store, peers: Iterable[Peer]) -> bool:
    """Whether a peer on a store would stand apart from the others as `isolation-level` wants."""
    level = str(world.pd.config.replication["isolation-level"])
    if not level:
        return True
    here = store.labels.get(level)
    others = (world.stores.get(peer.store_id) for peer in peers)
    return here is not None and all(o is None or o.labels.get(level) != here for o in others)


def is_denied(world: World, region: Region) -> bool:
    """Whether a region label `schedule=deny` covers a region."""
    rules = world.admin.region_labels
    return bool(rules) and any(
        region.start_key >= start and (not end or (region.end_key and region.end_key <= end))
        for start, end in _denied_ranges(rules.values())
    )


def _denied_ranges(rules: Iterable[Mapping[str, object]]) -> Iterator[tuple[str, str]]:
    for rule in rules:
        labels, ranges = rule.get("labels"), rule.get("data")
        if not isinstance(labels, list) or not isinstance(ranges, list):
            continue
        if not any(
            label.get("key") == "schedule" and label.get("value") == "deny"
            for label in labels
            if isinstance(label, dict)
        ):
            continue
        for each in ranges:
            if isinstance(each, dict):
                yield str(each.get("start_key", "")), str(each.get("end_key", ""))


def leader_score(world: World, store: Store) -> float:
    """The number of leaders by weight, as PD compares it."""
    count = world.pd.regions.leader_count(store.store_id)
    return count / max(store.leader_weight, _WEIGHT_FLOOR)


def region_score(world: World, store: Store, extra_mib: float = 0.0) -> float:
    """PD's region score of version 2: it explodes when space gets low.

    Args:
        world: the simulation.
        store: the store.
        extra_mib: what to add to the store's regions before scoring, in MiB.
    """
    size_mib = max(0.0, world.pd.regions.region_size_mib(store.store_id) + extra_mib)
    stats = store.stats
    if stats is None:
        return size_mib / max(store.region_weight, _WEIGHT_FLOOR)
    low_ratio = world.pd.config.number("low-space-ratio")
    capacity_gib = stats.capacity_bytes / GIB
    available_gib = stats.available_bytes / GIB
    raw = _raw_score(capacity_gib, available_gib, size_mib, low_ratio)
    return raw / max(store.region_weight, _WEIGHT_FLOOR)


def _raw_score(
    capacity_gib: float, available_gib: float, size_mib: float, low_ratio: float
) -> float:
    if available_gib >= capacity_gib or capacity_gib < 1.0:
        return size_mib
    floor_gib = max(_RESERVED_GIB, capacity_gib * (1.0 - low_ratio))
    if available_gib > floor_gib:
        spread = math.log(capacity_gib) - math.log(available_gib - floor_gib + 1.0)
        room_gib = capacity_gib - available_gib + floor_gib - 1.0
        return (1.0 + _AMPLIFIER * spread / room_gib) * size_mib
    crowding = (1.0 + _AMPLIFIER * math.log(capacity_gib) / capacity_gib) * size_mib
    return crowding + LOW_SPACE_PENALTY * (floor_gib - available_gib) / floor_gib

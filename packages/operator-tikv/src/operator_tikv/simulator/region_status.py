"""PD's classes of regions that need attention, by what PD last heard of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from operator_tikv.simulator import rule_fit
from operator_tikv.simulator.model import NodeState, Role
from operator_tikv.simulator.regions import BIG_KEYS, BIG_MIB, SMALL_MIB

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from operator_tikv.simulator.model import Region
    from operator_tikv.simulator.world import World

EMPTY_MIB: Final = 1
_OF_COUNT: Final = frozenset({"miss-peer", "extra-peer"})
_OF_SIZE: Final = frozenset({"empty-region", "oversized-region", "undersized-region"})


def regions_of(world: World, check: str) -> list[Region]:
    """The regions that a check lists; one that merely lost its leader is in none of them."""
    test = CHECKS[check]
    return [region for region in _candidates(world, check) if test(world, region)]


def _candidates(world: World, check: str) -> Iterable[Region]:
    """The few regions that a check may list, from the indexes, in their order."""
    regions = world.pd.regions
    if check in _OF_SIZE:
        if world.pd.config.number("max-merge-region-size") > SMALL_MIB:
            return regions
        return regions.odd_sized()
    if check in _OF_COUNT and rule_fit.has_own_rules(world):
        return regions
    if check == "offline-peer":
        leaving = [s.store_id for s in world.stores.values() if s.node_state is NodeState.REMOVING]
        ids = dict.fromkeys(i for store_id in leaving for i in regions.on_store(store_id))
    else:
        ids = dict.fromkeys(world.pd.suspects)
    found = (regions.get(region_id) for region_id in sorted(ids))
    return [region for region in found if region is not None]


def _has_offline_peer(world: World, region: Region) -> bool:
    stores = (world.stores.get(peer.store_id) for peer in region.peers)
    return any(store is not None and store.node_state is NodeState.REMOVING for store in stores)


def _is_undersized(world: World, region: Region) -> bool:
    schedule = world.pd.config
    small = region.size_mib <= schedule.number("max-merge-region-size")
    return small and region.keys <= schedule.number("max-merge-region-keys")


CHECKS: Final[dict[str, Callable[[World, Region], bool]]] = {
    "miss-peer": lambda world, r: len(r.peers) < rule_fit.wanted_count(world, r),
    "extra-peer": lambda world, r: len(r.peers) > rule_fit.wanted_count(world, r),
    "down-peer": lambda _world, r: bool(r.down),
    "pending-peer": lambda _world, r: bool(r.pending),
    "offline-peer": _has_offline_peer,
    "learner-peer": lambda _world, r: any(p.role is Role.LEARNER for p in r.peers),
    "empty-region": lambda _world, r: r.size_mib <= EMPTY_MIB,
    "oversized-region": lambda _w, r: r.size_mib >= BIG_MIB or r.keys >= BIG_KEYS,
    "undersized-region": _is_undersized,
}

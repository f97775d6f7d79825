"""PD's `move-to-better-location`: a replica goes where it stands further apart from the others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from operator_tikv.simulator import builder, filters, rule_fit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from operator_tikv.simulator.model import Peer, Region, Store
    from operator_tikv.simulator.operator_model import Plan
    from operator_tikv.simulator.world import World

    Apart = Callable[[Store, Sequence[Peer]], tuple[int, ...]]
    Fits = Callable[[Store, Sequence[Peer]], bool]

DESCRIPTION: Final = "move-to-better-location"
KINDS: Final = ("replica", "region")


class Standing(NamedTuple):
    """The replicas of a region that are to stand apart, how far that is, and where they may go."""

    region: Region
    peers: Sequence[Peer]
    apart: Apart
    fits: Fits


def by_settings(world: World, region: Region, targets: Iterable[Store]) -> Plan | None:
    """Plan the move that the replication settings ask for; one that cannot be better is noted.

    Raises:
        RefusedError: the builder can make no steps for it.
    """

    def apart(store: Store, others: Sequence[Peer]) -> tuple[int, ...]:
        return filters.isolation(world, store, others)

    def fits(store: Store, others: Sequence[Peer]) -> bool:
        return not store.is_tiflash and filters.keeps_isolation(world, store, others)

    standing = Standing(region, region.peers, apart, fits)
    move = _move(world, standing, targets)
    if move is None and _move(world, standing, _staying(world)) is None:
        world.pd.fitted[region.region_id] = region
    return _plan(world, region, move)


def by_rule(
    world: World, region: Region, fit: rule_fit.RuleFit, targets: Iterable[Store]
) -> Plan | None:
    """Plan the move that the location labels of a placement rule ask for.

    Raises:
        RefusedError: the builder can make no steps for it.
    """
    if not fit.rule.get("location_labels"):
        return None
    return _plan(world, region, _move(world, _under(world, region, fit), targets))


def is_wanted(world: World, region: Region, fit: rule_fit.RuleFit) -> bool:
    """Whether a replica would stand further apart on a store that may take none just now."""
    labelled = bool(fit.rule.get("location_labels"))
    return labelled and _move(world, _under(world, region, fit), _staying(world)) is not None


def _under(world: World, region: Region, fit: rule_fit.RuleFit) -> Standing:
    def apart(store: Store, others: Sequence[Peer]) -> tuple[int, ...]:
        return rule_fit.isolation(world, fit.rule, store, others)

    def fits(store: Store, others: Sequence[Peer]) -> bool:
        is_apart = rule_fit.keeps_apart(world, fit.rule, store, others)
        return is_apart and rule_fit.admits(fit.rule, store)

    return Standing(region, fit.peers, apart, fits)


def _staying(world: World) -> list[Store]:
    return [store for store in world.stores.values() if store.is_up_to_pd]


def _move(world: World, standing: Standing, targets: Iterable[Store]) -> tuple[int, int] | None:
    """Return from which store to which: the replica that stands worst to the best place."""
    apart = standing.apart
    placed = [peer for peer in standing.peers if peer.store_id in world.stores]
    if len(placed) < 2:  # noqa: PLR2004 - one replica stands apart from nobody
        return None

    def now(peer: Peer) -> tuple[int, ...]:
        return apart(world.stores[peer.store_id], [one for one in placed if one is not peer])

    worst = min(placed, key=now)
    others = [peer for peer in placed if peer is not worst]
    better = [
        store
        for store in targets
        if standing.region.peer_on(store.store_id) is None
        and apart(store, others) > now(worst)
        and standing.fits(store, others)
    ]
    best = max(better, key=lambda store: apart(store, others), default=None)
    return None if best is None else (worst.store_id, best.store_id)


def _plan(world: World, region: Region, move: tuple[int, int] | None) -> Plan | None:
    if move is None:
        return None
    world.pd.count("pd_checker_event_count", "rule_checker", DESCRIPTION)
    return builder.plan_move_peer(world, region, *move, description=DESCRIPTION, kinds=KINDS)

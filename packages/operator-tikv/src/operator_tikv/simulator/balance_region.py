"""PD's balance-region scheduler: moves peers from the fullest store to the emptiest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from operator_tikv.simulator import filters, heat, operators, rule_fit
from operator_tikv.simulator.builder import RefusedError, plan_move_peer
from operator_tikv.simulator.heartbeats import is_disconnected
from operator_tikv.simulator.operator_model import AddLearner

if TYPE_CHECKING:
    from operator_tikv.simulator.model import Region, Store
    from operator_tikv.simulator.world import World

NAME: Final = "balance-region-scheduler"
TOLERANCE_SHARE: Final = 0.005
ATTEMPTS: Final = 10
LATER_ATTEMPTS: Final = 2
"""PD tries stores that give nothing ever less often."""

INFLUENCE_FACTOR: Final = 5


def run(world: World) -> int:
    """Move at most one peer; returns how many operators were made."""
    limit = world.pd.config.number("region-schedule-limit")
    if operators.running_of_kind(world, "region") >= limit:
        return 0
    stores = [store for store in world.stores.values() if takes_part(world, store)]
    if not stores:
        return 0
    arriving = _arriving_mib(world)
    scores = {s.store_id: filters.region_score(world, s) for s in stores}
    emptiest = min(stores, key=lambda store: (scores[store.store_id], store.store_id))
    for place, source in enumerate(_sources(world, stores, scores)):
        if not _exceeds(world, source, emptiest, arriving):
            return 0
        for region in _movable(world, source.store_id, LATER_ATTEMPTS if place else ATTEMPTS):
            admitted = rule_fit.admitted(world, region, source, stores)
            apart = [one for one in admitted if _stays_apart(world, region, source, one)]
            target = _target(world, region, apart, scores)
            if target is not None and _exceeds(world, source, target, arriving):
                return _move(world, region, source.store_id, target.store_id)
    return 0


def _sources(world: World, stores: list[Store], scores: dict[int, float]) -> list[Store]:
    """The fullest store; where labels may bind its replicas to it, the others after it."""
    fullest = sorted(stores, key=lambda store: (-scores[store.store_id], store.store_id))
    return fullest if filters.location_labels(world) else fullest[:1]


def takes_part(world: World, store: Store) -> bool:
    """Whether PD moves anything from or to a store: heard of, up, with rows."""
    quiet = not is_disconnected(world, store)
    return quiet and store.is_up_to_pd and not store.is_tiflash and store.stats is not None


def _arriving_mib(world: World) -> dict[int, int]:
    arriving: dict[int, int] = {}
    for operator in world.pd.operators.values():
        for step in operator.plan.steps:
            if isinstance(step, AddLearner):
                size_mib = arriving.get(step.store_id, 0) + operator.size_mib
                arriving[step.store_id] = size_mib
    return arriving


def _movable(world: World, store_id: int, attempts: int) -> list[Region]:
    ids = world.pd.regions.on_store(store_id)
    picked = world.rng.sample(ids, min(attempts, len(ids)))
    found = (world.pd.regions.get(region_id) for region_id in picked)
    hot = heat.hot_region_ids(world)
    calm = [r for r in found if r is not None and is_calm(world, r) and r.region_id not in hot]
    return [r for r in calm if not _is_witness(r, store_id)]


def _is_witness(region: Region, store_id: int) -> bool:
    """Whether a peer has no data, so that moving it would level nothing."""
    peer = region.peer_on(store_id)
    return peer is not None and peer.is_witness


def is_calm(world: World, region: Region) -> bool:
    """Whether a region is whole and nobody else moves it."""
    return (
        region.leader is not None
        and not region.down
        and not region.pending
        and len(region.peers) == rule_fit.wanted_count(world, region)
        and region.region_id not in world.pd.operators
        and not filters.is_denied(world, region)
    )


def _stays_apart(world: World, region: Region, source: Store, target: Store) -> bool:
    """Whether a replica stands at least as far apart on the target: PD's location safeguard."""
    if not filters.location_labels(world):
        return True
    rest = [peer for peer in region.peers if peer.store_id != source.store_id]
    now, then = (filters.isolation(world, store, rest) for store in (source, target))
    return then >= now


def _target(
    world: World, region: Region, stores: list[Store], scores: dict[int, float]
) -> Store | None:
    fitting = [store for store in stores if filters.may_receive_peer(world, store, region)]
    return min(fitting, key=lambda s: (scores[s.store_id], s.store_id), default=None)


def _exceeds(world: World, source: Store, target: Store, arriving: dict[int, int]) -> bool:
    """Compare the scores as if the tolerance had already moved, and what is under way arrived."""
    tolerance_mib = _tolerance_mib(world)
    coming_mib = arriving.get(target.store_id, 0) * INFLUENCE_FACTOR
    source_score = filters.region_score(world, source, -tolerance_mib)
    return source_score > filters.region_score(world, target, tolerance_mib + coming_mib)


def _tolerance_mib(world: World) -> float:
    regions = world.pd.regions
    counts = [regions.region_count(store_id) for store_id in world.stores]
    total_mib = sum(regions.region_size_mib(store_id) for store_id in world.stores)
    return max(1.0, max(counts) * TOLERANCE_SHARE) * total_mib / max(1, sum(counts))


def _move(world: World, region: Region, from_store_id: int, to_store_id: int) -> int:
    try:
        plan = plan_move_peer(
            world,
            region,
            from_store_id,
            to_store_id,
            description="balance-region",
            kinds=("region",),
        )
    except RefusedError:
        return 0
    return int(operators.submit(world, region, plan) is not None)

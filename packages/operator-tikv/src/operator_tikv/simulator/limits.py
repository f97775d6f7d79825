"""Store limits: token buckets a store and a direction, in thousandths of a region."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from operator_tikv.simulator.config import (
    DEFAULT_STORE_LIMIT,
    TIFLASH_STORE_LIMIT,
    UNLIMITED_RATE,
)
from operator_tikv.simulator.operator_model import AddLearner, RemovePeer
from operator_tikv.simulator.world import Bucket

if TYPE_CHECKING:
    from collections.abc import Iterator

    from operator_tikv.simulator.operator_model import Plan
    from operator_tikv.simulator.world import World

REGION_COST: Final = 1000.0
SMALL_REGION_COST: Final = 200.0
SMALL_REGION_MIB: Final = 20
KINDS: Final = ("add-peer", "remove-peer")
_SECONDS_PER_MINUTE: Final = 60.0


def rate_per_minute(world: World, store_id: int, kind: str) -> float:
    """The configured limit of a store, in regions a minute."""
    limit = world.pd.config.store_limit.get(store_id)
    if limit is not None:
        return limit[kind]
    store = world.stores.get(store_id)
    return TIFLASH_STORE_LIMIT if store is not None and store.is_tiflash else DEFAULT_STORE_LIMIT


def set_rate(world: World, store_id: int, kind: str, rate: float) -> None:
    """Set the limit of a store; `kind` empty sets both directions."""
    limit = world.pd.config.store_limit.setdefault(
        store_id, {each: rate_per_minute(world, store_id, each) for each in KINDS}
    )
    for each in KINDS if not kind else (kind,):
        limit[each] = rate
        world.pd.buckets.pop((store_id, each), None)


def has_tokens(world: World, store_id: int, kind: str) -> bool:
    """Whether a store may take part in one more operator of this direction."""
    if rate_per_minute(world, store_id, kind) >= UNLIMITED_RATE:
        return True
    return _refill(world, store_id, kind).tokens > 0.0


def allows(world: World, plan: Plan, size_mib: int) -> bool:
    """Whether the limits of all stores of a plan have tokens left."""
    return all(has_tokens(world, store_id, kind) for store_id, kind in _uses(plan, size_mib))


def take(world: World, plan: Plan, size_mib: int) -> None:
    """Charge a plan to the limits of its stores; a bucket may go below zero once."""
    cost = SMALL_REGION_COST if size_mib < SMALL_REGION_MIB else REGION_COST
    for store_id, kind in _uses(plan, size_mib):
        cheap = kind == "remove-peer" and _is_down(world, store_id)
        _refill(world, store_id, kind).tokens -= SMALL_REGION_COST if cheap else cost


def _is_down(world: World, store_id: int) -> bool:
    """Removing a peer from a dead store costs as little as a small region."""
    store = world.stores.get(store_id)
    down_seconds = world.pd.config.seconds("max-store-down-time")
    return store is not None and world.now_seconds - store.last_heartbeat_seconds > down_seconds


def _uses(plan: Plan, size_mib: int) -> Iterator[tuple[int, str]]:
    if size_mib <= 1:
        return
    for step in plan.steps:
        if isinstance(step, AddLearner) and not step.is_witness:
            yield step.store_id, "add-peer"
        elif isinstance(step, RemovePeer):
            yield step.store_id, "remove-peer"


def _refill(world: World, store_id: int, kind: str) -> Bucket:
    per_second = rate_per_minute(world, store_id, kind) * REGION_COST / _SECONDS_PER_MINUTE
    capacity = max(REGION_COST, per_second)
    bucket = world.pd.buckets.get((store_id, kind))
    if bucket is None:
        bucket = world.pd.buckets[store_id, kind] = Bucket(capacity, world.now_seconds)
    elapsed_seconds = world.now_seconds - bucket.filled_at_seconds
    bucket.tokens = min(capacity, bucket.tokens + elapsed_seconds * per_second)
    bucket.filled_at_seconds = world.now_seconds
    return bucket

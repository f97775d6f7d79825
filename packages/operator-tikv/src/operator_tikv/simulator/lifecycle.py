"""A store's way out: delete, drain, tombstone, and the way back before that."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from operator_tikv.simulator import filters, limits, pd_meter
from operator_tikv.simulator.config import DEFAULT_STORE_LIMIT, UNLIMITED_RATE
from operator_tikv.simulator.heartbeats import receive_store_heartbeat, wake_patrol
from operator_tikv.simulator.model import MetaState, NodeState

if TYPE_CHECKING:
    from operator_tikv.simulator.model import Store
    from operator_tikv.simulator.world import World

STATE_CHECK_SECONDS: Final = 10.0
YOUNG_REGIONS: Final = 100
FILLED_SHARE: Final = 0.9


class StoreRefusedError(Exception):
    """PD refuses to change a store; carries PD's status and text."""

    def __init__(self, status: int, text: str) -> None:
        """Keep both parts of the answer."""
        super().__init__(text)
        self.status = status
        self.text = text


def find_store(world: World, store_id: int) -> Store:
    """Find a store.

    Raises:
        StoreRefusedError: PD knows no such store.
    """
    store = world.stores.get(store_id)
    if store is None:
        raise StoreRefusedError(404, f"[PD:core:ErrStoreNotFound]store {store_id} not found")
    return store


def take_offline(world: World, store_id: int, *, force: bool) -> None:
    """Delete a store: it keeps serving while PD moves its peers away.

    Args:
        world: the simulation.
        store_id: the store.
        force: declare it physically destroyed, which skips the count of the others.

    Raises:
        StoreRefusedError: unknown, already removed, or too few others by PD's own count.
    """
    store = find_store(world, store_id)
    if store.meta_state is MetaState.TOMBSTONE:
        raise StoreRefusedError(410, f"[PD:core:ErrStoreRemoved]store {store_id} has been removed")
    if store.physically_destroyed:
        text = f"[PD:core:ErrStoreDestroyed]store {store_id} has been physically destroyed"
        raise StoreRefusedError(400, text)
    if store.meta_state is MetaState.OFFLINE and not force:
        return
    if not force:
        _check_others(world, store)
    store.meta_state, store.node_state = MetaState.OFFLINE, NodeState.REMOVING
    store.physically_destroyed = force
    former = limits.rate_per_minute(world, store_id, "remove-peer")
    world.pd.former_limits.setdefault(store_id, former)
    limits.set_rate(world, store_id, "remove-peer", UNLIMITED_RATE)
    world.record("store", f"{store_id} offline force={force}")
    _log_offline(world, store)
    wake_patrol(world)


def _log_offline(world: World, store: Store) -> None:
    fields = {"store-id": store.store_id, "store-address": store.address}
    destroyed = {"physically-destroyed": store.physically_destroyed}
    world.log_pd("WARN", "store has been offline", **fields, **destroyed)
    limit = {"type": "remove-peer", "rate-per-min": int(UNLIMITED_RATE)}
    world.log_pd("INFO", "store limit changed", **{"store-id": store.store_id}, **limit)


def _check_others(world: World, store: Store) -> None:
    """PD counts by node state: a store that is Down, and a TiFlash store, count as up."""
    others = [s for s in world.stores.values() if s.is_up_to_pd and s is not store]
    needed = world.pd.config.max_replicas
    if len(others) < needed:
        text = (
            f"[PD:core:ErrStoresNotEnough]can not remove store {store.store_id} since the number "
            f"of up stores would be {len(others)} while need {needed}"
        )
        raise StoreRefusedError(400, text)
    if all(filters.paused_for_leaders(world, other.store_id) for other in others):
        text = (
            f"[PD:core:ErrNoStoreForRegionLeader]can not remove store {store.store_id} since there "
            "are no extra up store to store the leader"
        )
        raise StoreRefusedError(400, text)


def bring_up(world: World, store_id: int) -> None:
    """Cancel a delete. The former remove-peer limit returns only if this PD leader still knows it.

    Raises:
        StoreRefusedError: unknown, already a tombstone, or declared destroyed.
    """
    store = find_store(world, store_id)
    if store.meta_state is MetaState.TOMBSTONE:
        raise StoreRefusedError(410, f"[PD:core:ErrStoreRemoved]store {store_id} has been removed")
    if store.physically_destroyed:
        text = f"[PD:core:ErrStoreDestroyed]store {store_id} has been physically destroyed"
        raise StoreRefusedError(400, text)
    if store.meta_state is MetaState.UP:
        return
    store.meta_state, store.node_state = MetaState.UP, NodeState.SERVING
    former = world.pd.former_limits.pop(store_id, None)
    if former is not None:
        limits.set_rate(world, store_id, "remove-peer", former or DEFAULT_STORE_LIMIT)
    world.record("store", f"{store_id} up")


def on_state_check(world: World, _args: tuple[int, ...]) -> None:
    """Every ten seconds: a leaving store without peers becomes a tombstone."""
    world.schedule(STATE_CHECK_SECONDS, "pd.state_check")
    pd_meter.settle(world)
    if not world.pd.has_leader:
        return
    for store in world.stores.values():
        if store.node_state is NodeState.PREPARING and _is_filled(world, store):
            store.node_state = NodeState.SERVING
            world.record("store", f"{store.store_id} serving")
            fields = {"store-id": store.store_id, "store-address": store.address}
            world.log_pd("INFO", "store has changed to serving", **fields)
        empty = world.pd.regions.region_count(store.store_id) == 0
        if store.meta_state is MetaState.OFFLINE and empty:
            _bury(world, store)


def _is_filled(world: World, store: Store) -> bool:
    """Whether a new store holds 90 % of its share, or the cluster is young or it took too long."""
    regions, config = world.pd.regions, world.pd.config
    age_seconds = world.now_seconds - store.start_seconds
    if len(regions) < YOUNG_REGIONS or age_seconds > config.seconds("max-store-preparing-time"):
        return True
    others = [
        s for s in world.stores.values() if s.is_up_to_pd and s.is_tiflash == store.is_tiflash
    ]
    total = sum(regions.region_size_mib(other.store_id) for other in others)
    return regions.region_size_mib(store.store_id) >= FILLED_SHARE * total / len(others)


def _bury(world: World, store: Store) -> None:
    store.meta_state, store.node_state = MetaState.TOMBSTONE, NodeState.REMOVED
    world.pd.config.store_limit.pop(store.store_id, None)
    world.pd.former_limits.pop(store.store_id, None)
    if store.process.silent_since_seconds is None:
        store.process.silent_since_seconds = world.now_seconds
    store.process.running = False  # TiKV stops when PD refuses its heartbeat
    world.record("store", f"{store.store_id} tombstone")
    fields = {"store-id": store.store_id, "store-address": store.address, "state": "Offline"}
    world.log_pd("WARN", "store has been Tombstone", **fields)
    world.log(store.node, "ERROR", "store is tombstone", store_id=store.store_id)


def remove_tombstones(world: World) -> None:
    """Forget every tombstone."""
    for store in list(world.stores.values()):
        if store.meta_state is MetaState.TOMBSTONE:
            del world.stores[store.store_id]
            world.record("store", f"{store.store_id} removed")


def on_reconnect(world: World, args: tuple[int, ...]) -> None:
    """A store finds PD's new leader and reports at once, besides its usual heartbeats."""
    store = world.stores.get(args[0])
    if store is None or store.meta_state is MetaState.TOMBSTONE:
        return
    if store.process.talks_to_pd and world.pd.has_leader:
        receive_store_heartbeat(world, store)

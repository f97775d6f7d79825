"""What a store's trouble looks like in its own log and in PD's, once a minute at most."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from operator_tikv.simulator.heartbeats import is_low_on_space
from operator_tikv.simulator.tikv_page import missing_leaders

if TYPE_CHECKING:
    from operator_tikv.simulator.model import Store
    from operator_tikv.simulator.world import World

REPEAT_SECONDS: Final = 60.0
SPACE_STATES: Final = ((0.01, "AlreadyFull"), (0.05, "AlmostFull"))


def notice(world: World, store: Store) -> None:
    """Log what ails a living store.

    Args:
        world: the simulation.
        store: the store; ten more seconds of it have passed.
    """
    _space(world, store)
    if world.now_seconds - store.noticed_seconds < REPEAT_SECONDS:
        return
    store.noticed_seconds = world.now_seconds
    _network(world, store)
    _engine(world, store)
    missing = missing_leaders(world, store) if world.unled else 0
    if missing:
        text = "leader missing longer than abnormal_leader_missing_duration"
        world.log(store.node, "WARN", text, expect="10m", regions=missing)


def _space(world: World, store: Store) -> None:
    stats = store.stats
    if stats is None:
        return
    share = stats.available_bytes / max(1, stats.capacity_bytes)
    state = next((name for limit, name in SPACE_STATES if share <= limit), "Normal")
    if state != store.space_state:
        text = f"disk usage {store.space_state}->{state} (kv engine usage: {state})"
        world.log(store.node, "WARN", text, available=stats.available_bytes)
        store.space_state = state
    low = is_low_on_space(world, store)
    if low and not store.low_space_logged:
        fields = {"store-id": store.store_id, "capacity": stats.capacity_bytes}
        text = "store does not have enough disk space"
        world.log_pd("WARN", text, **fields, available=stats.available_bytes)
    store.low_space_logged = low


def _network(world: World, store: Store) -> None:
    for other_id in store.vitals.unreachable if store.vitals else ():
        other = world.stores.get(other_id)
        if other is not None:
            fields = {"store_id": other_id, "addr": other.address}
            world.log(store.node, "WARN", "wait connect timeout", **fields)
    if not store.process.pd_reachable:
        world.log(store.node, "ERROR", "request failed, retry", err="pd heartbeat: deadline")


def _engine(world: World, store: Store) -> None:
    ailments = store.ailments
    if ailments.critical_error:
        world.log(store.node, "ERROR", "critical error", type=ailments.critical_error)
    if ailments.stalled:
        text = "Stalling writes because of estimated pending compaction bytes"
        world.log(store.node, "WARN", text, bytes=300 << 30)
    for pool in ailments.busy_pools:
        world.log(store.node, "WARN", f"{pool} is busy", reason="ServerIsBusy")

"""Changes to the set of schedulers, the same for the API and for faults."""

from __future__ import annotations

from typing import TYPE_CHECKING

from operator_tikv.simulator.schedulers import wake
from operator_tikv.simulator.world import Scheduler

if TYPE_CHECKING:
    from operator_tikv.simulator.world import World


def add(world: World, name: str) -> Scheduler:
    """Add a scheduler unless it is there."""
    scheduler = world.pd.schedulers.setdefault(name, Scheduler(name))
    wake(world)
    return scheduler


def add_store(world: World, name: str, store_id: int) -> None:
    """Let a scheduler act on one more store."""
    scheduler = add(world, name)
    if store_id not in scheduler.stores:
        scheduler.stores.append(store_id)
        world.record("scheduler", f"{name} takes store {store_id}")


def remove(world: World, name: str) -> None:
    """Remove a scheduler with all its stores."""
    world.pd.schedulers.pop(name, None)
    world.record("scheduler", f"{name} removed")
    wake(world)


def remove_store(world: World, name: str, store_id: int) -> bool:
    """Take a store from a scheduler, which goes with its last one; False if it was not there."""
    scheduler = world.pd.schedulers.get(name)
    if scheduler is None or store_id not in scheduler.stores:
        return False
    scheduler.stores.remove(store_id)
    world.record("scheduler", f"{name} leaves store {store_id}")
    if not scheduler.stores:
        remove(world, name)
    wake(world)
    return True


def pause(world: World, name: str, duration_seconds: float) -> None:
    """Pause a scheduler, or resume it with zero seconds."""
    scheduler = world.pd.schedulers[name]
    scheduler.paused_at_seconds = world.now_seconds
    scheduler.paused_until_seconds = world.now_seconds + duration_seconds
    world.record("scheduler", f"{name} paused for {duration_seconds:g} s")
    wake(world)

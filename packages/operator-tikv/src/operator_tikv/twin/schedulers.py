"""What actions on PD's schedulers and checkers do to the model of a cluster."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from operator_core.types import JsonObject
from operator_tikv.effects import GRANT_LEADER, TEST_SCHEDULERS
from operator_tikv.facts import ALWAYS_RUN
from operator_tikv.pd.api import EVICT_LEADER
from operator_tikv.twin import safety
from operator_tikv.twin.effect import (
    Effect,
    Rehearse,
    everything,
    leader_seconds,
    spread_leaders,
    unknown_store,
    unmeasured,
)
from operator_tikv.twin.model import Model


def add_scheduler(model: Model, given: JsonObject) -> Effect:
    """PD runs a scheduler."""
    missing = model.missing_schedulers - {str(given["name"])}
    return Effect(replace(model, missing_schedulers=missing), 1.0)


def remove_scheduler(model: Model, given: JsonObject) -> Effect:
    """PD runs a scheduler no more."""
    name = str(given["name"])
    if name.startswith((EVICT_LEADER, GRANT_LEADER)):
        return unmeasured(model, [f"{name} may be working for several stores"])
    if name in TEST_SCHEDULERS:
        return Effect(model, 1.0)
    if name not in ALWAYS_RUN:
        return unmeasured(model, safety.no_pd(model))
    return Effect(replace(model, missing_schedulers=model.missing_schedulers | {name}), 1.0)


def add_test_scheduler(model: Model, given: JsonObject) -> Effect:
    """PD moves leaders or replicas about for a test: all of them are concerned."""
    del given
    faults = (*safety.no_pd(model), *safety.not_calm(model, 0))
    return Effect(model, 1.0, faults, moved_regions=model.regions, moved_leaders=model.leaders)


def pause_checker(model: Model, given: JsonObject) -> Effect:
    """A checker of PD does nothing for a while."""
    paused = model.paused_checkers | {str(given["name"])}
    return Effect(replace(model, paused_checkers=paused), 1.0)


def resume_checker(model: Model, given: JsonObject) -> Effect:
    """A checker of PD goes on."""
    return Effect(replace(model, paused_checkers=model.paused_checkers - {str(given["name"])}), 1.0)


def stop_granting(model: Model, given: JsonObject) -> Effect:
    """A store leads no more than its part again."""
    store = model.stores.get(int(given["store_id"]))
    if store is None:
        return unknown_store(model, int(given["store_id"]))
    fair = model.leaders / max(1, len(model.takers))
    moved = max(0.0, store.leaders - fair)
    after = spread_leaders(model, moved, besides=store.id)
    after = after.with_stores(replace(store, leaders=store.leaders - moved))
    return Effect(after, leader_seconds(model, moved), moved_leaders=moved)


def spread_range(model: Model, given: JsonObject) -> Effect:
    """PD spreads the regions of a range anew; how many there are is not known, so all."""
    del given
    return everything(model, (*safety.no_pd(model), *safety.not_calm(model, 0)))


def gather_hot(model: Model, given: JsonObject) -> Effect:
    """PD brings hot regions to named stores; how many there are is not known, so all."""
    faults = [*safety.no_pd(model), *safety.not_alone(model, 0)]
    for store_id in {int(given["leader_store_id"]), *map(int, given["store_ids"])}:
        store = model.stores.get(store_id)
        if store is None:
            faults.append(f"PD knows no store {store_id}")
        elif not store.is_healthy or store.is_slow or store_id in model.evicted:
            faults.append(f"store {store_id} is not well enough to take hot regions")
    return everything(model, faults)


SCHEDULER_EFFECTS: Final[Mapping[str, Rehearse]] = {
    "add_scheduler": add_scheduler,
    "remove_scheduler": remove_scheduler,
    "add_test_scheduler": add_test_scheduler,
    "pause_scheduler": lambda model, _: Effect(model, 1.0),
    "resume_scheduler": lambda model, _: Effect(model, 1.0),
    "pause_checker": pause_checker,
    "resume_checker": resume_checker,
    "stop_granting_leaders": stop_granting,
    "add_scatter_range_scheduler": spread_range,
    "add_balance_range_scheduler": spread_range,
    "add_grant_hot_region_scheduler": gather_hot,
    "set_grant_hot_region_stores": gather_hot,
    "set_shuffle_region_roles": add_test_scheduler,
}

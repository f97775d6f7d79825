"""What the remaining settings of PD do to the model of a cluster."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from operator_core.types import JsonObject
from operator_tikv.twin import safety
from operator_tikv.twin.effect import (
    Effect,
    Rehearse,
    leader_seconds,
    spread_leaders,
    unmeasured,
)
from operator_tikv.twin.model import Model
from operator_tikv.watched import GC_WORKER

NOT_MEASURED: Final[Mapping[str, str]] = {
    "configure_scheduler": "a scheduler's own configuration is not in the look",
    "delete_gc_safepoint": "what the service still wanted to read is not in the look",
    "set_cluster_version": "which features begin with a version is not in the look",
    "set_pd_server_config": "what its items change is not in the look",
    "set_replication_mode": "how far two sites are in step is not in the look",
    "set_rule_group": "which rules are left beside a group that overrides is not in the look",
    "set_service_middleware_config": "how much PD is asked is not in the look",
    "set_schedule_config": "some items change how much PD moves by more than the look shows",
    "set_replication_config": "how many replicas move by other labels is not in the look",
    "set_all_store_limits": "which stores have the labels is told by PD alone",
    "remove_peer": "whether a replica is one too many is not in the look",
    "remove_scheduler": "what a scheduler of somebody else keeps is not in the look",
}
"""Actions whose blast radius is not known, or not for all arguments, and why."""


def of_replication_mode(model: Model, given: JsonObject) -> Effect:
    """PD keeps two sites in step, or no more; each store must say where it stands."""
    settings = given["settings"].get("dr-auto-sync") or {}
    key = str(settings.get("label-key") or "")
    stores = [one for one in model.stores.values() if not one.is_tiflash]
    lacking = [one.id for one in stores if key and not one.labels.get(key)]
    faults = [*safety.no_pd(model), *safety.not_calm(model, 0)]
    if lacking:
        faults.append(f"stores {sorted(lacking)} lack the label {key} that names their site")
    return unmeasured(model, faults)


def set_label_property(model: Model, given: JsonObject) -> Effect:
    """Stores with a label lead no more."""
    named = _labelled(model, given)
    after = replace(model, rejected=model.rejected | named)
    moved = 0.0
    for store in (model.stores[key] for key in sorted(named)):
        moved += store.leaders
        after = spread_leaders(after, store.leaders, besides=store.id)
        after = after.with_stores(replace(store, leaders=0))
    faults = (*safety.no_pd(model), *safety.not_alone(model, 0))
    return Effect(after, leader_seconds(model, moved), faults, moved_leaders=moved)


def delete_label_property(model: Model, given: JsonObject) -> Effect:
    """Stores with a label lead again, up to their part."""
    named = _labelled(model, given)
    fair = model.leaders * len(named) / max(1, len(model.healthy))
    faults = tuple(safety.no_pd(model))
    after = replace(model, rejected=model.rejected - named)
    return Effect(after, leader_seconds(model, fair), faults, moved_leaders=fair)


def _labelled(model: Model, given: JsonObject) -> frozenset[int]:
    key, value = str(given["label_key"]), str(given["label_value"])
    return frozenset(one.id for one in model.healthy if one.labels.get(key) == value)


def set_leader_priority(model: Model, given: JsonObject) -> Effect:
    """PD may be led by another member."""
    known = model.pd_members.get(str(given["name"]))
    faults = [*safety.no_pd(model)]
    if known is None:
        faults.append(f"PD member {given['name']} is not there")
    elif not known[1] and int(given["priority"]) > 0:
        faults.append(f"PD member {given['name']} is not healthy and should not lead")
    return Effect(model, 1.0, tuple(faults))


def delete_safepoint(model: Model, given: JsonObject) -> Effect:
    """What a service held back is collected, and is lost to it."""
    faults = [*safety.no_pd(model)]
    if given["service_id"] == GC_WORKER:
        faults.append(f"{GC_WORKER} is garbage collection itself")
    return unmeasured(model, faults)


def _tuning(model: Model, given: JsonObject) -> Effect:
    del given
    return unmeasured(model, safety.no_pd(model))


SETTING_EFFECTS: Final[Mapping[str, Rehearse]] = {
    "set_store_limit_scene": lambda model, _: Effect(model, 1.0, tuple(safety.no_pd(model))),
    "configure_scheduler": _tuning,
    "set_pd_server_config": _tuning,
    "set_service_middleware_config": _tuning,
    "set_cluster_version": lambda model, _: unmeasured(
        model, [*safety.no_pd(model), *safety.not_calm(model, 0)]
    ),
    "set_replication_mode": of_replication_mode,
    "set_label_property": set_label_property,
    "delete_label_property": delete_label_property,
    "set_pd_leader_priority": set_leader_priority,
    "delete_gc_safepoint": delete_safepoint,
}

"""What actions on PD's members and its configuration do to the model of a cluster."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from pydantic import JsonValue

from operator_core.types import JsonObject
from operator_tikv.actions.params import scalar
from operator_tikv.facts_config import LIMITS
from operator_tikv.pd.parse import duration_seconds
from operator_tikv.preflight_items import (
    FULLEST_SHARE,
    LEAST_DOWN_SECONDS,
    LONGEST_DOWN_SECONDS,
    NEVER_ZERO,
)
from operator_tikv.twin import safety
from operator_tikv.twin.effect import Effect, Rehearse, everything, unchanged, unmeasured
from operator_tikv.twin.model import Model
from operator_tikv.twin.placement import disable_rules, enable_rules
from operator_tikv.twin.safety import breaches

_ELECTION_SECONDS: Final = 5.0
_LARGEST_LIMIT: Final = 10_000.0
_HIGH: Final = "high-space-ratio"
_SPACE: Final = frozenset({"low-space-ratio", _HIGH})
_BOOLS: Final[Mapping[str, JsonValue]] = {"true": True, "false": False}


# --- PD's members ---------------------------------------------------------------------------


def transfer_pd_leader(model: Model, given: JsonObject) -> Effect:
    """Another member leads PD."""
    known = model.pd_members.get(str(given["name"]))
    faults = [*safety.no_pd(model)]
    if known is None or not known[1]:
        faults.append(f"PD member {given['name']} is {'not healthy' if known else 'not there'}")
    return Effect(replace(model, pd_leader=str(given["name"])), _ELECTION_SECONDS, tuple(faults))


def resign_pd_leader(model: Model, given: JsonObject) -> Effect:
    """PD's leader gives up its place to whoever follows."""
    faults = [*safety.no_pd(model)]
    named = str(given.get("leader") or "")
    if named and named != model.pd_leader:
        faults.append(f"PD is led by {model.pd_leader or 'nobody'}, not by {named}")
    others = [name for name, (_, well) in model.pd_members.items() if well]
    if not set(others) - {model.pd_leader}:
        faults.append("no other PD member is healthy, so nobody could follow")
    return Effect(model, _ELECTION_SECONDS, tuple(faults))


def delete_pd_member(model: Model, given: JsonObject) -> Effect:
    """PD has one member less."""
    name = str(given["name"])
    known = model.pd_members.get(name)
    if known is None:
        return unchanged(model, f"PD has no member {name}")
    faults = [*safety.no_pd(model)]
    if known[0] != str(given["member_id"]):
        faults.append(f"PD member {name} has the id {known[0]}")
    if name == model.pd_leader:
        faults.append(f"{name} leads PD; transfer the leader first")
    staying = {key: one for key, one in model.pd_members.items() if key != name}
    dead = sorted(key for key, (_, well) in staying.items() if not well)
    if known[1] and dead:
        faults.append(f"PD member {', '.join(dead)} is not healthy; that one is mended first")
    if 2 * sum(well for _, well in staying.values()) <= len(staying):
        faults.append("the healthy members that stay are no majority of those that stay")
    after = replace(model, pd_members=staying)
    return Effect(after, _ELECTION_SECONDS, tuple(faults), lost_failures=float(known[1]))


# --- configuration --------------------------------------------------------------------------


def set_schedule(model: Model, given: JsonObject) -> Effect:
    """An item of PD's schedule configuration is another."""
    item, text = str(given["item"]), str(given["value"])
    name, value = item.replace("-", "_"), _BOOLS.get(text.lower(), scalar(text))
    if item == "max-store-down-time":
        return _down_time(model, text)
    if item in NEVER_ZERO and value == 0:
        return unchanged(model, f"with {item} 0 PD makes no replicas")
    if item in _SPACE:
        return _space_share(model, item, value)
    return (_number if name in LIMITS else _switch)(model, name, value)


def _switch(model: Model, name: str, value: JsonValue) -> Effect:
    if name == "halt_scheduling":
        return Effect(model.with_config(halt_scheduling=value), 1.0)
    if not name.startswith("enable_"):
        return unmeasured(model, safety.no_pd(model))
    off = set(model.config["repair_switches_off"]) - {name}
    off |= {name} if value is False and name in model.config else set()
    return Effect(model.with_config(**{name: value, "repair_switches_off": sorted(off)}), 1.0)


def _number(model: Model, name: str, value: JsonValue) -> Effect:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 0 <= float(str(value)) <= _LARGEST_LIMIT:
        words = f"{name.replace('_', '-')} {value} is not from 0 to {_LARGEST_LIMIT:.0f}"
        return unchanged(model, words)
    return Effect(model.with_config(**{name: value}), 1.0)


def _space_share(model: Model, item: str, value: JsonValue) -> Effect:
    """A disk counts as full, or as no longer empty, from another share in use on."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 0 <= float(str(value)) <= 1:
        return unchanged(model, f"{item} {value} is not from 0 to 1")
    items = {**model.config.get("items", {}), item: value}
    low = float(str(items.get("low-space-ratio", model.config["low_space_ratio"])))
    high = items.get(_HIGH)
    faults = []
    if low > FULLEST_SHARE:
        faults.append(f"with {item} {value} PD would fill disks beyond {FULLEST_SHARE:.0%}")
    if high is not None and high >= low:
        faults.append(f"PD wants {_HIGH} ({high:g}) to be less than low-space-ratio ({low:g})")
    return Effect(model.with_config(items=items, low_space_ratio=low), 1.0, tuple(faults))


def _down_time(model: Model, value: str) -> Effect:
    try:
        seconds = duration_seconds(value)
    except ValueError:
        seconds = None
    if not isinstance(seconds, float) or seconds < LEAST_DOWN_SECONDS:
        return unchanged(model, f"within {value} PD would replace a store that only restarts")
    if seconds > LONGEST_DOWN_SECONDS:
        return unchanged(model, f"for {value} PD would not replace a store that is lost")
    return Effect(model.with_config(max_store_down_seconds=seconds), 1.0)


def set_replication(model: Model, given: JsonObject) -> Effect:
    """An item of PD's replication configuration is another: replicas move by it."""
    change = _REPLICATION.get(str(given["item"]))
    if change is None:
        return unmeasured(model, safety.no_pd(model))
    return change(model, str(given["value"]))


def _replicas(model: Model, value: str) -> Effect:
    wanted = scalar(value)
    if not isinstance(wanted, int) or wanted < 1:
        return unchanged(model, "a region cannot have no replica: max-replicas is at least 1")
    moved = abs(wanted - model.replicas) * model.regions
    faults = [*safety.no_pd(model), *safety.not_calm(model, 0)]
    after = model.with_config(max_replicas=wanted)
    fewer = float(wanted < model.replicas)
    return Effect(after, 60.0, tuple(faults), moved_regions=moved, lost_failures=fewer)


def _location_labels(model: Model, value: str) -> Effect:
    after = model.with_config(location_labels=value)
    faults = [*safety.no_pd(model), *safety.not_calm(model, 0)]
    return replace(everything(model, faults), after=after)


def _isolation_level(model: Model, value: str) -> Effect:
    places = {one.labels.get(value) for one in model.healthy} - {None}
    faults = [*safety.no_pd(model), *safety.not_calm(model, 0)]
    if value and len(places) < model.replicas:
        faults.append(f"{len(places)} places of {value} cannot hold {model.replicas} replicas")
    return everything(model, faults)


def _strict_labels(model: Model, value: str) -> Effect:
    lacking = breaches(model)["replicas are kept apart"]
    is_refused = value.lower() == "true" and lacking.amount
    return Effect(model, 1.0, (f"PD would refuse them: {lacking.words}",) if is_refused else ())


def _placement_switch(model: Model, value: str) -> Effect:
    return (enable_rules if value.lower() == "true" else disable_rules)(model, {})


_REPLICATION: Final[Mapping[str, Callable[[Model, str], Effect]]] = {
    "max-replicas": _replicas,
    "location-labels": _location_labels,
    "isolation-level": _isolation_level,
    "strictly-match-label": _strict_labels,
    "enable-placement-rules": _placement_switch,
}


SWITCH_EFFECTS: Final[Mapping[str, Rehearse]] = {
    "transfer_pd_leader": transfer_pd_leader,
    "resign_pd_leader": resign_pd_leader,
    "delete_pd_member": delete_pd_member,
    "set_schedule_config": set_schedule,
    "set_replication_config": set_replication,
    "set_pd_log_level": lambda model, _: Effect(model, 1.0),
}

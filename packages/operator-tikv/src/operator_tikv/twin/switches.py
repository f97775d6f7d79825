"""What actions on PD, its schedulers and its configuration do to the model of a cluster."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from pydantic import JsonValue

from operator_core.types import JsonObject
from operator_tikv.actions.params import scalar
from operator_tikv.facts import ALWAYS_RUN
from operator_tikv.facts_config import LIMITS
from operator_tikv.pd.parse import duration_seconds
from operator_tikv.twin import safety
from operator_tikv.twin.effect import Effect, Rehearse, unchanged
from operator_tikv.twin.model import Model

_ELECTION_SECONDS: Final = 5.0
_LEAST_DOWN_SECONDS: Final = 1800.0
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
    if 2 * sum(well for _, well in staying.values()) <= len(staying):
        faults.append("the healthy members that stay are no majority of those that stay")
    after = replace(model, pd_members=staying)
    return Effect(after, _ELECTION_SECONDS, tuple(faults), lost_failures=float(known[1]))


# --- schedulers and checkers ----------------------------------------------------------------


def add_scheduler(model: Model, given: JsonObject) -> Effect:
    """PD runs a scheduler."""
    missing = model.missing_schedulers - {str(given["name"])}
    return Effect(replace(model, missing_schedulers=missing), 1.0)


def remove_scheduler(model: Model, given: JsonObject) -> Effect | None:
    """PD runs a scheduler no more."""
    name = str(given["name"])
    if name not in ALWAYS_RUN:
        return None
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


# --- configuration --------------------------------------------------------------------------


def set_schedule(model: Model, given: JsonObject) -> Effect | None:
    """An item of PD's schedule configuration is another."""
    item = str(given["item"])
    value = _BOOLS.get(str(given["value"]).lower(), scalar(str(given["value"])))
    name = item.replace("-", "_")
    if item == "max-store-down-time":
        return _down_time(model, str(given["value"]))
    if name in LIMITS or name in {"halt_scheduling", "low_space_ratio"}:
        return Effect(model.with_config(**{name: value}), 1.0)
    if not name.startswith("enable_"):
        return None
    off = set(model.config["repair_switches_off"]) - {name}
    off |= {name} if value is False and name in model.config else set()
    return Effect(model.with_config(**{name: value, "repair_switches_off": sorted(off)}), 1.0)


def _down_time(model: Model, value: str) -> Effect:
    try:
        seconds = duration_seconds(value)
    except ValueError:
        seconds = None
    if not isinstance(seconds, float) or seconds < _LEAST_DOWN_SECONDS:
        return unchanged(model, f"within {value} PD would replace a store that only restarts")
    return Effect(model.with_config(max_store_down_seconds=seconds), 1.0)


def set_replication(model: Model, given: JsonObject) -> Effect | None:
    """Each region has more replicas, or fewer."""
    wanted = scalar(str(given["value"]))
    if given["item"] != "max-replicas" or not isinstance(wanted, int):
        return None
    moved = abs(wanted - model.replicas) * model.regions
    faults = [] if wanted >= 1 else ["a region cannot have no replica"]
    if wanted > model.replicas:
        faults += safety.not_calm(model, 0)
    after = model.with_config(max_replicas=wanted)
    fewer = float(wanted < model.replicas)
    return Effect(after, 60.0, tuple(faults), moved_regions=moved, lost_failures=fewer)


SWITCH_EFFECTS: Final[Mapping[str, Rehearse]] = {
    "transfer_pd_leader": transfer_pd_leader,
    "resign_pd_leader": resign_pd_leader,
    "delete_pd_member": delete_pd_member,
    "add_scheduler": add_scheduler,
    "remove_scheduler": remove_scheduler,
    "add_test_scheduler": add_test_scheduler,
    "pause_scheduler": lambda model, _: Effect(model, 1.0),
    "resume_scheduler": lambda model, _: Effect(model, 1.0),
    "pause_checker": pause_checker,
    "resume_checker": resume_checker,
    "set_schedule_config": set_schedule,
    "set_replication_config": set_replication,
    "set_pd_log_level": lambda model, _: Effect(model, 1.0),
}

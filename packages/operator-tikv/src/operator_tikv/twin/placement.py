"""What placement rules and region labels do to the model of a cluster.

The rules that there are, and which regions they are about, are not in the look. So whatever PD
may move counts as moved, and the rules that are kept are left to the preflight, which reads them.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from operator_core.types import JsonObject
from operator_tikv.actions.placement import DATA_ROLES
from operator_tikv.facts_config import shortage
from operator_tikv.preflight import listed
from operator_tikv.twin import safety
from operator_tikv.twin.effect import Effect, Rehearse, everything, unmeasured
from operator_tikv.twin.model import Model
from operator_tikv.watched import PlacementRule, RegionLabelRule

_DEFAULT: Final = ("pd", "default")


def _of_rules(given: Sequence[JsonObject]) -> list[PlacementRule]:
    return [PlacementRule.model_validate({"group_id": "pd", **one}) for one in given]


def _of_bundles(bundles: Sequence[JsonObject]) -> list[PlacementRule]:
    return _of_rules(
        [
            {**rule, "group_id": str(bundle.get("group_id") or "pd")}
            for bundle in bundles
            for rule in bundle.get("rules") or ()
        ]
    )


# --- when rules are met -----------------------------------------------------------------


def _unmet(model: Model, rules: Sequence[PlacementRule]) -> Iterator[str]:
    flash = [one for one in model.stores.values() if one.is_tiflash and one.state_name == "Up"]
    places = [*model.healthy, *flash]
    for rule in rules:
        lack = shortage(rule, places)
        if rule.count < 1 or lack is not None:
            room = lack["places"] if lack else len(places)
            yield f"rule {rule.name} wants {rule.count} replicas and has {room} healthy places"
        if (rule.group_id, rule.id) == _DEFAULT and not rule.count >= model.replicas:
            yield f"rule {rule.name} keeps {rule.count} replicas, fewer than {model.replicas}"


def _no_data(model: Model, rules: Sequence[PlacementRule]) -> Iterator[str]:
    voters = sum(rule.count for rule in rules if rule.role in DATA_ROLES)
    if voters < model.replicas:
        yield f"all rules together keep {voters} voters, fewer than {model.replicas}"


def _moment(model: Model) -> list[str]:
    return [*safety.no_pd(model), *safety.not_calm(model, 0)]


# --- rules ------------------------------------------------------------------------------


def set_rules(model: Model, given: JsonObject) -> Effect:
    """Rules are added to those that there are."""
    return everything(model, [*_moment(model), *_unmet(model, _of_rules(given["rules"]))])


def replace_rules(model: Model, given: JsonObject) -> Effect:
    """Rules come in the place of all that there are."""
    return _replaced(model, _of_rules(given["rules"]))


def replace_bundles(model: Model, given: JsonObject) -> Effect:
    """Groups of rules come in the place of all that there are."""
    return _replaced(model, _of_bundles(given["bundles"]))


def _replaced(model: Model, rules: Sequence[PlacementRule]) -> Effect:
    faults = [*_moment(model), *_unmet(model, rules), *_no_data(model, rules)]
    return everything(model, faults)


def set_bundle(model: Model, given: JsonObject) -> Effect:
    """A group of rules is another one."""
    rules = _of_bundles([{**given["bundle"], "group_id": given["group_id"]}])
    faults = [*_moment(model), *_unmet(model, rules)]
    if given["group_id"] == "pd":
        faults += _no_data(model, rules)
    return everything(model, faults)


def delete_rule(model: Model, given: JsonObject) -> Effect:
    """One rule less; what it kept is not seen."""
    faults = _moment(model)
    if (given["group_id"], given["rule_id"]) == _DEFAULT:
        faults.append("the rule pd/default keeps the replicas of what no other rule names")
    return everything(model, faults)


def delete_bundle(model: Model, given: JsonObject) -> Effect:
    """One group of rules less; what it kept is not seen."""
    faults = _moment(model)
    if given["group_id"] == "pd":
        faults.append("the group pd keeps the replicas of what no other rule names")
    return everything(model, faults)


def enable_rules(model: Model, given: JsonObject) -> Effect:
    """Rules say where replicas belong; PD begins with the places that there are."""
    del given
    return everything(model, _moment(model))


def disable_rules(model: Model, given: JsonObject) -> Effect:
    """The number of replicas and the location labels alone say where they belong."""
    del given
    faults = _moment(model)
    if (model.rule_count or 0) > 1:
        faults.append(f"{model.rule_count} placement rules are in use")
    flash = [one.id for one in model.stores.values() if one.is_tiflash]
    if flash:
        faults.append(f"TiFlash (store {listed(flash)}) lives by placement rules")
    return everything(model, faults)


def change_group(model: Model, given: JsonObject) -> Effect:
    """Groups of rules come in another order, or one leaves those before it aside."""
    if given.get("override") and given["group_id"] != "pd":
        # Which rules are left then is not seen, nor whether they keep all data.
        return unmeasured(model, _moment(model))
    return everything(model, _moment(model))


# --- region labels ----------------------------------------------------------------------


def set_region_label(model: Model, given: JsonObject) -> Effect:
    """PD leaves ranges alone, or otherwise looks at them by their labels; nothing is moved."""
    rule = RegionLabelRule.model_validate({"id": given["rule_id"], **given["rule"]})
    faults = [*safety.no_pd(model)]
    if rule.denies_scheduling and model.needs_repair:
        faults.append("PD could not repair what the label forbids to schedule")
    if rule.denies_scheduling and not rule.ends_by_itself and _is_everything(given["rule"]):
        faults.append("the label forbids to schedule every key and does not end by itself")
    return Effect(model, 1.0, tuple(faults))


def _is_everything(rule: JsonObject) -> bool:
    ranges = rule["data"] if isinstance(rule.get("data"), list) else []
    return any(not one.get("start_key") and not one.get("end_key") for one in ranges)


def delete_region_label(model: Model, given: JsonObject) -> Effect:
    """PD may schedule what it was to leave alone; how much of it moves is not known, so all."""
    del given
    return everything(model, safety.no_pd(model))


PLACEMENT_EFFECTS: Final[Mapping[str, Rehearse]] = {
    "set_placement_rules": set_rules,
    "replace_placement_rules": replace_rules,
    "delete_placement_rule": delete_rule,
    "enable_placement_rules": enable_rules,
    "disable_placement_rules": disable_rules,
    "set_rule_group": change_group,
    "delete_rule_group": change_group,
    "set_rule_bundle": set_bundle,
    "delete_rule_bundle": delete_bundle,
    "replace_rule_bundles": replace_bundles,
    "set_region_label_rule": set_region_label,
    "delete_region_label_rule": delete_region_label,
}

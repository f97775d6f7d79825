"""Placement rules, their groups, and region labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from operator_tikv.simulator import default_rule, render_region, rule_fit
from operator_tikv.simulator.admin import DEFAULT_RULE
from operator_tikv.simulator.api import http

if TYPE_CHECKING:
    from operator_tikv.simulator.api.http import Answer, Call, Handler
    from operator_tikv.simulator.model import Region
    from operator_tikv.simulator.world import World

    Json = dict[str, object]

DISABLED: Final = "[PD:placement:ErrPlacementDisabled]placement rules feature is disabled"
ROLES: Final = frozenset({"voter", "leader", "follower", "learner"})


def _rules(world: World) -> dict[tuple[str, str], Json]:
    """The rules; the default one follows the replication settings until it is deleted.

    Raises:
        PdError: rules are off.
    """
    if not world.pd.config.replication["enable-placement-rules"]:
        raise http.PdError(412, DISABLED)
    return default_rule.kept_rules(world.admin, world.pd.config.replication)


def list_rules(world: World, _call: Call) -> Answer:
    """All rules."""
    return http.ok(_sorted(_rules(world)))


def _sorted(rules: dict[tuple[str, str], Json]) -> list[Json]:
    return [rules[key] for key in sorted(rules)]


def list_group(world: World, call: Call) -> Answer:
    """The rules of one group."""
    group = unquote(call.params["group"])
    return http.ok([rule for rule in _sorted(_rules(world)) if rule["group_id"] == group])


def get_rule(world: World, call: Call) -> Answer:
    """One rule."""
    rule = _rules(world).get((unquote(call.params["group"]), unquote(call.params["id"])))
    return http.indented(200 if rule else 404, rule)


def set_rule(world: World, call: Call) -> Answer:
    """Set one rule."""
    _put(world, http.body_object(call))
    return http.ok("Update rule successfully.")


def _put(world: World, body: Json) -> None:
    rules = _rules(world)
    rule = {key: value for key, value in body.items() if key != "action"}
    rule.setdefault("group_id", "pd")
    count = http.whole_number(rule.get("count"))
    if not rule.get("id") or count is None or count < 1 or rule.get("role") not in ROLES:
        text = "[PD:placement:ErrRuleContent]invalid rule content, rule is not complete"
        raise http.PdError(400, text)
    if rule["role"] == "leader" and count > 1:
        text = f"[PD:placement:ErrRuleContent]define multiple leaders by count {count}"
        raise http.PdError(400, text)
    key = (str(rule["group_id"]), str(rule["id"]))
    if key == DEFAULT_RULE:
        world.pd.config.replication["max-replicas"] = count
    rules[key] = rule


def delete_rule(world: World, call: Call) -> Answer:
    """Delete one rule."""
    _drop(world, (unquote(call.params["group"]), unquote(call.params["id"])))
    return http.ok("Delete rule successfully.")


def _drop(world: World, key: tuple[str, str]) -> None:
    rules = _rules(world)
    left = [rule for other, rule in rules.items() if other != key]
    if not any(rule.get("role") != "learner" for rule in left):
        text = "[PD:placement:ErrBuildRuleList]build rule list failed, no leader or voter rule"
        raise http.PdError(500, text)
    rules.pop(key, None)


def set_many(world: World, call: Call) -> Answer:
    """Add and delete rules at once."""
    body = http.body_json(call)
    if not isinstance(body, list) or not all(isinstance(item, dict) for item in body):
        raise http.BadInputError("json: cannot unmarshal value into Go value of type slice")
    for item in sorted(body, key=lambda one: one.get("action") == "del"):
        if item.get("action") == "del":
            _drop(world, (str(item.get("group_id")), str(item.get("id"))))
        else:
            _put(world, item)
    return http.ok("Batch operations successfully.")


def _group(world: World, group: str) -> Json:
    return world.admin.groups.get(group, {"id": group})


def list_groups(world: World, _call: Call) -> Answer:
    """All groups that have rules or a place."""
    names = {str(rule["group_id"]) for rule in _rules(world).values()} | set(world.admin.groups)
    return http.ok([_group(world, name) for name in sorted(names)])


def get_group(world: World, call: Call) -> Answer:
    """One group."""
    name = unquote(call.params["id"])
    known = name in {str(rule["group_id"]) for rule in _rules(world).values()}
    found = name in world.admin.groups or known
    return http.indented(200 if found else 404, _group(world, name) if found else None)


def set_group(world: World, call: Call) -> Answer:
    """Give a group its place."""
    body = http.body_object(call)
    _rules(world)
    world.admin.groups[str(body.get("id"))] = {key: value for key, value in body.items() if value}
    return http.ok("Update rule group successfully.")


def delete_group(world: World, call: Call) -> Answer:
    """Forget the place of a group."""
    _rules(world)
    world.admin.groups.pop(unquote(call.params["id"]), None)
    return http.ok("Delete rule group successfully.")


def _bundle(world: World, group: str) -> Json:
    place = _group(world, group)
    rules = [rule for rule in _sorted(_rules(world)) if rule["group_id"] == group]
    return {
        "group_id": group,
        "group_index": place.get("index", 0),
        "group_override": place.get("override", False),
        "rules": rules,
    }


def list_bundles(world: World, _call: Call) -> Answer:
    """All groups with their rules."""
    names = sorted({str(rule["group_id"]) for rule in _rules(world).values()})
    return http.ok([_bundle(world, name) for name in names])


def get_bundle(world: World, call: Call) -> Answer:
    """One group with its rules."""
    return http.ok(_bundle(world, unquote(call.params["group"])))


def set_bundle(world: World, call: Call) -> Answer:
    """Put a group in the place of what it had."""
    _put_bundle(world, unquote(call.params["group"]), http.body_object(call))
    return http.ok("Update group and rules successfully.")


def _put_bundle(world: World, group: str, body: Json) -> None:
    former = [key for key in _rules(world) if key[0] == group]
    given = body.get("rules")
    added = [item for item in given if isinstance(item, dict)] if isinstance(given, list) else []
    for item in added:
        _put(world, {**item, "group_id": group})
    kept = {str(item.get("id")) for item in added}
    for key in former:
        if key[1] not in kept:
            _drop(world, key)
    place = {"index": body.get("group_index"), "override": body.get("group_override")}
    told: Json = {"id": group, **{key: value for key, value in place.items() if value}}
    world.admin.groups[group] = told


def set_bundles(world: World, call: Call) -> Answer:
    """Put groups in the place of all groups."""
    body = http.body_json(call)
    if not isinstance(body, list):
        raise http.BadInputError("json: cannot unmarshal value into Go value of type slice")
    bundles = [item for item in body if isinstance(item, dict)]
    for item in bundles:
        _put_bundle(world, str(item.get("group_id")), item)
    named = {str(item.get("group_id")) for item in bundles}
    for key in [key for key in _rules(world) if key[0] not in named]:
        _drop(world, key)
    return http.ok("Update rules and groups successfully.")


def delete_bundle(world: World, call: Call) -> Answer:
    """Delete a group with its rules."""
    group = unquote(call.params["group"])
    for key in [key for key in _rules(world) if key[0] == group]:
        _drop(world, key)
    world.admin.groups.pop(group, None)
    return http.ok("Delete group and rules successfully.")


def rules_of_region(world: World, call: Call) -> Answer:
    """The rules that apply to a region."""
    return http.ok(rule_fit.rules_of(world, _region(world, call)))


def fit_of_region(world: World, call: Call) -> Answer:
    """Which peers of a region each rule holds."""
    found = rule_fit.fit_region(world, _region(world, call))
    fits = [
        {
            "rule": fit.rule,
            "peers": [render_region.peer_info(peer) for peer in fit.peers],
            "peers-different-role": None,
            "isolation-score": 0,
        }
        for fit in found.fits
    ]
    orphans = [render_region.peer_info(peer) for peer in found.orphans]
    return http.ok({"rule-fits": fits, "orphan-peers": orphans or None})


def _region(world: World, call: Call) -> Region:
    _rules(world)
    region = world.pd.regions.get(http.path_id(call))
    if region is None:
        text = f"[PD:region:ErrRegionNotFound]region {call.params['id']} not found"
        raise http.PdError(404, text)
    return region


def list_labels(world: World, _call: Call) -> Answer:
    """All region label rules."""
    return http.ok(list(world.admin.region_labels.values()))


def get_label(world: World, call: Call) -> Answer:
    """One region label rule."""
    rule = world.admin.region_labels.get(unquote(call.params["id"]))
    if rule is None:
        name = call.params["id"]
        text = f"[PD:region:ErrRegionRuleNotFound]region label rule not found for id {name}"
        raise http.PdError(404, text)
    return http.ok(rule)


def set_label(world: World, call: Call) -> Answer:
    """Set a region label rule."""
    body = http.body_object(call)
    if not body.get("id") or not body.get("labels"):
        text = "[PD:region:ErrRegionRuleContent]invalid region rule content, empty rule id"
        raise http.PdError(400, text)
    world.admin.region_labels[str(body["id"])] = body
    return http.ok("Update region label rule successfully.")


def delete_label(world: World, call: Call) -> Answer:
    """Delete a region label rule."""
    get_label(world, call)
    del world.admin.region_labels[unquote(call.params["id"])]
    return http.ok("Delete region label rule successfully.")


ROUTES: Final[list[tuple[str, str, Handler]]] = [
    ("GET", "/config/rules", list_rules),
    ("GET", "/config/rules/group/{group}", list_group),
    ("POST", "/config/rules/batch", set_many),
    ("GET", "/config/rules/region/{id}", rules_of_region),
    ("GET", "/config/rules/region/{id}/detail", fit_of_region),
    ("POST", "/config/rule", set_rule),
    ("GET", "/config/rule/{group}/{id}", get_rule),
    ("DELETE", "/config/rule/{group}/{id}", delete_rule),
    ("GET", "/config/rule_groups", list_groups),
    ("POST", "/config/rule_group", set_group),
    ("GET", "/config/rule_group/{id}", get_group),
    ("DELETE", "/config/rule_group/{id}", delete_group),
    ("GET", "/config/placement-rule", list_bundles),
    ("POST", "/config/placement-rule", set_bundles),
    ("GET", "/config/placement-rule/{group}", get_bundle),
    ("POST", "/config/placement-rule/{group}", set_bundle),
    ("DELETE", "/config/placement-rule/{group}", delete_bundle),
    ("GET", "/config/region-label/rules", list_labels),
    ("POST", "/config/region-label/rule", set_label),
    ("GET", "/config/region-label/rule/{id}", get_label),
    ("DELETE", "/config/region-label/rule/{id}", delete_label),
]

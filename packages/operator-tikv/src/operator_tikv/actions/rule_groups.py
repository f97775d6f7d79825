"""Groups of placement rules, and region labels."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, Final
from urllib.parse import quote

from operator_core.actions.types import ParamDef
from operator_core.errors import ActionRefusedError
from operator_core.types import JsonObject, RiskLevel
from operator_tikv import preflight
from operator_tikv.actions.change import Change, action
from operator_tikv.actions.params import GroupId, RuleId
from operator_tikv.actions.placement import (
    DATA_ROLES,
    Rules,
    check_rules,
    covers,
    objects,
    read_object_or_none,
)
from operator_tikv.pd.api import PdApi
from operator_tikv.view import View

if TYPE_CHECKING:
    from pydantic import JsonValue


_DEFAULT_GROUP: Final = "pd"


@dataclass(frozen=True)
class Named:
    """Something that PD has under a name, or has not.

    Attributes:
        value: what it is; None: PD has none.
        rules: of a group of rules: those of the groups that come before it, and its own.
    """

    value: JsonObject | None
    rules: Rules = field(default_factory=list)


@dataclass(frozen=True)
class _GroupChange(Change[Named]):
    group_id: GroupId

    async def read(self, api: PdApi) -> Named:
        """Read the group."""
        path = f"/config/rule_group/{quote(self.group_id, safe='')}"
        return Named(await read_object_or_none(api, path))

    def shown(self, now: Named) -> JsonObject:
        """Return the group."""
        return {"rule_group": now.value}


@action(
    "set_rule_group",
    risk=RiskLevel.HIGH,
    tags=("config", "movement"),
    idempotent=True,
    restored_by="set_rule_group",
)
@dataclass(frozen=True)
class SetRuleGroup(_GroupChange):
    """Set which group of rules counts first, and whether it overrides the ones before."""

    index: Annotated[int, ParamDef(type="int", description="Its place among the groups")]
    override: Annotated[
        bool, ParamDef(type="bool", description="Whether the groups before it are left aside")
    ] = False

    async def read(self, api: PdApi) -> Named:
        """Read the group, and where it overrides the rules that are left."""
        found = await super().read(api)
        path = "/config/placement-rule"
        bundles = objects(await api.read_or(path, None), path) if self.override else []
        return replace(found, rules=_rules_of(list(self._left(bundles))))

    def _left(self, bundles: "Bundles") -> Iterator[JsonObject]:
        """Yield the groups that still count when those before this one are left aside."""
        for one in bundles:
            own = one.get("group_id") == self.group_id
            if own or int(one.get("index") or 0) > self.index:
                yield one

    def check(self, view: View, now: Named) -> None:
        """Nothing may be in need of repair, and the rules that are left must keep all data."""
        if self.override and self.group_id != _DEFAULT_GROUP:
            check_rules(view, now.rules)
            _check_covers_all(now.rules)
        preflight.check_quiet(view)

    def _body(self) -> JsonObject:
        return {"id": self.group_id, "index": self.index, "override": self.override}

    async def send(self, api: PdApi) -> None:
        """Set it."""
        await api.client.send("POST", "/config/rule_group", self._body())

    def holds(self, now: Named) -> bool:
        """Whether it is so."""
        return now.value is not None and covers(now.value, self._body())

    def undo(self, before: Named, after: Named) -> JsonObject | None:
        """Back to the former place; a group that was not there had place 0."""
        del after
        former = before.value or {}
        return {
            "group_id": self.group_id,
            "index": int(former.get("index") or 0),
            "override": bool(former.get("override")),
        }


def _check_covers_all(rules: Rules) -> None:
    for rule in rules:
        is_whole = not (rule.get("start_key") or rule.get("end_key"))
        if is_whole and rule.get("role") in DATA_ROLES:
            return
    raise ActionRefusedError("No rule would be left that keeps voters of every key.")


@action(
    "delete_rule_group",
    risk=RiskLevel.HIGH,
    tags=("config", "movement"),
    idempotent=True,
    restored_by="set_rule_group",
)
@dataclass(frozen=True)
class DeleteRuleGroup(_GroupChange):
    """Forget the place of a group of rules; the rules themselves stay."""

    def check(self, view: View, now: Named) -> None:
        """Nothing may be in need of repair."""
        del now
        preflight.check_quiet(view)

    async def send(self, api: PdApi) -> None:
        """Delete it."""
        await api.client.send("DELETE", f"/config/rule_group/{quote(self.group_id, safe='')}")

    def holds(self, now: Named) -> bool:
        """Whether it is gone, or as good as never set."""
        value = now.value or {}
        return not value.get("index") and not value.get("override")

    def undo(self, before: Named, after: Named) -> JsonObject | None:
        """Set it again."""
        del after
        former = before.value or {}
        return {
            "group_id": self.group_id,
            "index": int(former.get("index") or 0),
            "override": bool(former.get("override")),
        }


Bundles = list[JsonObject]


@dataclass(frozen=True)
class _BundleChange(Change[Bundles]):
    async def read(self, api: PdApi) -> Bundles:
        """Read all groups with their rules."""
        path = "/config/placement-rule"
        return objects(await api.read_or(path, None), path)

    def shown(self, now: Bundles) -> JsonObject:
        """Return them."""
        return {"bundles": now}

    def undo(self, before: Bundles, after: Bundles) -> JsonObject | None:
        """Back to exactly the former groups and rules."""
        del after
        return {"bundles": before} if before else None


def _rules_of(bundles: Bundles) -> Rules:
    return [
        {"group_id": bundle.get("group_id"), **rule}
        for bundle in bundles
        for rule in bundle.get("rules") or ()
        if isinstance(rule, dict)
    ]


@action(
    "set_rule_bundle",
    risk=RiskLevel.HIGH,
    tags=("config", "movement"),
    idempotent=True,
    disruptive=True,
    restored_by="replace_rule_bundles",
)
@dataclass(frozen=True)
class SetRuleBundle(_BundleChange):
    """Put a group of placement rules in the place of what the group has now."""

    group_id: GroupId
    bundle: Annotated[
        JsonObject,
        ParamDef(type="object", description="The group in PD's own form, with its rules"),
    ]

    def check(self, view: View, now: Bundles) -> None:
        """All rules together must be possible, on a cluster that is whole."""
        others = [one for one in now if one.get("group_id") != self.group_id]
        check_rules(view, _rules_of([*others, {**self.bundle, "group_id": self.group_id}]))
        preflight.check_quiet(view)

    async def send(self, api: PdApi) -> None:
        """Set it."""
        path = f"/config/placement-rule/{quote(self.group_id, safe='')}"
        await api.client.send("POST", path, {**self.bundle, "group_id": self.group_id})

    def holds(self, now: Bundles) -> bool:
        """Whether it is so."""
        return any(one.get("group_id") == self.group_id and covers(one, self.bundle) for one in now)


@action(
    "delete_rule_bundle",
    risk=RiskLevel.HIGH,
    tags=("config", "movement"),
    idempotent=True,
    disruptive=True,
    restored_by="replace_rule_bundles",
)
@dataclass(frozen=True)
class DeleteRuleBundle(_BundleChange):
    """Delete a group of placement rules with all its rules."""

    group_id: GroupId

    def check(self, view: View, now: Bundles) -> None:
        """The others must keep a place for the data."""
        check_rules(view, _rules_of([one for one in now if one.get("group_id") != self.group_id]))
        preflight.check_quiet(view)

    async def send(self, api: PdApi) -> None:
        """Delete it."""
        await api.client.send("DELETE", f"/config/placement-rule/{quote(self.group_id, safe='')}")

    def holds(self, now: Bundles) -> bool:
        """Whether it is gone."""
        return not any(one.get("group_id") == self.group_id and one.get("rules") for one in now)


@action(
    "replace_rule_bundles",
    risk=RiskLevel.HIGH,
    tags=("config", "movement"),
    idempotent=True,
    disruptive=True,
    restored_by="replace_rule_bundles",
)
@dataclass(frozen=True)
class ReplaceRuleBundles(_BundleChange):
    """Put groups of placement rules in the place of all that there are."""

    bundles: Annotated[
        list[JsonObject], ParamDef(type="list", description="All groups in PD's own form")
    ]

    def check(self, view: View, now: Bundles) -> None:
        """The rules must be possible, on a cluster that is whole."""
        del now
        check_rules(view, _rules_of(self.bundles))
        preflight.check_quiet(view)

    async def send(self, api: PdApi) -> None:
        """Set them."""
        body: list[JsonValue] = [dict(bundle) for bundle in self.bundles]
        await api.client.send("POST", "/config/placement-rule", body)

    def holds(self, now: Bundles) -> bool:
        """Whether there are these groups and no others."""
        known = {str(one.get("group_id")): one for one in now if one.get("rules")}
        wanted = {str(one.get("group_id")): one for one in self.bundles if one.get("rules")}
        return known.keys() == wanted.keys() and all(
            covers(known[key], bundle) for key, bundle in wanted.items()
        )


@dataclass(frozen=True)
class _RegionLabelChange(Change[Named]):
    rule_id: RuleId

    async def read(self, api: PdApi) -> Named:
        """Read the rule."""
        path = f"/config/region-label/rule/{quote(self.rule_id, safe='')}"
        return Named(await read_object_or_none(api, path))

    def shown(self, now: Named) -> JsonObject:
        """Return the rule."""
        return {"region_label_rule": now.value}


@action(
    "set_region_label_rule",
    risk=RiskLevel.MEDIUM,
    tags=("config",),
    idempotent=True,
    inverse="delete_region_label_rule",
)
@dataclass(frozen=True)
class SetRegionLabelRule(_RegionLabelChange):
    """Label ranges of keys, for example so that PD leaves them alone (schedule=deny)."""

    rule: Annotated[
        JsonObject, ParamDef(type="object", description="The rule in PD's own form, without its id")
    ]

    def check_arguments(self) -> None:
        """A rule says which labels and which ranges."""
        if not self.rule.get("labels") or "data" not in self.rule:
            raise ActionRefusedError("rule must have labels, rule_type and data.")

    async def send(self, api: PdApi) -> None:
        """Set it."""
        await api.client.send(
            "POST", "/config/region-label/rule", {**self.rule, "id": self.rule_id}
        )

    def holds(self, now: Named) -> bool:
        """Whether it is so."""
        return now.value is not None and covers(now.value, self.rule)

    def undo(self, before: Named, after: Named) -> JsonObject | None:
        """Delete it, unless there was another one before."""
        del after
        return None if before.value else {"rule_id": self.rule_id}


@action(
    "delete_region_label_rule",
    risk=RiskLevel.LOW,
    tags=("config",),
    idempotent=True,
    restored_by="set_region_label_rule",
)
@dataclass(frozen=True)
class DeleteRegionLabelRule(_RegionLabelChange):
    """Take a label from ranges of keys, for example one that kept PD from scheduling them."""

    async def send(self, api: PdApi) -> None:
        """Delete it."""
        path = f"/config/region-label/rule/{quote(self.rule_id, safe='')}"
        await api.client.send("DELETE", path)

    def holds(self, now: Named) -> bool:
        """Whether it is gone."""
        return now.value is None

    def undo(self, before: Named, after: Named) -> JsonObject | None:
        """Set it again."""
        del after
        return {"rule_id": self.rule_id, "rule": before.value} if before.value else None

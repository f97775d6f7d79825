"""Placement rules and region labels: where replicas belong, and which ranges are left alone.

A change here makes PD move as much data as it takes, so the rules are checked against the
stores there are, and every former state is kept to go back to.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Final
from urllib.parse import quote

from pydantic import JsonValue

from operator_core.actions.types import ParamDef
from operator_core.errors import ActionRefusedError
from operator_core.types import JsonObject, RiskLevel
from operator_tikv import preflight
from operator_tikv.actions.change import Change, action
from operator_tikv.actions.params import GroupId, RuleId
from operator_tikv.pd.api import PdApi
from operator_tikv.pd.errors import PdAnswerError, PdRefusalError
from operator_tikv.pd.types import StoreInfo
from operator_tikv.view import View

Rules = list[JsonObject]

DATA_ROLES: Final = frozenset({"voter", "leader", "follower"})
_MATCHES: Final[dict[str, Callable[[str | None, list[str]], bool]]] = {
    "in": lambda have, values: have in values,
    "notIn": lambda have, values: have not in values,
    "exists": lambda have, _values: have is not None,
    "notExists": lambda have, _values: have is None,
}
_ABSENT: Final = frozenset({404, 412})


def objects(value: JsonValue, what: str) -> Rules:
    """Return a list of objects.

    Raises:
        PdAnswerError: it is something else.
    """
    if value is None:
        return []
    if not isinstance(value, list):
        raise PdAnswerError(f"PD's answer to GET {what} has an unknown shape: it is no list.")
    return [dict(item) for item in value if isinstance(item, dict)]


async def read_rules(api: PdApi) -> Rules:
    """Return all placement rules; none where the feature is off."""
    return objects(await api.read_or("/config/rules", None), "/config/rules")


def fitting(rule: JsonObject, stores: Iterable[StoreInfo]) -> list[int]:
    """Return the stores that a rule's constraints allow; TiFlash only where it is asked for."""
    constraints = [item for item in rule.get("label_constraints") or () if isinstance(item, dict)]
    asks_engine = any(item.get("key") == "engine" for item in constraints)
    return [
        store.id
        for store in stores
        if (asks_engine or not store.is_tiflash)
        and all(_matches(store, constraint) for constraint in constraints)
    ]


def _matches(store: StoreInfo, constraint: JsonObject) -> bool:
    test = _MATCHES.get(str(constraint.get("op")))
    have = store.labels.get(str(constraint.get("key")))
    return test is None or test(have, constraint.get("values") or [])


def check_rules(view: View, rules: Rules) -> None:
    """Check that rules can be met by the healthy stores, and that data keeps a place.

    Raises:
        ActionRefusedError: they cannot, or no rule is left that holds data.
    """
    healthy = [view.stores[key] for key in (*view.healthy, *_tiflash(view))]
    for rule in rules:
        count, stores = int(rule.get("count") or 0), fitting(rule, healthy)
        if count < 1 or count > len(stores):
            raise ActionRefusedError(
                f"Rule {_name(rule)} wants {count} replicas; the healthy stores that fit are: "
                f"{preflight.listed(stores)}."
            )
    if not any(rule.get("role") in DATA_ROLES for rule in rules):
        raise ActionRefusedError("No rule would be left that keeps voters: no data has a place.")


def _check_form(rules: Sequence[object]) -> None:
    if not rules or not all(isinstance(rule, dict) and rule.get("id") for rule in rules):
        raise ActionRefusedError("rules must be objects with an id, at least one.")


def _tiflash(view: View) -> list[int]:
    up = (store for store in view.stores.values() if store.store.state_name == "Up")
    return [store.id for store in up if store.is_tiflash]


def _name(rule: JsonObject) -> str:
    return f"{rule.get('group_id')}/{rule.get('id')}"


def _key(rule: JsonObject) -> tuple[str, str]:
    return str(rule.get("group_id") or "pd"), str(rule.get("id"))


def covers(found: JsonValue, wanted: JsonValue) -> bool:
    """Return whether an answer says all that was asked for; what is empty PD leaves out."""
    if isinstance(wanted, dict):
        known = found if isinstance(found, dict) else {}
        return all(covers(known.get(key), value) for key, value in wanted.items())
    if isinstance(wanted, list) and isinstance(found, list):
        pairs = zip(found, wanted, strict=False)
        return len(found) == len(wanted) and all(covers(one, other) for one, other in pairs)
    if not found and not wanted:
        return True
    same_text = isinstance(found, str) and isinstance(wanted, str)
    return found == wanted or (same_text and str(found).lower() == str(wanted).lower())


@dataclass(frozen=True)
class _RuleChange(Change[Rules]):
    async def read(self, api: PdApi) -> Rules:
        """Read all rules."""
        return await read_rules(api)

    def shown(self, now: Rules) -> JsonObject:
        """Return all rules."""
        return {"rules": now}


@action(
    "set_placement_rules",
    risk=RiskLevel.HIGH,
    tags=("config", "movement"),
    idempotent=True,
    disruptive=True,
    restored_by="replace_placement_rules",
)
@dataclass(frozen=True)
class SetPlacementRules(_RuleChange):
    """Set placement rules, beside those that there are; PD moves what they ask for."""

    rules: Annotated[
        list[JsonObject], ParamDef(type="list", description="Rules in PD's own form, each whole")
    ]

    def check_arguments(self) -> None:
        """Rules are objects with ids."""
        _check_form(self.rules)

    def check(self, view: View, now: Rules) -> None:
        """All rules together must be possible, on a cluster that is whole."""
        wanted = {_key(rule) for rule in self.rules}
        kept = [rule for rule in now if _key(rule) not in wanted]
        check_rules(view, [*kept, *self.rules])
        preflight.check_quiet(view)

    async def send(self, api: PdApi) -> None:
        """Set all at once."""
        body: list[JsonValue] = [{"action": "add", **rule} for rule in self.rules]
        await api.client.send("POST", "/config/rules/batch", body)

    def holds(self, now: Rules) -> bool:
        """Whether each is so."""
        known = {_key(rule): rule for rule in now}
        return all(covers(known.get(_key(rule)), rule) for rule in self.rules)

    def undo(self, before: Rules, after: Rules) -> JsonObject | None:
        """Back to exactly the former rules."""
        del after
        return {"rules": before} if before else None


@action(
    "replace_placement_rules",
    risk=RiskLevel.HIGH,
    tags=("config", "movement"),
    idempotent=True,
    disruptive=True,
    restored_by="replace_placement_rules",
)
@dataclass(frozen=True)
class ReplacePlacementRules(_RuleChange):
    """Put placement rules in the place of all that there are; PD moves what they ask for."""

    rules: Annotated[
        list[JsonObject], ParamDef(type="list", description="All rules in PD's own form")
    ]

    def check_arguments(self) -> None:
        """Rules are objects with ids."""
        _check_form(self.rules)

    def check(self, view: View, now: Rules) -> None:
        """The rules must be possible, on a cluster that is whole."""
        del now
        check_rules(view, self.rules)
        preflight.check_quiet(view)

    async def send(self, api: PdApi) -> None:
        """Set the new ones and delete the others, at once."""
        wanted = {_key(rule) for rule in self.rules}
        body: list[JsonValue] = [{"action": "add", **rule} for rule in self.rules]
        for rule in await self.read(api):
            group, rule_id = _key(rule)
            if (group, rule_id) not in wanted:
                body.append({"action": "del", "group_id": group, "id": rule_id})
        await api.client.send("POST", "/config/rules/batch", body)

    def holds(self, now: Rules) -> bool:
        """Whether there are these rules and no others."""
        known = {_key(rule): rule for rule in now}
        wanted = {_key(rule): rule for rule in self.rules}
        return known.keys() == wanted.keys() and all(
            covers(known[key], rule) for key, rule in wanted.items()
        )

    def undo(self, before: Rules, after: Rules) -> JsonObject | None:
        """Back to exactly the former rules."""
        del after
        return {"rules": before} if before else None


@action(
    "delete_placement_rule",
    risk=RiskLevel.HIGH,
    tags=("config", "movement"),
    idempotent=True,
    disruptive=True,
    restored_by="set_placement_rules",
)
@dataclass(frozen=True)
class DeletePlacementRule(_RuleChange):
    """Delete one placement rule; PD moves what the others ask for."""

    group_id: GroupId
    rule_id: RuleId

    def check(self, view: View, now: Rules) -> None:
        """The others must keep a place for the data."""
        check_rules(view, [rule for rule in now if not self._is_meant(rule)])
        preflight.check_quiet(view)

    def _is_meant(self, rule: JsonObject) -> bool:
        return _key(rule) == (self.group_id, self.rule_id)

    async def send(self, api: PdApi) -> None:
        """Delete it."""
        path = f"/config/rule/{quote(self.group_id, safe='')}/{quote(self.rule_id, safe='')}"
        await api.client.send("DELETE", path)

    def holds(self, now: Rules) -> bool:
        """Whether it is gone."""
        return not any(self._is_meant(rule) for rule in now)

    def undo(self, before: Rules, after: Rules) -> JsonObject | None:
        """Set it again."""
        del after
        return {"rules": [rule for rule in before if self._is_meant(rule)]}


@dataclass(frozen=True)
class Switch:
    """Whether placement rules are on, and which there are."""

    enabled: bool
    rules: Rules


@dataclass(frozen=True)
class _SwitchChange(Change[Switch]):
    async def read(self, api: PdApi) -> Switch:
        """Read the switch and the rules."""
        enabled = (await api.replicate_config()).enable_placement_rules
        return Switch(enabled, await read_rules(api) if enabled else [])

    async def _set(self, api: PdApi, value: str) -> None:
        await api.client.send("POST", "/config", {"replication.enable-placement-rules": value})

    def shown(self, now: Switch) -> JsonObject:
        """Return both."""
        return {"enabled": now.enabled, "rules": now.rules}

    def undo(self, before: Switch, after: Switch) -> JsonObject | None:
        """The inverse takes no arguments."""
        del before, after
        return {}


@action(
    "enable_placement_rules",
    risk=RiskLevel.HIGH,
    tags=("config", "movement"),
    idempotent=True,
    inverse="disable_placement_rules",
)
@dataclass(frozen=True)
class EnablePlacementRules(_SwitchChange):
    """Let placement rules say where replicas belong."""

    def check(self, view: View, now: Switch) -> None:
        """Nothing may be in need of repair."""
        del now
        preflight.check_quiet(view)

    async def send(self, api: PdApi) -> None:
        """Turn them on."""
        await self._set(api, "true")

    def holds(self, now: Switch) -> bool:
        """Whether they are on."""
        return now.enabled


@action(
    "disable_placement_rules",
    risk=RiskLevel.HIGH,
    tags=("config", "movement"),
    idempotent=True,
    inverse="enable_placement_rules",
)
@dataclass(frozen=True)
class DisablePlacementRules(_SwitchChange):
    """Let max-replicas and location labels alone say where replicas belong."""

    def check(self, view: View, now: Switch) -> None:
        """No rule but the default one may be in use, and no TiFlash, which lives by rules."""
        own = [_name(rule) for rule in now.rules if _key(rule) != ("pd", "default")]
        if own or _tiflash(view):
            raise ActionRefusedError(
                f"Rules are in use ({', '.join(own) or 'by TiFlash'}); without them PD would "
                "move or drop replicas. Delete them one by one first."
            )
        preflight.check_quiet(view)

    async def send(self, api: PdApi) -> None:
        """Turn them off."""
        await self._set(api, "false")

    def holds(self, now: Switch) -> bool:
        """Whether they are off."""
        return not now.enabled


async def read_object_or_none(api: PdApi, path: str) -> JsonObject | None:
    """Return an object; None where PD does not have it.

    Raises:
        PdAnswerError: it is something else.
    """
    try:
        value = await api.read(path)
    except PdRefusalError as error:
        if error.status in _ABSENT:
            return None
        raise
    if value is not None and not isinstance(value, dict):
        raise PdAnswerError(f"PD's answer to GET {path} has an unknown shape: it is no object.")
    return value

"""PD's configuration, item by item: schedule, replication, its own server, its middleware."""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Final

from pydantic import JsonValue

from operator_core.actions.types import ParamDef
from operator_core.errors import ActionRefusedError
from operator_core.types import JsonObject, RiskLevel
from operator_tikv.actions.change import Change, action
from operator_tikv.actions.params import ConfigItem, ConfigValue, printed, same_value, scalar
from operator_tikv.pd.api import PdApi
from operator_tikv.preflight_items import check_schedule_item
from operator_tikv.view import View

_NOT_SCALAR: Final = (dict, list)


@dataclass(frozen=True)
class _ConfigChange(Change[JsonObject]):
    item: ConfigItem
    value: ConfigValue

    section: ClassVar[str]
    path: ClassVar[str]

    async def read(self, api: PdApi) -> JsonObject:
        """Read the section."""
        return dict(await api.map_of(self.path))

    def check(self, view: View, now: JsonObject) -> None:
        """The item must be one of the section's, with a single value."""
        if self.item not in now or isinstance(now[self.item], _NOT_SCALAR):
            single = (key for key, value in now.items() if not isinstance(value, _NOT_SCALAR))
            raise ActionRefusedError(
                f"PD's {self.section} configuration has no item {self.item!r} to set; it has: "
                f"{', '.join(sorted(single))}."
            )
        self.check_value(view, now)

    def check_value(self, view: View, now: JsonObject) -> None:
        """Raise where the value must not be set."""

    async def send(self, api: PdApi) -> None:
        """Set the item."""
        body: JsonObject = {f"{self.section}.{self.item}": scalar(self.value)}
        await api.client.send("POST", "/config", body)

    def holds(self, now: JsonObject) -> bool:
        """Whether it is so."""
        return self.item in now and same_value(now[self.item], self.value)

    def shown(self, now: JsonObject) -> JsonObject:
        """Return the value."""
        return {self.item: now.get(self.item)}

    def undo(self, before: JsonObject, after: JsonObject) -> JsonObject | None:
        """Back to the former value."""
        del after
        return {"item": self.item, "value": printed(before[self.item])}


@action(
    "set_schedule_config",
    risk=RiskLevel.MEDIUM,
    tags=("config",),
    idempotent=True,
    restored_by="set_schedule_config",
)
@dataclass(frozen=True)
class SetScheduleConfig(_ConfigChange):
    """Set one item of PD's schedule configuration: limits, thresholds, switches."""

    section = "schedule"
    path = "/config/schedule"

    def check_value(self, view: View, now: JsonObject) -> None:
        """PD must go on repairing, and not take a store that only restarts for lost."""
        del view, now
        check_schedule_item(self.item, self.value)


@action(
    "set_replication_config",
    risk=RiskLevel.HIGH,
    tags=("config", "movement"),
    idempotent=True,
    restored_by="set_replication_config",
)
@dataclass(frozen=True)
class SetReplicationConfig(_ConfigChange):
    """Set one item of PD's replication configuration, which may make PD move very much."""

    section = "replication"
    path = "/config/replicate"

    def check_value(self, view: View, now: JsonObject) -> None:
        """Stores must be able to hold the replicas, and have the labels that become a must."""
        if self.item == "max-replicas":
            self._check_replicas(view)
        elif self.item == "enable-placement-rules":
            raise ActionRefusedError(
                "enable_placement_rules and disable_placement_rules do that, with a look at the "
                "rules first."
            )
        elif self.item == "strictly-match-label" and self.value == "true":
            wanted = [key for key in str(now.get("location-labels") or "").split(",") if key]
            lacking = [
                store.id
                for store in view.stores.values()
                if any(key not in store.labels for key in wanted)
            ]
            if lacking:
                raise ActionRefusedError(
                    f"Stores {', '.join(map(str, lacking))} lack location labels; with "
                    "strictly-match-label PD would refuse them."
                )

    def _check_replicas(self, view: View) -> None:
        wanted = scalar(self.value)
        if not isinstance(wanted, int) or wanted < 1:
            raise ActionRefusedError("max-replicas must be a whole number from 1.")
        if wanted > len(view.healthy):
            raise ActionRefusedError(
                f"{wanted} replicas need as many healthy stores; there are {len(view.healthy)}."
            )


@action(
    "set_pd_server_config",
    risk=RiskLevel.MEDIUM,
    tags=("config",),
    idempotent=True,
    restored_by="set_pd_server_config",
)
@dataclass(frozen=True)
class SetPdServerConfig(_ConfigChange):
    """Set one item of the configuration of PD's own server."""

    section = "pd-server"
    path = "/config/pd-server"


@action(
    "set_service_middleware_config",
    risk=RiskLevel.MEDIUM,
    tags=("config",),
    idempotent=True,
    restored_by="set_service_middleware_config",
)
@dataclass(frozen=True)
class SetServiceMiddlewareConfig(Change[JsonObject]):
    """Set one item of PD's audit and rate limits, named with its section."""

    item: Annotated[
        str,
        ParamDef(
            type="str",
            description="Such as audit.enable-audit",
            pattern=r"^[a-z][a-z-]*\.[A-Za-z][\w.-]*$",
        ),
    ]
    value: ConfigValue

    async def read(self, api: PdApi) -> JsonObject:
        """Read all of it."""
        return dict(await api.map_of("/service-middleware/config"))

    def check(self, view: View, now: JsonObject) -> None:
        """The item must be there."""
        del view
        if self._value(now) is None:
            raise ActionRefusedError(f"PD's service middleware has no item {self.item!r}.")

    async def send(self, api: PdApi) -> None:
        """Set it."""
        await api.client.send("POST", "/service-middleware/config", {self.item: scalar(self.value)})

    def holds(self, now: JsonObject) -> bool:
        """Whether it is so."""
        found = self._value(now)
        return found is not None and same_value(found, self.value)

    def _value(self, now: JsonObject) -> JsonValue:
        found: JsonValue = now
        for part in self.item.split("."):
            found = found.get(part) if isinstance(found, dict) else None
        return found

    def shown(self, now: JsonObject) -> JsonObject:
        """Return the value."""
        return {self.item: self._value(now)}

    def undo(self, before: JsonObject, after: JsonObject) -> JsonObject | None:
        """Back to the former value."""
        del after
        return {"item": self.item, "value": printed(self._value(before))}

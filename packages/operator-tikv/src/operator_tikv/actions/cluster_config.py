"""What PD keeps for the cluster as a whole: version, mode of replication, label properties."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import JsonValue

from operator_core.actions.types import ParamDef
from operator_core.errors import ActionRefusedError
from operator_core.types import JsonObject, RiskLevel
from operator_tikv.actions.change import Change, action
from operator_tikv.actions.params import same_value
from operator_tikv.pd.api import PdApi
from operator_tikv.pd.errors import PdAnswerError
from operator_tikv.view import View


@action(
    "set_cluster_version",
    risk=RiskLevel.HIGH,
    tags=("config", "membership"),
    idempotent=True,
)
@dataclass(frozen=True)
class SetClusterVersion(Change[str]):
    """Set the version of the cluster, which decides which stores may join and what they may do."""

    version: Annotated[
        str, ParamDef(type="str", description="Such as 8.5.7", pattern=r"^\d+\.\d+\.\d+[\w.+-]*$")
    ]

    async def read(self, api: PdApi) -> str:
        """Read it."""
        value = await api.read("/config/cluster-version")
        if not isinstance(value, str):
            raise PdAnswerError("PD's answer to GET /config/cluster-version is no text.")
        return value

    def check(self, view: View, now: str) -> None:
        """It never falls, and never goes beyond the oldest store."""
        if _numbers(self.version) < _numbers(now):
            raise ActionRefusedError(f"The version of a cluster does not go back from {now}.")
        newer = [
            f"{store.id} ({store.store.version})"
            for store in view.stores.values()
            if store.store.version and _numbers(store.store.version) < _numbers(self.version)
        ]
        if newer:
            raise ActionRefusedError(f"Stores are older: {', '.join(newer)}. Upgrade them first.")

    async def send(self, api: PdApi) -> None:
        """Set it."""
        body: JsonObject = {"cluster-version": self.version}
        await api.client.send("POST", "/config/cluster-version", body)

    def holds(self, now: str) -> bool:
        """Whether it is so."""
        return now.removeprefix("v") == self.version

    def shown(self, now: str) -> JsonObject:
        """Return it."""
        return {"cluster_version": now}


def _numbers(version: str) -> tuple[int, ...]:
    core = version.removeprefix("v").split("-")[0].split("+")[0]
    return tuple(int(part) for part in core.split(".") if part.isdigit())


@action(
    "set_replication_mode",
    risk=RiskLevel.HIGH,
    tags=("config",),
    idempotent=True,
    restored_by="set_replication_mode",
)
@dataclass(frozen=True)
class SetReplicationMode(Change[JsonObject]):
    """Set how PD replicates between two sites: majority, or dr-auto-sync with its settings."""

    settings: Annotated[
        JsonObject,
        ParamDef(type="object", description='Such as {"replication-mode": "majority"}'),
    ]

    async def read(self, api: PdApi) -> JsonObject:
        """Read all of it."""
        return dict(await api.map_of("/config/replication-mode"))

    def check_arguments(self) -> None:
        """PD knows two modes."""
        mode = self.settings.get("replication-mode", "majority")
        if not self.settings or mode not in {"majority", "dr-auto-sync"}:
            raise ActionRefusedError("replication-mode must be majority or dr-auto-sync.")

    async def send(self, api: PdApi) -> None:
        """Set it."""
        await api.client.send("POST", "/config/replication-mode", dict(self.settings))

    def holds(self, now: JsonObject) -> bool:
        """Whether all that was named is so."""
        return _contains(now, self.settings)

    def shown(self, now: JsonObject) -> JsonObject:
        """Return it."""
        return {"replication_mode": now}

    def undo(self, before: JsonObject, after: JsonObject) -> JsonObject | None:
        """Back to all of the former."""
        del after
        return {"settings": before}


def _contains(whole: JsonValue, part: JsonValue) -> bool:
    if isinstance(part, dict):
        return isinstance(whole, dict) and all(
            key in whole and _contains(whole[key], value) for key, value in part.items()
        )
    return same_value(whole, part)


@dataclass(frozen=True)
class _LabelPropertyChange(Change[list[JsonValue]]):
    property_type: Annotated[
        str, ParamDef(type="str", description="The property", enum=["reject-leader"])
    ]
    label_key: Annotated[str, ParamDef(type="str", description="Name of the label")]
    label_value: Annotated[str, ParamDef(type="str", description="Value of the label")]

    async def read(self, api: PdApi) -> list[JsonValue]:
        """Read the labels with the property."""
        found = (await api.map_of("/config/label-property")).get(self.property_type)
        return found if isinstance(found, list) else []

    def _is_set(self, now: list[JsonValue]) -> bool:
        return {"key": self.label_key, "value": self.label_value} in now

    async def _ask(self, api: PdApi, action_word: str) -> None:
        body: JsonObject = {
            "action": action_word,
            "type": self.property_type,
            "label-key": self.label_key,
            "label-value": self.label_value,
        }
        await api.client.send("POST", "/config/label-property", body)

    def shown(self, now: list[JsonValue]) -> JsonObject:
        """Return the labels."""
        return {self.property_type: now}

    def undo(self, before: list[JsonValue], after: list[JsonValue]) -> JsonObject | None:
        """The inverse takes the same arguments."""
        del before, after
        return {
            "property_type": self.property_type,
            "label_key": self.label_key,
            "label_value": self.label_value,
        }


@action(
    "set_label_property",
    risk=RiskLevel.MEDIUM,
    tags=("config", "movement"),
    idempotent=True,
    inverse="delete_label_property",
)
@dataclass(frozen=True)
class SetLabelProperty(_LabelPropertyChange):
    """Keep the stores with a label from leading regions (without placement rules)."""

    def check(self, view: View, now: list[JsonValue]) -> None:
        """Enough stores must be left to lead."""
        del now
        takers = [
            key
            for key in view.healthy
            if view.stores[key].labels.get(self.label_key) != self.label_value
        ]
        if len(takers) < 2:  # noqa: PLR2004 - one store alone has nobody to hand over to
            raise ActionRefusedError(f"Only {len(takers)} healthy stores would be left to lead.")

    async def send(self, api: PdApi) -> None:
        """Set it."""
        await self._ask(api, "set")

    def holds(self, now: list[JsonValue]) -> bool:
        """Whether it is set."""
        return self._is_set(now)


@action(
    "delete_label_property",
    risk=RiskLevel.MEDIUM,
    tags=("config", "movement"),
    idempotent=True,
    inverse="set_label_property",
)
@dataclass(frozen=True)
class DeleteLabelProperty(_LabelPropertyChange):
    """Let the stores with a label lead regions again."""

    async def send(self, api: PdApi) -> None:
        """Delete it."""
        await self._ask(api, "delete")

    def holds(self, now: list[JsonValue]) -> bool:
        """Whether it is not set."""
        return not self._is_set(now)

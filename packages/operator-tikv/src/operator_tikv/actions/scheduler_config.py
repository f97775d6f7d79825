"""What single schedulers are told to do."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Final

from operator_core.actions.types import ParamDef
from operator_core.errors import ActionRefusedError
from operator_core.types import JsonObject, RiskLevel
from operator_tikv import preflight
from operator_tikv.actions.change import Change, action
from operator_tikv.actions.params import (
    ConfigValue,
    SchedulerName,
    StoreId,
    Texts,
    printed,
    same_value,
    scalar,
)
from operator_tikv.effects import GRANT_HOT_REGION
from operator_tikv.pd.api import PdApi
from operator_tikv.view import View

if TYPE_CHECKING:
    from pydantic import JsonValue

SHUFFLE_REGION: Final = "shuffle-region-scheduler"
_LIST_ITEMS: Final = ("read-priorities", "write-leader-priorities", "write-peer-priorities")


@dataclass(frozen=True)
class _SchedulerConfigChange(Change[JsonObject]):
    def scheduler(self) -> str:
        """Return the name of the scheduler."""
        raise NotImplementedError

    async def read(self, api: PdApi) -> JsonObject:
        """Read the payload of the scheduler."""
        found = await api.map_of(f"/scheduler-config/{self.scheduler()}/list")
        if not found:
            raise ActionRefusedError(
                f"PD runs no scheduler {self.scheduler()!r} that could be configured."
            )
        return found

    def shown(self, now: JsonObject) -> JsonObject:
        """Return the payload."""
        return {"config": now}


@action(
    "configure_scheduler",
    risk=RiskLevel.MEDIUM,
    tags=("config",),
    idempotent=True,
    restored_by="configure_scheduler",
)
@dataclass(frozen=True)
class ConfigureScheduler(_SchedulerConfigChange):
    """Set one item of a scheduler's own configuration, such as the batch of balance-leader."""

    name: SchedulerName
    item: Annotated[
        str,
        ParamDef(
            type="str", description="Name of the item as PD lists it", pattern=r"^[a-z][a-z0-9_-]*$"
        ),
    ]
    value: ConfigValue

    def scheduler(self) -> str:
        """The one that was named."""
        return self.name

    def check(self, view: View, now: JsonObject) -> None:
        """The item must be there, and hold a single value or a list of words."""
        del view
        known = now.get(self.item)
        if known is None or isinstance(known, dict):
            names = ", ".join(
                sorted(key for key, item in now.items() if not isinstance(item, dict))
            )
            raise ActionRefusedError(f"{self.name} has no item {self.item!r}; it has: {names}.")

    async def send(self, api: PdApi) -> None:
        """Set it."""
        value: JsonValue = scalar(self.value)
        if self.item in _LIST_ITEMS:
            value = [part.strip() for part in self.value.split(",")]
        await api.client.send("POST", f"/scheduler-config/{self.name}/config", {self.item: value})

    def holds(self, now: JsonObject) -> bool:
        """Whether it is so."""
        return self.item in now and same_value(now[self.item], self.value)

    def undo(self, before: JsonObject, after: JsonObject) -> JsonObject | None:
        """Back to the former value."""
        del after
        former = printed(before[self.item])
        return {"name": self.name, "item": self.item, "value": former}


@action(
    "set_shuffle_region_roles",
    risk=RiskLevel.MEDIUM,
    tags=("config",),
    idempotent=True,
    restored_by="set_shuffle_region_roles",
)
@dataclass(frozen=True)
class SetShuffleRegionRoles(_SchedulerConfigChange):
    """Choose which replicas the shuffle-region scheduler moves."""

    roles: Annotated[Texts, ParamDef(type="list", description="leader, follower, learner")]

    def scheduler(self) -> str:
        """The one that shuffles regions."""
        return SHUFFLE_REGION

    def check_arguments(self) -> None:
        """PD knows three roles."""
        if set(self.roles) - {"leader", "follower", "learner"} or not self.roles:
            raise ActionRefusedError("roles must name leader, follower or learner.")

    async def send(self, api: PdApi) -> None:
        """Set them."""
        await api.client.send("POST", f"/scheduler-config/{SHUFFLE_REGION}/roles", list(self.roles))

    def holds(self, now: JsonObject) -> bool:
        """Whether they are so."""
        return set(now.get("roles") or ()) == set(self.roles)

    def undo(self, before: JsonObject, after: JsonObject) -> JsonObject | None:
        """Back to the former roles."""
        del after
        former = before.get("roles")
        return {"roles": list(former)} if former else None


@action(
    "set_grant_hot_region_stores",
    risk=RiskLevel.MEDIUM,
    tags=("config", "movement"),
    idempotent=True,
    restored_by="set_grant_hot_region_stores",
)
@dataclass(frozen=True)
class SetGrantHotRegionStores(_SchedulerConfigChange):
    """Choose the stores to which the hot regions are brought."""

    leader_store_id: StoreId
    store_ids: Annotated[Texts, ParamDef(type="list", description="Ids of the stores for replicas")]

    def scheduler(self) -> str:
        """The one that grants hot regions."""
        return GRANT_HOT_REGION

    def check(self, view: View, now: JsonObject) -> None:
        """The stores must exist."""
        del now
        for store_id in (self.leader_store_id, *(int(text) for text in self.store_ids)):
            preflight.store_of(view, store_id)

    async def send(self, api: PdApi) -> None:
        """Set them."""
        body: JsonObject = {
            "store-leader-id": str(self.leader_store_id),
            "store-id": ",".join(str(text) for text in self.store_ids),
        }
        await api.client.send("POST", f"/scheduler-config/{GRANT_HOT_REGION}/config", body)

    def holds(self, now: JsonObject) -> bool:
        """Whether they are so."""
        leader = str(now.get("store-leader-id"))
        stores = now.get("store-id")
        found = [str(key) for key in stores] if isinstance(stores, list) else str(stores).split(",")
        return leader == str(self.leader_store_id) and set(found) == set(map(str, self.store_ids))

    def undo(self, before: JsonObject, after: JsonObject) -> JsonObject | None:
        """Back to the former stores."""
        del after
        stores = before.get("store-id")
        found = [str(key) for key in stores] if isinstance(stores, list) else str(stores).split(",")
        return {"leader_store_id": int(before["store-leader-id"]), "store_ids": found}

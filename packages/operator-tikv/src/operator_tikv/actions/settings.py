"""The weights and labels of stores."""

from dataclasses import dataclass
from math import isclose
from typing import Annotated, Final

from operator_core.actions.types import ParamDef
from operator_core.errors import ActionRefusedError
from operator_core.types import JsonObject, RiskLevel
from operator_tikv import preflight
from operator_tikv.actions.change import Change, action
from operator_tikv.actions.params import StoreId
from operator_tikv.pd.api import PdApi
from operator_tikv.pd.types import StoreInfo
from operator_tikv.view import View

_TOLERANCE: Final = 1e-6

Labels = Annotated[
    JsonObject, ParamDef(type="object", description="Labels as names and texts: {zone: z1}")
]
Weight = Annotated[
    float, ParamDef(type="float", description="1 is usual, 0 takes none", minimum=0, maximum=1000)
]
LabelKey = Annotated[
    str,
    ParamDef(type="str", description="Name of the label", pattern=r"^[A-Za-z0-9][\w./-]{0,99}$"),
]


@dataclass(frozen=True)
class _StoreSetting(Change[StoreInfo]):
    store_id: StoreId

    async def read(self, api: PdApi) -> StoreInfo:
        """Look at the store."""
        store = await api.store(self.store_id)
        if store is None:
            raise ActionRefusedError(f"PD knows no store {self.store_id}.")
        return store

    def check(self, view: View, now: StoreInfo) -> None:
        """The store must not be gone."""
        del now
        preflight.store_of(view, self.store_id)


@action(
    "set_store_weight",
    risk=RiskLevel.MEDIUM,
    tags=("config", "movement"),
    idempotent=True,
    restored_by="set_store_weight",
)
@dataclass(frozen=True)
class SetStoreWeight(_StoreSetting):
    """Set how big a share of leaders and replicas PD gives to a store."""

    leader_weight: Weight
    region_weight: Weight

    def check(self, view: View, now: StoreInfo) -> None:
        """Leaders and replicas that a weight of 0 drives away must have somewhere to go."""
        super().check(view, now)
        if self.leader_weight == 0 and now.status.leader_weight > 0:
            preflight.check_takers(view, self.store_id)
        if self.region_weight == 0 and now.status.region_weight > 0 and not now.is_tiflash:
            preflight.check_enough_remain(view, now)

    async def send(self, api: PdApi) -> None:
        """Set both."""
        body: JsonObject = {"leader": self.leader_weight, "region": self.region_weight}
        await api.client.send("POST", f"/store/{self.store_id}/weight", body)

    def holds(self, now: StoreInfo) -> bool:
        """Whether both are so."""
        status = now.status
        return isclose(status.leader_weight, self.leader_weight, abs_tol=_TOLERANCE) and isclose(
            status.region_weight, self.region_weight, abs_tol=_TOLERANCE
        )

    def shown(self, now: StoreInfo) -> JsonObject:
        """Return both."""
        status = now.status
        return {"leader_weight": status.leader_weight, "region_weight": status.region_weight}

    def undo(self, before: StoreInfo, after: StoreInfo) -> JsonObject | None:
        """Back to the former weights."""
        del after
        return {"store_id": self.store_id, **self.shown(before)}


@dataclass(frozen=True)
class _LabelChange(_StoreSetting):
    def shown(self, now: StoreInfo) -> JsonObject:
        """Return the labels."""
        return {"labels": now.labels}

    def undo(self, before: StoreInfo, after: StoreInfo) -> JsonObject | None:
        """Back to exactly the former labels."""
        del after
        return {"store_id": self.store_id, "labels": dict(before.labels), "replace": True}


@action(
    "set_store_labels",
    risk=RiskLevel.HIGH,
    tags=("config", "movement"),
    idempotent=True,
    restored_by="set_store_labels",
)
@dataclass(frozen=True)
class SetStoreLabels(_LabelChange):
    """Set labels of a store, which may make PD move many replicas."""

    labels: Labels
    replace: Annotated[
        bool, ParamDef(type="bool", description="Whether all other labels are taken away")
    ] = False

    def check_arguments(self) -> None:
        """Labels are texts."""
        are_texts = all(isinstance(text, str) for text in self.labels.values())
        if not are_texts or not (self.labels or self.replace):
            raise ActionRefusedError("labels must be names and texts, at least one.")

    def check(self, view: View, now: StoreInfo) -> None:
        """The kind of a store is not changed by a label."""
        super().check(view, now)
        engine = self.labels.get("engine", "" if self.replace else now.labels.get("engine", ""))
        if engine != now.labels.get("engine", ""):
            raise ActionRefusedError("The label engine says what a store is; it is not changed.")

    async def send(self, api: PdApi) -> None:
        """Add them, or put them in the place of all."""
        params = {"force": "true"} if self.replace else None
        await api.client.send(
            "POST", f"/store/{self.store_id}/label", dict(self.labels), params=params
        )

    def holds(self, now: StoreInfo) -> bool:
        """Whether they are so."""
        wanted = self.labels if self.replace else {**now.labels, **self.labels}
        return now.labels == wanted


@action(
    "delete_store_label",
    risk=RiskLevel.HIGH,
    tags=("config", "movement"),
    idempotent=True,
    restored_by="set_store_labels",
)
@dataclass(frozen=True)
class DeleteStoreLabel(_LabelChange):
    """Take a label from a store, which may make PD move many replicas."""

    key: LabelKey

    def check(self, view: View, now: StoreInfo) -> None:
        """The kind of a store is not changed by a label."""
        super().check(view, now)
        if self.key == "engine":
            raise ActionRefusedError("The label engine says what a store is; it is not changed.")

    async def send(self, api: PdApi) -> None:
        """Take it away."""
        await api.client.send("DELETE", f"/store/{self.store_id}/label", self.key)

    def holds(self, now: StoreInfo) -> bool:
        """Whether there is none."""
        return self.key not in now.labels

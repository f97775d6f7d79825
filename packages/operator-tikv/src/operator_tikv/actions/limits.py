"""Store limits: how many replicas a minute PD adds to stores and removes from them."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isclose
from typing import Annotated, Final

from pydantic import JsonValue

from operator_core.actions.types import ParamDef
from operator_core.types import JsonObject, RiskLevel
from operator_tikv import preflight
from operator_tikv.actions.change import Change, action
from operator_tikv.actions.params import StoreId
from operator_tikv.pd.api import PdApi
from operator_tikv.pd.errors import PdAnswerError
from operator_tikv.view import View

UNLIMITED_RATE: Final = 1e8
LARGEST_RATE: Final = 10_000
DIRECTIONS: Final = ("add-peer", "remove-peer")
_TOLERANCE: Final = 1e-6

Limits = dict[int, dict[str, float]]

Rate = Annotated[
    float,
    ParamDef(
        type="float",
        description="Replicas a minute; PD's default is 15. Unlimited is not on offer",
        minimum=0.1,
        maximum=LARGEST_RATE,
    ),
]
Direction = Annotated[
    str,
    ParamDef(type="str", description="add-peer, remove-peer or both", enum=["both", *DIRECTIONS]),
]


async def read_limits(api: PdApi) -> Limits:
    """Return the limits of all stores, in replicas a minute, by store and direction.

    Raises:
        PdAnswerError: they have an unknown shape.
    """
    found = await api.map_of("/stores/limit")
    try:
        return {int(key): _limit(value) for key, value in found.items()}
    except (TypeError, ValueError) as error:
        raise PdAnswerError(f"PD's answer to GET /stores/limit is not understood: {error}") from (
            error
        )


def _limit(value: JsonValue) -> dict[str, float]:
    if not isinstance(value, dict):
        raise TypeError(f"{value!r} is no limit")
    return {kind: float(str(value[kind])) for kind in DIRECTIONS if value.get(kind) is not None}


async def set_limit(api: PdApi, store_id: int, direction: str, rate: float) -> None:
    """Ask PD to set one store's limit."""
    await api.client.send("POST", f"/store/{store_id}/limit", _limit_body(direction, rate))


def _limit_body(direction: str, rate: float) -> JsonObject:
    return {"rate": rate} if direction == "both" else {"rate": rate, "type": direction}


def _kinds(direction: str) -> tuple[str, ...]:
    return DIRECTIONS if direction == "both" else (direction,)


def _has(limit: Mapping[str, float], direction: str, rate: float) -> bool:
    return all(
        isclose(limit.get(kind, -1.0), rate, rel_tol=_TOLERANCE) for kind in _kinds(direction)
    )


@dataclass(frozen=True)
class _LimitChange(Change[Limits]):
    async def read(self, api: PdApi) -> Limits:
        """Read all limits."""
        return await read_limits(api)

    def shown(self, now: Limits) -> JsonObject:
        """Return them."""
        return {"store_limits": {str(key): limit for key, limit in now.items()}}


@action(
    "set_store_limit",
    risk=RiskLevel.MEDIUM,
    tags=("config", "movement"),
    idempotent=True,
    restored_by="set_store_limit",
)
@dataclass(frozen=True)
class SetStoreLimit(_LimitChange):
    """Set how many replicas a minute PD may add to a store or remove from it."""

    store_id: StoreId
    rate: Rate
    direction: Direction = "both"

    def check(self, view: View, now: Limits) -> None:
        """The store must exist."""
        del now
        preflight.store_of(view, self.store_id)

    async def send(self, api: PdApi) -> None:
        """Set it."""
        await set_limit(api, self.store_id, self.direction, self.rate)

    def holds(self, now: Limits) -> bool:
        """Whether it is so."""
        return _has(now.get(self.store_id, {}), self.direction, self.rate)

    def shown(self, now: Limits) -> JsonObject:
        """Return the store's limits."""
        return {"store_limit": now.get(self.store_id)}

    def undo(self, before: Limits, after: Limits) -> JsonObject | None:
        """Back to the former rate, where it was one rate and not unlimited."""
        del after
        rates = {before.get(self.store_id, {}).get(kind) for kind in _kinds(self.direction)}
        former = rates.pop() if len(rates) == 1 else None
        if former is None or former > LARGEST_RATE:
            return None
        return {"store_id": self.store_id, "rate": former, "direction": self.direction}


@action(
    "set_all_store_limits",
    risk=RiskLevel.MEDIUM,
    tags=("config", "movement"),
    idempotent=True,
    restored_by="set_all_store_limits",
)
@dataclass(frozen=True)
class SetAllStoreLimits(_LimitChange):
    """Set how many replicas a minute PD may add to each store or remove from it."""

    rate: Rate
    direction: Direction = "both"
    labels: Annotated[
        JsonObject | None,
        ParamDef(type="object", description="Only the stores with these labels"),
    ] = None

    async def send(self, api: PdApi) -> None:
        """Set them."""
        body = _limit_body(self.direction, self.rate)
        labels = {"labels": self.labels} if self.labels else {}
        await api.client.send("POST", "/stores/limit", body | labels)

    def holds(self, now: Limits) -> bool:
        """Whether all are so; with labels only PD knows which ones are meant."""
        is_so = [_has(limit, self.direction, self.rate) for limit in now.values()]
        return bool(is_so) and (any(is_so) if self.labels else all(is_so))

    def undo(self, before: Limits, after: Limits) -> JsonObject | None:
        """Back to the former rate, where all stores had the same one."""
        del after
        kinds = _kinds(self.direction)
        rates = {limit.get(kind) for limit in before.values() for kind in kinds}
        former = rates.pop() if len(rates) == 1 else None
        if former is None or former > LARGEST_RATE or self.labels:
            return None
        return {"rate": former, "direction": self.direction}


@action(
    "set_store_limit_scene",
    risk=RiskLevel.LOW,
    tags=("config",),
    idempotent=True,
    restored_by="set_store_limit_scene",
)
@dataclass(frozen=True)
class SetStoreLimitScene(Change[JsonObject]):
    """Set the rate that PD chooses for one load of the cluster (older releases)."""

    scene: Annotated[
        str,
        ParamDef(type="str", description="The load", enum=["idle", "low", "normal", "high"]),
    ]
    rate: Annotated[
        int, ParamDef(type="int", description="Replicas a minute", minimum=1, maximum=LARGEST_RATE)
    ]
    direction: Annotated[
        str, ParamDef(type="str", description="The direction", enum=list(DIRECTIONS))
    ] = "add-peer"

    async def read(self, api: PdApi) -> JsonObject:
        """Read the scenes of the direction."""
        value = await api.read("/stores/limit/scene", {"type": self.direction})
        if not isinstance(value, dict):
            raise PdAnswerError("PD's answer to GET /stores/limit/scene is no object.")
        return {key.lower(): rate for key, rate in value.items()}

    async def send(self, api: PdApi) -> None:
        """Set one of them."""
        await api.client.send(
            "POST", "/stores/limit/scene", {self.scene: self.rate}, params={"type": self.direction}
        )

    def holds(self, now: JsonObject) -> bool:
        """Whether it is so."""
        return now.get(self.scene) == self.rate

    def shown(self, now: JsonObject) -> JsonObject:
        """Return the scenes."""
        return now

    def undo(self, before: JsonObject, after: JsonObject) -> JsonObject | None:
        """Back to the former rate."""
        del after
        former = before.get(self.scene)
        if not former:
            return None
        return {"scene": self.scene, "rate": former, "direction": self.direction}

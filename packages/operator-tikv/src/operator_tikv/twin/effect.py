"""What an action does to the model of a TiKV cluster."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Final

from operator_core.types import JsonObject
from operator_tikv.twin.model import KvStore, Model

HEARTBEAT_SECONDS: Final = 10.0
"""PD's numbers of a store are as old as its last heartbeat."""

_LEADERS_PER_SECOND: Final = 10.0
"""How fast leaders move away from a store for each step of `leader-schedule-limit`."""

_REPLICAS_PER_MINUTE: Final = 15.0
"""How many replicas a store takes a minute where nobody set its limit."""


@dataclass(frozen=True)
class Effect:
    """What comes of an action.

    Attributes:
        after: the cluster as it is then.
        seconds: how long that takes.
        faults: why it must not be done, or cannot work, whatever the rules say.
        moved_regions: how many replicas are moved, at most; None: that cannot be told.
        moved_leaders: how many leaders are moved.
        lost_failures: how many failures it uses up of those that the cluster can afford.
    """

    after: Model
    seconds: float
    faults: tuple[str, ...] = ()
    moved_regions: float | None = 0.0
    moved_leaders: float = 0.0
    lost_failures: float = 0.0


Rehearse = Callable[[Model, JsonObject], Effect | None]
"""What an action does; None: that cannot be told from the model."""


def unchanged(model: Model, *faults: str) -> Effect:
    """Return the effect of what changes nothing."""
    return Effect(model, 0.0, faults)


def unknown_store(model: Model, store_id: int) -> Effect:
    """Return the effect of an action on a store that is not there."""
    return unchanged(model, f"PD knows no store {store_id}")


def unmeasured(model: Model, faults: Iterable[str] = ()) -> Effect:
    """Return the effect of what changes nothing that the model knows and may touch anything."""
    return Effect(model, 1.0, tuple(faults), moved_regions=None)


def everything(model: Model, faults: Iterable[str]) -> Effect:
    """Return the effect of what may move any replica and any leader: how many PD decides."""
    replicas = sum(one.regions for one in model.stores.values() if not one.is_tiflash)
    seconds = replica_seconds(model, replicas, model.healthy)
    return Effect(model, seconds, tuple(faults), replicas, moved_leaders=model.leaders)


def leader_seconds(model: Model, leaders: float) -> float:
    """Return how long it takes to move so many leaders away from a store."""
    limit = max(1, int(model.config["leader_schedule_limit"]))
    return HEARTBEAT_SECONDS + leaders / (_LEADERS_PER_SECOND * limit)


def replica_seconds(model: Model, regions: float, takers: Iterable[KvStore]) -> float:
    """Return how long it takes until so many replicas are made on stores."""
    limits = model.config.get("store_limits", {})
    a_minute = sum(
        float(limits.get(str(one.id), {}).get("add_peer", _REPLICAS_PER_MINUTE)) for one in takers
    )
    return HEARTBEAT_SECONDS + (60.0 * regions / a_minute if a_minute else 0.0)


def spread_leaders(model: Model, leaders: float, besides: int) -> Model:
    """Return it with so many more leaders, spread evenly over the stores that may have them."""
    takers = [one for one in model.takers if one.id != besides]
    if not takers:
        return model
    each = leaders / len(takers)
    return model.with_stores(*(replace(one, leaders=one.leaders + each) for one in takers))


def spread_replicas(model: Model, leaving: KvStore) -> Model:
    """Return it with the replicas of a store that goes on those that stay, by their room."""
    staying = [one for one in model.healthy if one.id != leaving.id]
    room = {one.id: max(0.0, _room_bytes(model, one)) for one in staying}
    whole = sum(room.values())
    for one in staying:
        part = room[one.id] / whole if whole else 1.0 / len(staying)
        free = one.free_bytes
        one_after = replace(
            one,
            regions=one.regions + part * leaving.regions,
            free_bytes=None if free is None else free - part * leaving.used_bytes,
        )
        model = model.with_stores(one_after)
    return model


def _room_bytes(model: Model, store: KvStore) -> float:
    return (store.free_bytes or 0.0) - model.least_free_share * (store.capacity_bytes or 0.0)

"""`/stores` and `/store/{id}`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from operator_tikv.simulator import lifecycle, limits
from operator_tikv.simulator.api import http
from operator_tikv.simulator.heartbeats import state_name
from operator_tikv.simulator.model import MetaState
from operator_tikv.simulator.render_store import store_info, stores_info

if TYPE_CHECKING:
    from operator_tikv.simulator.api.http import Answer, Call, Handler
    from operator_tikv.simulator.world import World

_STATE_NAMES: Final = ("up", "disconnected", "down", "offline", "tombstone")
_WEIGHTS: Final = ("leader", "region")


def list_stores(world: World, call: Call) -> Answer:
    """Stores that are Up or Offline, or those of the states asked for."""
    wanted = {MetaState.UP, MetaState.OFFLINE}
    if call.has("state"):
        wanted = {_state_number(raw) for raw in call.values("state")}
    return http.ok(stores_info(world, [s for s in world.stores.values() if s.meta_state in wanted]))


def _state_number(raw: str) -> MetaState:
    if raw not in {"0", "1", "2"}:
        raise http.PdError(500, f'strconv.ParseInt: parsing "{raw}": invalid syntax')
    return MetaState(int(raw))


def check_stores(world: World, call: Call) -> Answer:
    """Stores by the state that PD prints."""
    wanted = [raw.lower() for raw in call.values("state")]
    for raw in wanted:
        if raw not in _STATE_NAMES:
            raise http.PdError(400, f"unknown StoreState: {raw}")
    chosen = [s for s in world.stores.values() if state_name(world, s).lower() in wanted]
    return http.ok(stores_info(world, chosen))


def get_store(world: World, call: Call) -> Answer:
    """One store."""
    try:
        return http.ok(store_info(world, lifecycle.find_store(world, http.path_id(call))))
    except lifecycle.StoreRefusedError as refused:
        raise http.PdError(refused.status, refused.text) from refused


def delete_store(world: World, call: Call) -> Answer:
    """Begin to take a store out of the cluster."""
    try:
        lifecycle.take_offline(world, http.path_id(call), force=call.has("force"))
    except lifecycle.StoreRefusedError as refused:
        raise http.PdError(refused.status, refused.text) from refused
    return http.ok("The store is set as Offline.")


def set_state(world: World, call: Call) -> Answer:
    """Cancel a delete, or begin one."""
    wanted = call.value("state")
    if wanted.lower() not in {"up", "offline"}:
        raise http.PdError(400, f"invalid state {wanted}")
    try:
        if wanted.lower() == "up":
            lifecycle.bring_up(world, http.path_id(call))
        else:
            lifecycle.take_offline(world, http.path_id(call), force=False)
    except lifecycle.StoreRefusedError as refused:
        raise http.PdError(refused.status, refused.text) from refused
    return http.ok("The store's state is updated.")


def set_label(world: World, call: Call) -> Answer:
    """Add labels, or replace all of them with `?force`."""
    labels = http.body_object(call)
    store_id = http.path_id(call)
    store = world.stores.get(store_id)
    if store is None:
        raise http.PdError(500, f"invalid store ID {store_id}, not found")
    texts = {key: value for key, value in labels.items() if isinstance(value, str)}
    if len(texts) != len(labels):
        raise http.BadInputError("json: cannot unmarshal value into Go value of type string")
    store.labels = texts if call.has("force") else {**store.labels, **texts}
    return http.ok("The store's label is updated.")


def delete_label(world: World, call: Call) -> Answer:
    """Take one label away."""
    key = http.body_json(call)
    store_id = http.path_id(call)
    store = world.stores.get(store_id)
    if store is None or not isinstance(key, str) or key not in store.labels:
        raise http.PdError(500, f"the label key {key} does not exist")
    del store.labels[key]
    return http.ok(f"The label {key} is deleted for store {store_id}.")


def set_weight(world: World, call: Call) -> Answer:
    """Set both weights of a store."""
    body = http.body_object(call)
    weights = []
    for kind in _WEIGHTS:
        if kind not in body:
            raise http.PdError(400, f"{kind} weight unset")
        weight = http.number(body[kind])
        if weight is None or weight < 0:
            raise http.PdError(400, f"bad format {kind} weight")
        weights.append(weight)
    store_id = http.path_id(call)
    store = world.stores.get(store_id)
    if store is None:
        raise http.PdError(500, f"[PD:core:ErrStoreNotFound]store {store_id} not found")
    store.leader_weight, store.region_weight = weights
    return http.ok("The store's weight is updated.")


def set_limit(world: World, call: Call) -> Answer:
    """Set the limit of one store."""
    kind, rate = _limit_body(call)
    store_id = http.path_id(call)
    if store_id not in world.stores:
        raise http.PdError(500, f"[PD:core:ErrStoreNotFound]store {store_id} not found")
    limits.set_rate(world, store_id, kind, rate)
    return http.ok("The store's limit is updated.")


def set_limits(world: World, call: Call) -> Answer:
    """Set the limit of all stores."""
    kind, rate = _limit_body(call)
    wanted = http.body_object(call).get("labels")
    labels = wanted if isinstance(wanted, dict) else {}
    for store_id, store in world.stores.items():
        if labels.items() <= store.labels.items():
            limits.set_rate(world, store_id, kind, rate)
    return http.ok("Set store limit successfully.")


def get_scene(world: World, call: Call) -> Answer:
    """The rates that PD would choose by load."""
    return http.ok(world.admin.scenes[_scene_kind(call)])


def set_scene(world: World, call: Call) -> Answer:
    """Set some of them."""
    scene = world.admin.scenes[_scene_kind(call)]
    scene.update({key.lower(): value for key, value in http.body_object(call).items()})
    return http.ok("Set store limit scene successfully.")


def _scene_kind(call: Call) -> str:
    kind = call.value("type", "add-peer")
    if kind not in limits.KINDS:
        raise http.PdError(400, f"unknown type: {kind}")
    return kind


def get_limits(world: World, _call: Call) -> Answer:
    """The limits of all stores."""
    return http.ok(limits_info(world))


def limits_info(world: World) -> dict[str, dict[str, float]]:
    """The limits of all stores as PD prints them."""
    return {
        str(store.store_id): {
            kind: limits.rate_per_minute(world, store.store_id, kind) for kind in limits.KINDS
        }
        for store in world.stores.values()
        if store.meta_state is not MetaState.TOMBSTONE
    }


def _limit_body(call: Call) -> tuple[str, float]:
    body = http.body_object(call)
    if "rate" not in body:
        raise http.PdError(400, "rate unset")
    rate = http.number(body["rate"])
    if rate is None or rate <= 0:
        raise http.PdError(400, "invalid rate which should be larger than 0")
    kind = body.get("type", "")
    if kind not in {"", *limits.KINDS}:
        raise http.PdError(400, f"unknown type: {kind}")
    return str(kind), rate


def remove_tombstones(world: World, _call: Call) -> Answer:
    """Forget all tombstones."""
    lifecycle.remove_tombstones(world)
    return http.ok("Remove tombstone successfully.")


ROUTES: Final[list[tuple[str, str, Handler]]] = [
    ("GET", "/stores", list_stores),
    ("GET", "/stores/check", check_stores),
    ("GET", "/stores/limit", get_limits),
    ("POST", "/stores/limit", set_limits),
    ("GET", "/stores/limit/scene", get_scene),
    ("POST", "/stores/limit/scene", set_scene),
    ("DELETE", "/stores/remove-tombstone", remove_tombstones),
    ("GET", "/store/{id}", get_store),
    ("DELETE", "/store/{id}", delete_store),
    ("POST", "/store/{id}/state", set_state),
    ("POST", "/store/{id}/label", set_label),
    ("DELETE", "/store/{id}/label", delete_label),
    ("POST", "/store/{id}/weight", set_weight),
    ("POST", "/store/{id}/limit", set_limit),
]

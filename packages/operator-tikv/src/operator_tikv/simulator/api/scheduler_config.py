"""`/scheduler-config/*`: the payload of single schedulers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from operator_tikv.simulator import schedulers as model
from operator_tikv.simulator import scheduling
from operator_tikv.simulator.api import http

if TYPE_CHECKING:
    from operator_tikv.simulator.api.http import Answer, Call, Handler
    from operator_tikv.simulator.world import World

EVERYTHING: Final = [{"start-key": "", "end-key": ""}]
MAX_BATCH: Final = 10


def show(world: World, call: Call) -> Answer:
    """The payload of a scheduler; one that is absent has no such page at all."""
    name = call.params["name"]
    scheduler = world.pd.schedulers.get(name)
    if scheduler is None:
        return http.text(404, "404 page not found")
    if name in {model.EVICT, model.GRANT}:
        ranges = {str(store_id): EVERYTHING for store_id in scheduler.stores}
        return http.ok({"store-id-ranges": ranges, "batch": scheduler.batch})
    if name == model.BALANCE_LEADER:
        own = {"batch": model.BALANCE_LEADER_BATCH, **world.admin.payloads.get(name, {})}
        return http.ok({"ranges": EVERYTHING, **own})
    if name in world.admin.payloads:
        return http.ok(world.admin.payloads[name])
    if name == model.EVICT_SLOW:
        return http.ok({"recovery-duration": int(model.SLOW_RECOVERY_SECONDS)})
    return http.ok({"name": name, "ranges": EVERYTHING})


def configure_evict(world: World, call: Call) -> Answer:
    """Add a store to a running evict-leader scheduler, or change its batch."""
    scheduler = world.pd.schedulers.get(model.EVICT)
    if scheduler is None:
        return http.text(404, "404 page not found")
    body = http.body_object(call)
    batch = http.whole_number(body.get("batch"))
    store_id = http.whole_number(body.get("store_id"))
    if "batch" in body:
        if batch is None or not 1 <= batch <= MAX_BATCH:
            raise http.PdError(400, f"batch is invalid, it should be in [1, {MAX_BATCH}]")
        scheduler.batch = batch
    if store_id is not None:
        if store_id not in world.stores:
            raise http.PdError(500, f"[PD:core:ErrStoreNotFound]store {store_id} not found")
        scheduling.add_store(world, model.EVICT, store_id)
    return http.ok("The scheduler has been applied to the store.")


def configure(world: World, call: Call) -> Answer:
    """Change items of another scheduler's payload."""
    name = call.params["name"]
    if name not in world.pd.schedulers:
        return http.text(404, "404 page not found")
    body = http.body_object(call)
    if "store-id" in body:
        ids = [int(text) for text in str(body["store-id"]).split(",") if text.isdigit()]
        body = {"store-leader-id": int(str(body.get("store-leader-id"))), "store-id": ids}
    world.admin.payloads.setdefault(name, {}).update(body)
    return http.ok("Config is updated.")


def set_roles(world: World, call: Call) -> Answer:
    """Choose what the shuffle-region scheduler moves."""
    roles = http.body_json(call)
    if not isinstance(roles, list) or set(roles) - {"leader", "follower", "learner"}:
        raise http.BadInputError("invalid roles")
    world.admin.payloads[call.params["name"]] = {"roles": roles}
    return http.ok(None)


def delete_evict(world: World, call: Call) -> Answer:
    """Take a store from evict-leader."""
    if model.EVICT not in world.pd.schedulers:
        return http.text(404, "404 page not found")
    if not scheduling.remove_store(world, model.EVICT, http.path_id(call, "store")):
        text = "[PD:scheduler:ErrScheduleConfigNotExist]the config does not exist"
        raise http.PdError(404, text)
    last = model.EVICT not in world.pd.schedulers
    return http.ok("The last store has been deleted" if last else None)


ROUTES: Final[list[tuple[str, str, Handler]]] = [
    ("GET", "/scheduler-config/{name}/list", show),
    ("POST", f"/scheduler-config/{model.EVICT}/config", configure_evict),
    ("DELETE", f"/scheduler-config/{model.EVICT}/delete/{{store}}", delete_evict),
    ("POST", "/scheduler-config/{name}/roles", set_roles),
    ("POST", "/scheduler-config/{name}/config", configure),
]

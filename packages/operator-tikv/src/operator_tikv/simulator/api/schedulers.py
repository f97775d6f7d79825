"""`/schedulers`: what runs, and evict-leader with its persistence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from operator_tikv.simulator import filters, scheduling
from operator_tikv.simulator import schedulers as model
from operator_tikv.simulator.api import http
from operator_tikv.simulator.units import rfc3339_nano

if TYPE_CHECKING:
    from operator_tikv.simulator.api.http import Answer, Call, Handler
    from operator_tikv.simulator.world import Scheduler, World

CREATED: Final = "The scheduler is created."
APPLIED: Final = "The scheduler has been applied to the store."
NOT_FOUND: Final = "[PD:scheduler:ErrSchedulerNotFound]scheduler not found"
SCATTER_RANGE: Final = "scatter-range-scheduler"
GRANT_HOT_REGION: Final = "grant-hot-region-scheduler"
BALANCE_RANGE: Final = "balance-range-scheduler"
SHUFFLE_REGION: Final = "shuffle-region-scheduler"
FURTHER: Final = frozenset(
    {
        SCATTER_RANGE,
        GRANT_HOT_REGION,
        BALANCE_RANGE,
        "shuffle-hot-region-scheduler",
        "split-bucket-scheduler",
        "evict-slow-trend-scheduler",
        "balance-witness-scheduler",
        "transfer-witness-leader-scheduler",
    }
)
"""Schedulers that PD takes and that move nothing in this model."""

_PER_STORE: Final = (model.EVICT, model.GRANT)


def list_names(world: World, call: Call) -> Answer:
    """The names of the schedulers; also the paused or the disabled ones."""
    status = call.value("status")
    every = list(world.pd.schedulers.values())
    if status == "paused":
        paused = [s for s in every if model.is_paused(world, s)]
        if call.has("timestamp"):
            return http.ok([_pause_info(world, s) for s in paused])
        return http.ok([s.name for s in paused])
    if status == "disabled":
        missing = [n for n in model.DEFAULT_NAMES if n not in world.pd.schedulers]
        return http.ok(missing)
    return http.ok([s.name for s in every])


def _pause_info(world: World, scheduler: Scheduler) -> dict[str, str]:
    paused_at = world.unix_seconds(scheduler.paused_at_seconds)
    resume_at = world.unix_seconds(scheduler.paused_until_seconds)
    return {
        "name": scheduler.name,
        "paused_at": rfc3339_nano(int(paused_at)),
        "resume_at": rfc3339_nano(int(resume_at)),
    }


def create(world: World, call: Call) -> Answer:
    """Add a scheduler. For evict-leader a second call is welcome, also for the same store."""
    body = http.body_object(call)
    name = body.get("name")
    if not isinstance(name, str):
        raise http.PdError(400, "missing scheduler name")
    if name not in model.TYPES and name not in FURTHER:
        raise http.PdError(400, "unknown scheduler")
    if name in _PER_STORE:
        return _create_for_store(world, name, body)
    name, payload = _named(name, body)
    if name in world.pd.schedulers:
        raise http.PdError(500, "[PD:scheduler:ErrSchedulerExisted]scheduler existed")
    if payload:
        world.admin.payloads[name] = payload
    scheduling.add(world, name)
    return http.ok(CREATED)


def _named(name: str, body: dict[str, object]) -> tuple[str, dict[str, object]]:
    """The name that PD lists, and what it keeps for a scheduler that takes more than a name."""
    if name == SCATTER_RANGE:
        label = body.get("range_name")
        if not isinstance(label, str):
            raise http.PdError(400, "missing range name")
        return f"scatter-range-{label}", {"range-name": label}
    if name == GRANT_HOT_REGION:
        leader, stores = body.get("store-leader-id"), body.get("store-id")
        if not isinstance(leader, str) or not isinstance(stores, str):
            raise http.PdError(400, "missing store id")
        ids = [int(text) for text in stores.split(",") if text.isdigit()]
        return name, {"store-leader-id": int(leader), "store-id": ids}
    if name == SHUFFLE_REGION:
        return name, {"roles": ["leader", "follower", "learner"]}
    return name, {}


def _create_for_store(world: World, name: str, body: dict[str, object]) -> Answer:
    store_id = http.whole_number(body.get("store_id"))
    if store_id is None:
        raise http.PdError(400, "missing store id")
    running = world.pd.schedulers.get(name)
    if running is not None and store_id in running.stores:
        return http.ok(APPLIED)
    refusal = _refusal(world, store_id)
    if refusal:
        # A running scheduler is asked over its own handler: its JSON string is quoted again.
        raise http.PdError(500, f'"{refusal}"\n' if running is not None else refusal)
    scheduling.add_store(world, name, store_id)
    return http.ok(APPLIED if running is not None else CREATED)


def _refusal(world: World, store_id: int) -> str:
    if store_id not in world.stores:
        return f"[PD:core:ErrStoreNotFound]store {store_id} not found"
    if filters.paused_for_leaders(world, store_id):
        return f"[PD:core:ErrPauseLeaderTransfer]store {store_id} is paused for leader transfer"
    return ""


def delete(world: World, call: Call) -> Answer:
    """Remove a scheduler, or with `-<store>` at its end only one store of it."""
    name = call.params["name"]
    for kind in _PER_STORE:
        rest = name.removeprefix(f"{kind}-")
        if rest != name:
            return _delete_store(world, kind, rest)
    if name not in world.pd.schedulers:
        raise http.PdError(404, NOT_FOUND)
    scheduling.remove(world, name)
    return http.ok("The scheduler is removed.")


def _delete_store(world: World, kind: str, raw_store_id: str) -> Answer:
    store_id = int(raw_store_id) if raw_store_id.isascii() and raw_store_id.isdigit() else 0
    removed = scheduling.remove_store(world, kind, store_id)
    return http.indented(200 if removed else 404, None)


def pause(world: World, call: Call) -> Answer:
    """Pause a scheduler for seconds, or resume it with zero."""
    delay = http.number(http.body_object(call).get("delay"))
    if delay is None:
        raise http.PdError(400, "missing pause time")
    name = call.params["name"]
    chosen = list(world.pd.schedulers) if name == "all" else [name]
    for each in chosen:
        if each not in world.pd.schedulers:
            raise http.PdError(500, NOT_FOUND)
        scheduling.pause(world, each, delay)
    return http.ok("Pause or resume the scheduler successfully.")


def get_checker(world: World, call: Call) -> Answer:
    """Whether a checker is paused."""
    name = _checker(call)
    return http.ok({"paused": world.pd.paused_checkers.get(name, 0.0) > world.now_seconds})


def pause_checker(world: World, call: Call) -> Answer:
    """Pause a checker for seconds, or resume it with zero."""
    name = _checker(call)
    delay = http.number(http.body_object(call).get("delay"))
    if delay is None:
        raise http.PdError(400, "missing pause time")
    world.pd.paused_checkers[name] = world.now_seconds + delay
    return http.ok("Pause or resume the checker successfully.")


def _checker(call: Call) -> str:
    name = call.params["name"]
    if name not in {"learner", "replica", "rule", "split", "merge", "joint-state"}:
        raise http.PdError(500, "[PD:checker:ErrCheckerNotFound]checker not found")
    return name


ROUTES: Final[list[tuple[str, str, Handler]]] = [
    ("GET", "/schedulers", list_names),
    ("POST", "/schedulers", create),
    ("POST", "/schedulers/{name}", pause),
    ("DELETE", "/schedulers/{name}", delete),
    ("GET", "/checker/{name}", get_checker),
    ("POST", "/checker/{name}", pause_checker),
]

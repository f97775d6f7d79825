"""`/operators`: PD answers 200 when an operator is queued, which is not yet done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from operator_tikv.simulator import builder, wishes
from operator_tikv.simulator import operators as controller
from operator_tikv.simulator.api import http
from operator_tikv.simulator.units import go_duration_text, go_time_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from operator_tikv.simulator.api.http import Answer, Call, Handler
    from operator_tikv.simulator.operator_model import Operator, Plan
    from operator_tikv.simulator.world import World

    Body = dict[str, object]

ALREADY: Final = "[PD:operator:ErrAddOperator]failed to add operator, maybe already have one"
NOT_FOUND: Final = "[PD:operator:ErrOperatorNotFound]operator not found"
CREATED: Final = "The operator is created."
_ROLES: Final = frozenset({"leader", "voter", "follower", "learner"})
_LEADER: Final = ("admin", "leader")
_REGION: Final = ("admin", "region")


def create(world: World, call: Call) -> Answer:
    """Queue an operator that a person or a tool asks for."""
    body = http.body_object(call)
    name = body.get("name")
    if not isinstance(name, str):
        raise http.PdError(400, "missing operator name")
    try:
        if name == "merge-region":
            _merge(world, body)
            return http.ok(CREATED)
        if name == "scatter-regions":
            return _scatter_regions(world, body)
        maker = _MAKERS.get(name)
        if maker is None:
            raise http.PdError(400, "unknown operator")
        region_id = _needed(body, "region_id", "missing region id")
        plan = maker(world, region_id, body)
        if plan is not None:
            _submit(world, region_id, plan)
    except builder.RefusedError as refused:
        raise http.PdError(500, str(refused)) from refused
    return http.ok(CREATED)


def _submit(world: World, region_id: int, plan: Plan) -> None:
    region = builder.region_or_refuse(world, region_id)
    if controller.submit(world, region, plan) is None:
        raise http.PdError(500, ALREADY)


def _needed(body: Body, field: str, complaint: str) -> int:
    """A number of the body; text that looks like a number counts as missing, as in PD."""
    found = http.whole_number(body.get(field))
    if found is None:
        raise http.PdError(400, complaint)
    return found


def _transfer_leader(world: World, region_id: int, body: Body) -> Plan:
    to_store_id = _needed(body, "to_store_id", "missing store id to transfer leader to")
    region = builder.region_or_refuse(world, region_id)
    return builder.plan_transfer_leader(
        world, region, to_store_id, description="admin-transfer-leader", kinds=_LEADER
    )


def _transfer_peer(world: World, region_id: int, body: Body) -> Plan:
    complaint = "invalid store id to transfer peer"
    from_store_id = _needed(body, "from_store_id", f"{complaint} from")
    to_store_id = _needed(body, "to_store_id", f"{complaint} to")
    region = builder.region_or_refuse(world, region_id)
    if region.peer_on(from_store_id) is None:
        raise builder.RefusedError(f"region has no peer in store {from_store_id}")
    builder.check_target_store(world, to_store_id)
    return builder.plan_move_peer(
        world, region, from_store_id, to_store_id, description="admin-move-peer", kinds=_REGION
    )


def _add_peer(world: World, region_id: int, body: Body) -> Plan:
    return _add(world, region_id, body, as_learner=False)


def _add_learner(world: World, region_id: int, body: Body) -> Plan:
    return _add(world, region_id, body, as_learner=True)


def _add(world: World, region_id: int, body: Body, *, as_learner: bool) -> Plan:
    store_id = _needed(body, "store_id", "invalid store id to transfer peer to")
    region = builder.region_or_refuse(world, region_id)
    if region.peer_on(store_id) is not None:
        raise builder.RefusedError(f"region already has peer in store {store_id}")
    builder.check_target_store(world, store_id)
    name = "admin-add-learner" if as_learner else "admin-add-peer"
    return builder.plan_add_peer(
        world, region, store_id, description=name, kinds=_REGION, as_learner=as_learner
    )


def _remove_peer(world: World, region_id: int, body: Body) -> Plan:
    store_id = _needed(body, "store_id", "invalid store id to transfer peer to")
    region = builder.region_or_refuse(world, region_id)
    return builder.plan_remove_peer(
        world, region, store_id, description="admin-remove-peer", kinds=_REGION
    )


def _transfer_region(world: World, region_id: int, body: Body) -> Plan:
    stores = [http.whole_number(item) for item in _list(body, "to_store_ids")]
    if not stores or None in stores:
        raise http.PdError(400, "invalid store ids to transfer region to")
    roles = [str(role) for role in _list(body, "peer_roles")]
    rules_on = world.pd.config.replication["enable-placement-rules"]
    if rules_on and (len(roles) != len(stores) or set(roles) - _ROLES):
        text = "transfer region without peer role is not supported when placement rules enabled"
        raise builder.RefusedError(text)
    region = builder.region_or_refuse(world, region_id)
    ids = [store_id for store_id in stores if store_id is not None]
    for store_id in ids:
        builder.check_target_store(world, store_id)
    wanted = dict(zip(ids, roles or ["voter"] * len(ids), strict=True))
    brief = f"mv region: stores {sorted(p.store_id for p in region.peers)} to {sorted(ids)}"
    return wishes.plan_set_peers(
        world, region, wanted, description="admin-move-region", brief=brief
    )


def _list(body: Body, field: str) -> list[object]:
    value = body.get(field)
    return value if isinstance(value, list) else []


def _split_region(world: World, region_id: int, body: Body) -> Plan:
    policy = body.get("policy")
    if not isinstance(policy, str):
        raise http.PdError(400, "missing split policy")
    keys = [str(key).upper() for key in _list(body, "keys")]
    if policy == "usekey" and not keys:
        raise http.PdError(400, "bad format keys")
    region = builder.region_or_refuse(world, region_id)
    return wishes.plan_split(region, policy, tuple(keys))


def _scatter_region(world: World, region_id: int, _body: Body) -> Plan | None:
    return wishes.plan_scatter(world, builder.region_or_refuse(world, region_id))


def _scatter_regions(world: World, body: Body) -> Answer:
    ids = [http.whole_number(item) for item in _list(body, "region_ids")]
    start, end = (str(body.get(name, "")) for name in ("start_key", "end_key"))
    regions = [
        region
        for region in world.pd.regions.in_key_order()
        if region.region_id in ids
        or (not ids and start <= region.start_key and (not end or region.start_key < end))
    ]
    for region in regions:
        plan = wishes.plan_scatter(world, region)
        if plan is not None:
            controller.submit(world, region, plan)
    return http.ok({"processed-percentage": 100, "error": ""})


def _merge(world: World, body: Body) -> None:
    source_id = _needed(body, "source_region_id", "missing region id")
    target_id = _needed(body, "target_region_id", "invalid target region id to merge to")
    source = builder.region_or_refuse(world, source_id)
    target = builder.region_or_refuse(world, target_id)
    busy = world.pd.operators.get(target_id) or world.pd.operators.get(source_id)
    if busy is not None and busy.is_admin:
        raise http.PdError(500, ALREADY)
    active, passive = wishes.plan_merge(world, source, target)
    _submit(world, target_id, passive)
    _submit(world, source_id, active)


_MAKERS: Final[dict[str, Callable[[World, int, Body], Plan | None]]] = {
    "transfer-leader": _transfer_leader,
    "transfer-peer": _transfer_peer,
    "add-peer": _add_peer,
    "add-learner": _add_learner,
    "remove-peer": _remove_peer,
    "transfer-region": _transfer_region,
    "split-region": _split_region,
    "scatter-region": _scatter_region,
}


def list_running(world: World, call: Call) -> Answer:
    """The running operators, as texts or with `?object` as objects."""
    kinds = call.values("kind")
    chosen = [
        operator
        for operator in world.pd.operators.values()
        if not kinds or set(kinds) & set(operator.plan.kinds)
    ]
    if call.has("object"):
        return http.ok([_as_object(operator) for operator in chosen])
    return http.ok([_text(world, operator) for operator in chosen])


def get_one(world: World, call: Call) -> Answer:
    """The running operator of a region, or the result of the last one for ten minutes."""
    operator = controller.find_result(world, http.path_id(call, "region_id"))
    if operator is None:
        raise http.PdError(500, NOT_FOUND)
    if call.has("object"):
        return http.ok(_as_object(operator))
    return http.ok(f"status: {operator.status}, operator: {_text(world, operator)}")


def cancel_one(world: World, call: Call) -> Answer:
    """Cancel the running operator of a region."""
    operator = world.pd.operators.get(http.path_id(call, "region_id"))
    if operator is None:
        raise http.PdError(500, NOT_FOUND)
    controller.cancel(world, operator)
    return http.ok("The pending operator is canceled.")


def cancel_all(world: World, _call: Call) -> Answer:
    """Cancel every running operator."""
    for operator in list(world.pd.operators.values()):
        controller.cancel(world, operator)
    return http.ok("All pending operators are canceled.")


def records(world: World, call: Call) -> Answer:
    """The operators that ended, since a Unix time."""
    raw = call.value("from") or "0"
    if not raw.isdigit():
        raise http.PdError(400, f'strconv.ParseInt: parsing "{raw}": invalid syntax')
    ended = [
        f"{_text(world, operator)} (finishAt:{_time(world, operator.finished_seconds)}, "
        f"duration:{go_duration_text(operator.finished_seconds - operator.created_seconds)})"
        for operator in controller.recent_records(world)
        if world.unix_seconds(operator.finished_seconds) >= int(raw)
    ]
    if not ended:
        raise http.PdError(500, NOT_FOUND)
    return http.ok(ended)


def _as_object(operator: Operator) -> Body:
    return {
        "desc": operator.plan.description,
        "brief": operator.plan.brief,
        "region_id": operator.region_id,
        "region_epoch": {"conf_ver": operator.conf_ver, "version": operator.version},
        "kind": ",".join(operator.plan.kinds),
        "timeout": go_duration_text(operator.timeout_seconds),
        "status": operator.status.value,
    }


def _text(world: World, operator: Operator) -> str:
    return operator.text(_time(world, operator.created_seconds))


def _time(world: World, virtual_seconds: float) -> str:
    since_load_seconds = virtual_seconds - world.pd.loaded_at_seconds
    return go_time_text(world.unix_seconds(virtual_seconds), since_load_seconds)


ROUTES: Final[list[tuple[str, str, Handler]]] = [
    ("POST", "/operators", create),
    ("GET", "/operators", list_running),
    ("DELETE", "/operators", cancel_all),
    ("GET", "/operators/records", records),
    ("GET", "/operators/{region_id}", get_one),
    ("DELETE", "/operators/{region_id}", cancel_one),
]

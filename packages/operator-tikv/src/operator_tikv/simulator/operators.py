"""PD's operator controller: admits operators, sends their steps, notices their end."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from operator_tikv.simulator import limits, raft, ranges
from operator_tikv.simulator.heartbeats import is_down, reaches_pd
from operator_tikv.simulator.model import Peer, Role
from operator_tikv.simulator.operator_model import (
    AddLearner,
    EnterJoint,
    LeaveJoint,
    MergeRegion,
    Operator,
    Plan,
    Priority,
    PromoteLearner,
    RemovePeer,
    SplitRegion,
    Status,
    SwitchWitness,
    TransferLeader,
    needs_snapshot,
)
from operator_tikv.simulator.units import go_duration_text

if TYPE_CHECKING:
    from operator_tikv.simulator.model import Region
    from operator_tikv.simulator.operator_model import Step
    from operator_tikv.simulator.world import World

RESULT_KEPT_SECONDS: Final = 600.0
DISPATCH_MIN_SECONDS: Final = 0.02
DISPATCH_MAX_SECONDS: Final = 0.12
FAST_RESEND_SECONDS: Final = 2.0
SLOW_RESEND_SECONDS: Final = 5.0
_COUNTER: Final = "pd_schedule_operators_count"


def running_of_kind(world: World, kind: str) -> int:
    """Count the running operators of a kind that a schedule limit counts; admin ones are free."""
    return sum(
        not operator.is_admin and operator.plan.kinds[0] == kind
        for operator in world.pd.operators.values()
    )


def submit(world: World, region: Region, plan: Plan) -> Operator | None:
    """Admit an operator, or return None when another one of its rank has the region.

    Admin operators are urgent and ignore the store limits.
    """
    admin = "admin" in plan.kinds
    plan = replace(plan, priority=Priority.URGENT) if admin else plan
    old = world.pd.operators.get(region.region_id)
    if old is not None and old.plan.priority >= plan.priority:
        world.pd.count(_COUNTER, plan.description, "already-have")
        return None
    if not admin and not limits.allows(world, plan, region.size_mib):
        world.pd.count("pd_schedule_operator_exceeded_store_limit", plan.description, "")
        world.pd.count(_COUNTER, plan.description, "exceed-limit")
        return None
    if old is not None:
        _end(world, old, Status.REPLACE)
    return _start(world, region, plan)


def _start(world: World, region: Region, plan: Plan) -> Operator:
    operator = Operator(
        operator_id=world.next_id(),
        plan=plan,
        region_id=region.region_id,
        version=region.version,
        conf_ver=region.conf_ver,
        size_mib=region.size_mib,
        created_seconds=world.now_seconds,
    )
    limits.take(world, plan, region.size_mib)
    if any(isinstance(step, SwitchWitness) and not step.to_witness for step in plan.steps):
        world.pd.unwitnessed_seconds[region.region_id] = world.now_seconds
    world.pd.operators[region.region_id] = operator
    world.pd.results.pop(region.region_id, None)
    for event in ("create", "start"):
        world.pd.count(_COUNTER, plan.description, event)
    world.record("operator", f"create {plan.description} region {region.region_id} {plan.brief}")
    _log(world, operator, "add operator")
    key = (operator.region_id, operator.operator_id)
    world.schedule(operator.timeout_seconds, "operator.timeout", *key)
    world.schedule(0.0, "operator.resend", *key)
    return operator


def cancel(world: World, operator: Operator) -> None:
    """Cancel a running operator; a step that is already sent may still happen."""
    _end(world, operator, Status.CANCEL)


def find_result(world: World, region_id: int) -> Operator | None:
    """The running operator of a region, or the last one that ended within ten minutes."""
    running = world.pd.operators.get(region_id)
    if running is not None:
        return running
    ended = world.pd.results.get(region_id)
    if ended is None or world.now_seconds - ended.finished_seconds > RESULT_KEPT_SECONDS:
        return None
    return ended


def recent_records(world: World) -> list[Operator]:
    """The operators that ended within ten minutes, oldest first."""
    earliest = world.now_seconds - RESULT_KEPT_SECONDS
    world.pd.records = [op for op in world.pd.records if op.finished_seconds >= earliest]
    return world.pd.records


def on_timeout(world: World, args: tuple[int, ...]) -> None:
    """The sum of the steps' time limits is over."""
    operator = _find(world, args)
    if operator is not None:
        _end(world, operator, Status.TIMEOUT)


def on_poke(world: World, args: tuple[int, ...]) -> None:
    """PD heard of the region: look whether a step is done and send the next one."""
    operator = _find(world, args)
    advanced = operator is not None and _advance(world, operator)
    if operator is not None and advanced and operator.current_step != operator.sent_step:
        _send(world, operator)


def on_resend(world: World, args: tuple[int, ...]) -> None:
    """PD's push loop: send the present step again until it is done."""
    operator = _find(world, args)
    if operator is None or not _advance(world, operator):
        return
    _send(world, operator)
    slow = needs_snapshot(operator.plan.steps[operator.current_step])
    delay_seconds = SLOW_RESEND_SECONDS if slow else FAST_RESEND_SECONDS
    world.schedule(delay_seconds, "operator.resend", *args)


def on_execute(world: World, args: tuple[int, ...]) -> None:
    """A step reached the leader of the region, which does it if it can."""
    operator = _find(world, args)
    if operator is None or operator.current_step != args[2]:
        return
    region = world.raft.get(operator.region_id)
    if region is not None:
        _execute(world, region, operator.plan.steps[args[2]])


def _find(world: World, args: tuple[int, ...]) -> Operator | None:
    operator = world.pd.operators.get(args[0])
    return operator if operator is not None and operator.operator_id == args[1] else None


def _advance(world: World, operator: Operator) -> bool:
    region = world.pd.regions.get(operator.region_id)
    if region is None or not world.pd.has_leader:
        return False
    steps = operator.plan.steps
    while operator.current_step < len(steps):
        step = steps[operator.current_step]
        if not step.is_finished(region):
            break
        operator.current_step += 1
    if operator.current_step >= len(steps):
        _end(world, operator, Status.SUCCESS)
        return False
    if _is_impossible(world, region, steps[operator.current_step]):
        _end(world, operator, Status.CANCEL)
        return False
    return True


def _is_impossible(world: World, region: Region, step: Step) -> bool:
    """PD cancels a step whose target store went down or whose peer is gone."""
    if isinstance(step, TransferLeader):
        target = region.peer_on(step.to_store_id)
        return target is None or not target.may_lead or _is_lost(world, step.to_store_id)
    if isinstance(step, AddLearner):
        other = region.peer_on(step.store_id)
        return (other is not None and other.peer_id != step.peer_id) or _is_lost(
            world, step.store_id
        )
    if isinstance(step, PromoteLearner | SwitchWitness):
        return region.peer(step.peer_id) is None
    if isinstance(step, EnterJoint) and step.promote_peer_id:
        return region.peer(step.promote_peer_id) is None
    return False


def _is_lost(world: World, store_id: int) -> bool:
    store = world.stores.get(store_id)
    return store is None or is_down(world, store)


def _send(world: World, operator: Operator) -> None:
    region = world.raft.get(operator.region_id)
    operator.sent_step = operator.current_step
    if region is None or not reaches_pd(world, region):
        return
    latency_seconds = world.rng.uniform(DISPATCH_MIN_SECONDS, DISPATCH_MAX_SECONDS)
    key = (operator.region_id, operator.operator_id)
    world.schedule(latency_seconds, "operator.execute", *key, operator.current_step)


def _execute(world: World, region: Region, step: Step) -> None:
    region_id = region.region_id
    if isinstance(step, SplitRegion | MergeRegion):
        _execute_range(world, region_id, step)
    elif isinstance(step, TransferLeader):
        if region.leader_store_id != step.to_store_id:
            raft.transfer_leader(world, region_id, step.to_store_id)
    elif isinstance(step, AddLearner):
        peer = Peer(step.peer_id, step.store_id, Role.LEARNER, step.is_witness)
        raft.add_learner(world, region_id, peer)
    elif isinstance(step, SwitchWitness):
        raft.switch_witness(world, region_id, step.peer_id, to_witness=step.to_witness)
    elif isinstance(step, RemovePeer):
        if region.peer_on(step.store_id) and region.leader_store_id != step.store_id:
            kept = tuple(peer for peer in region.peers if peer.store_id != step.store_id)
            raft.change_peers(world, region_id, kept)
    elif not (isinstance(step, EnterJoint) and region.leader_store_id == step.demote_store_id):
        changed = _with_roles(region, step)
        if changed != region.peers:
            raft.change_peers(world, region_id, changed)


def _execute_range(world: World, region_id: int, step: SplitRegion | MergeRegion) -> None:
    if isinstance(step, SplitRegion):
        ranges.split(world, region_id, step.keys)
    else:
        _merge(world, step)


def _merge(world: World, step: MergeRegion) -> None:
    """The source goes with its merge, so its operator has no region to be looked at any more."""
    if step.is_passive or not ranges.merge(world, step.source_id, step.target_id):
        return
    operator = world.pd.operators.get(step.source_id)
    if operator is not None:
        _end(world, operator, Status.SUCCESS)


def _with_roles(region: Region, step: PromoteLearner | EnterJoint | LeaveJoint) -> tuple[Peer, ...]:
    if isinstance(step, PromoteLearner):
        roles = {step.peer_id: (Role.LEARNER, Role.VOTER)}
    elif isinstance(step, EnterJoint):
        roles = {
            step.promote_peer_id: (Role.LEARNER, Role.INCOMING_VOTER),
            step.demote_peer_id: (Role.VOTER, Role.DEMOTING_VOTER),
        }
    else:
        leaving = {Role.INCOMING_VOTER: Role.VOTER, Role.DEMOTING_VOTER: Role.LEARNER}
        return tuple(p._replace(role=leaving.get(p.role, p.role)) for p in region.peers)
    return tuple(
        peer._replace(role=roles[peer.peer_id][1])
        if peer.peer_id in roles and peer.role is roles[peer.peer_id][0]
        else peer
        for peer in region.peers
    )


def _end(world: World, operator: Operator, status: Status) -> None:
    operator.status = status
    operator.finished_seconds = world.now_seconds
    world.pd.operators.pop(operator.region_id, None)
    world.pd.results[operator.region_id] = operator
    world.pd.records.append(operator)
    event = {Status.SUCCESS: "finish"}.get(status, status.value.lower())
    world.pd.count(_COUNTER, operator.plan.description, event)
    world.record("operator", f"{event} {operator.plan.description} region {operator.region_id}")
    _log(world, operator, _END_MESSAGES[status], takes_seconds=_taken(operator))


_END_MESSAGES: Final = {
    Status.SUCCESS: "operator finish",
    Status.TIMEOUT: "operator timeout",
    Status.CANCEL: "operator canceled",
    Status.REPLACE: "operator replaced",
}


def _taken(operator: Operator) -> float:
    return operator.finished_seconds - operator.created_seconds


def _log(
    world: World, operator: Operator, message: str, *, takes_seconds: float | None = None
) -> None:
    """Note an operator in PD's log, in short: the whole text is made only where it is read."""
    takes = {} if takes_seconds is None else {"takes": go_duration_text(takes_seconds)}
    plan = operator.plan
    text = f"{plan.description} {{{plan.brief}}} (kind:{','.join(plan.kinds)})"
    fields = {"region-id": operator.region_id, **takes, "operator": text, "additional-info": ""}
    world.log_pd("INFO", message, **fields)

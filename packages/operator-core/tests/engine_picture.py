"""What a ledger says beside what the model of the engine says, in the same words."""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from engine_bench import Bench, id_of
from engine_items import S
from engine_model import Model
from operator_core.actions.types import ActionProposal, SafetyMode, WorkflowProposal
from operator_core.agent.diagnosis import ActionRecommendation
from operator_core.clock import from_text
from operator_core.errors import OperatorError
from operator_core.testing.clock import START

Call = Coroutine[Any, Any, object]
Move = Callable[[Model], bool]
Order = Callable[[Model], tuple[bool, bool]]
"""One order in which two calls may take effect, and whether each of them is allowed."""


@dataclass(frozen=True)
class Picture:
    """What the ledger says."""

    items: list[ActionProposal]
    flows: list[WorkflowProposal]
    ready: list[int]
    next_due: datetime | None
    mode: SafetyMode
    killed: bool


async def picture_of(one: Bench) -> Picture:
    """Read all of it at once."""
    db = one.db
    items, flows, ready, due, state = await asyncio.gather(
        db.list_proposals(),
        db.list_workflows(),
        db.list_ready(),
        db.next_due_at(),
        one.control.safety_state(),
    )
    return Picture(
        items,
        flows,
        [id_of(each) for each in ready],
        from_text(due) if due else None,
        state.mode,
        state.killed_at is not None,
    )


def told(look: Picture, done: Counter[int]) -> object:
    """Return what the ledger says, in the words of `expected`."""
    place = {id_of(one): n for n, one in enumerate(look.items)}
    links = [(one.depends_on_proposal_id, one.compensates_proposal_id) for one in look.items]
    items = [
        (*words_of(one), done[id_of(one)], place.get(after or 0), place.get(undoes or 0))
        for one, (after, undoes) in zip(look.items, links, strict=True)
    ]
    flows = [
        (flow.status.value, flow.approved_at is not None, flow.paused_at is not None)
        for flow in look.flows
    ]
    return items, flows, (look.mode is SafetyMode.EXECUTE, look.killed)


def words_of(one: ActionProposal) -> tuple[object, object]:
    state = (one.action_name, one.status.value, one.in_doubt, one.is_approved)
    again_at = one.lease_expires_at if one.awaits_resend else None
    times = (one.next_retry_at, one.scheduled_at, again_at)
    return state, (one.retry_count, *map(seconds, times))


def seconds(moment: datetime | None) -> int | None:
    return None if moment is None else int((moment - START).total_seconds())


def expected(model: Model) -> object:
    """Return what the ledger must say, in the words of `told`."""
    items = [
        (
            (one.action, one.status.value, one.doubt, one.approved),
            (one.failures, one.retry_at, one.scheduled_at, one.again_at),
            one.effects,
            one.after,
            one.undoes,
        )
        for one in model.items
    ]
    flows = [(one.status.value, one.covered is not None, one.paused) for one in model.flows]
    return items, flows, (model.may_act, model.killed)


def next_due(model: Model) -> int | None:
    waiting = (one.scheduled_at for one in model.items if one.status is S.VALIDATED)
    retries = (time for one in model.items for time in (one.retry_at, one.again_at))
    times = [time for time in (*waiting, *retries, model.next_run) if time is not None]
    return min((time for time in times if time > model.now), default=None)


async def refusal(call: Call) -> OperatorError | None:
    """Do it, and return why it was refused, if it was."""
    try:
        await call
    except OperatorError as error:
        return error
    return None


async def both(one: Call, two: Call) -> tuple[OperatorError | None, OperatorError | None]:
    """Do two things at once."""
    return await asyncio.gather(refusal(one), refusal(two))


def between(model: Model, n: int, other: Move, then: Callable[[], None]) -> tuple[bool, bool]:
    """Let somebody do something between the claim of an attempt and its end."""
    if not model.claim(n):
        return False, other(model)
    allowed = other(model)
    then()
    return True, allowed


def recommended(action: str) -> ActionRecommendation:
    """Return a recommendation of one of the model's actions."""
    parameters = {"seconds": 60} if action == "wait" else {}
    return ActionRecommendation(action_name=action, parameters=parameters, reason="to be sure")

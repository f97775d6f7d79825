"""Canaries of what the ledger says: mode, workflow, order, approval where no policy is in force."""

from datetime import timedelta

from operator_core.actions.cage import PERSON, Cage
from operator_core.actions.canaries.canary import Canary
from operator_core.db import changes
from operator_core.db.changes import Change
from operator_core.db.claims import Attempt, ClaimTerms
from operator_core.db.control import ControlDB
from operator_core.db.executions import ExecutionDB
from operator_core.db.workflows import WorkflowDB
from operator_core.errors import (
    ApprovalRequiredError,
    ConflictError,
    LimitError,
    NotReadyError,
    ObserveOnlyError,
    TransitionError,
)
from operator_core.types import RunMode

_ANCIENT = timedelta(hours=1)


async def _unvalidated(cage: Cage) -> int:
    return await cage.propose()


async def _observing(cage: Cage) -> int:
    planted = await cage.valid()
    await ControlDB(cage.ledger).set_mode(RunMode.OBSERVE, actor=PERSON)
    return planted


async def _killed(cage: Cage) -> int:
    await ControlDB(cage.ledger).kill(actor=PERSON, reason="a canary")
    return await cage.slipped_in()


async def _paused(cage: Cage) -> int:
    workflow_id, steps = await cage.workflow("turn")
    await WorkflowDB(cage.ledger).pause(workflow_id, paused_by=PERSON)
    return steps[0]


async def _undoing_too_early(cage: Cage) -> int:
    workflow_id, steps = await cage.workflow("turn")
    return await cage.slipped_in(workflow_id=workflow_id, compensates_proposal_id=steps[0])


async def _of_an_ended_workflow(cage: Cage) -> int:
    workflow_id, _ = await cage.workflow("turn")
    await cage.db.cancel_workflow(workflow_id)
    return await cage.forced_in(workflow_id=workflow_id)


async def _undoing_what_goes_on(cage: Cage) -> int:
    workflow_id, steps = await cage.workflow("turn", "turn")
    await cage.run(steps[0])
    cage.subject.done.clear()
    return await cage.forced_in(workflow_id=workflow_id, compensates_proposal_id=steps[0])


async def _undoing_what_never_ran(cage: Cage) -> int:
    workflow_id, steps = await cage.workflow("turn")
    await cage.db.cancel_workflow(workflow_id)
    return await cage.forced_in(workflow_id=workflow_id, compensates_proposal_id=steps[0])


async def _held(cage: Cage) -> int:
    planted = await cage.valid()
    stamp = cage.stamp()
    hold = Change("proposal.hold", "proposal_held")
    await cage.ledger.write(lambda tx: changes.apply(tx, planted, hold, stamp))
    return planted


async def _unapproved(cage: Cage) -> int:
    return await cage.valid()


async def _step_unapproved(cage: Cage) -> int:
    _, steps = await cage.workflow("turn")
    return steps[0]


async def _added_after_approval(cage: Cage) -> int:
    workflow_id, _ = await cage.workflow("turn")
    await cage.db.approve_workflow(workflow_id, PERSON)
    return await cage.forced_in(workflow_id=workflow_id)


async def _out_of_order(cage: Cage) -> int:
    _, steps = await cage.workflow("turn", "turn")
    return steps[1]


async def _before_its_time(cage: Cage) -> int:
    planted = await cage.valid()
    await cage.db.update_scheduled_at(planted, cage.clock.now() + _ANCIENT)
    return planted


async def claimed(cage: Cage, proposal_id: int) -> Attempt:
    """Claim a proposal as another process would."""
    terms = ClaimTerms(
        "another",
        cage.ledger.ledger_id,
        lease_seconds=60.0,
        require_approval=False,
        subject=cage.subject.name,
    )
    return await ExecutionDB(cage.ledger).claim(proposal_id, terms)


async def ask_to_stop(cage: Cage, proposal_id: int) -> None:
    """Ask the owner of an attempt to stop it, and do nothing else, as older versions do."""
    stamp = cage.stamp()
    params = {"updated_at": stamp.text}
    stop = Change("proposal.request_cancel", "stop_requested", {}, params)
    await cage.ledger.write(lambda tx: changes.apply(tx, proposal_id, stop, stamp))


async def _two_at_once(cage: Cage) -> int:
    first, second = await cage.valid("smash"), await cage.valid("smash")
    await claimed(cage, first)
    return second


async def _sent_before(cage: Cage) -> int:
    """Plant what was sent, with an answer that was lost, and is to be sent again in an hour."""
    attempt = await claimed(cage, await cage.valid())
    due = cage.clock.now() + _ANCIENT
    await ExecutionDB(cage.ledger).await_resend(attempt, "the answer was lost", due)
    return int(attempt.proposal.id or 0)


async def _called_off_after_it_was_sent(cage: Cage) -> int:
    planted = await _sent_before(cage)
    cage.clock.ahead += 2 * _ANCIENT
    await ask_to_stop(cage, planted)
    return planted


STATE_CANARIES = (
    Canary(
        "not validated",
        ("actions.verdict:refusal",),
        TransitionError,
        "not validated",
        _unvalidated,
    ),
    Canary("observe mode", ("actions.verdict:_switch",), ObserveOnlyError, "observe", _observing),
    Canary("kill switch", ("actions.verdict:_switch",), ObserveOnlyError, "kill switch", _killed),
    Canary("paused", ("actions.verdict:_workflow",), NotReadyError, "is paused", _paused),
    Canary(
        "undoes what was not done",
        ("actions.verdict:_compensation",),
        ConflictError,
        "only a completed step",
        _undoing_too_early,
    ),
    Canary(
        "step of an ended workflow",
        ("actions.verdict:_workflow",),
        ConflictError,
        "is a step of workflow",
        _of_an_ended_workflow,
    ),
    Canary(
        "undoes what goes on",
        ("actions.verdict:_compensation",),
        ConflictError,
        "only a completed step",
        _undoing_what_goes_on,
    ),
    Canary(
        "undoes what never ran",
        ("actions.verdict:_compensation",),
        ConflictError,
        "only a completed step",
        _undoing_what_never_ran,
    ),
    Canary(
        "step not approved",
        ("actions.verdict:_approval",),
        ApprovalRequiredError,
        "operator workflows approve",
        _step_unapproved,
        require_approval=True,
    ),
    Canary(
        "added after approval",
        ("actions.verdict:_approval",),
        ApprovalRequiredError,
        "is not what was approved",
        _added_after_approval,
        require_approval=True,
    ),
    Canary("held", ("actions.verdict:_hold",), ApprovalRequiredError, "is held", _held),
    Canary(
        "not approved",
        ("actions.verdict:_approval",),
        ApprovalRequiredError,
        "waits for approval",
        _unapproved,
        require_approval=True,
    ),
    Canary(
        "out of order", ("actions.verdict:_readiness",), NotReadyError, "depends on", _out_of_order
    ),
    Canary("not due", ("actions.verdict:_readiness",), NotReadyError, "not due", _before_its_time),
    Canary(
        "sent again too early",
        ("actions.verdict:_readiness",),
        NotReadyError,
        "is not sent again before",
        _sent_before,
    ),
    Canary(
        "called off after it was sent",
        ("db.claims:_admitted",),
        ConflictError,
        "asked to stop",
        _called_off_after_it_was_sent,
    ),
    Canary("two at once", ("db.claims:_take",), LimitError, "Another disruptive", _two_at_once),
)

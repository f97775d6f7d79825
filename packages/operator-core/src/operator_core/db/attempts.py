"""The ways an attempt can end, its lease, and its takeover, as functions of a transaction.

An attempt belongs to its owner by the fencing number that the claim gave it. Whoever took the
work over in the meantime has a higher one, and what the old owner writes finds no row.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from operator_core.actions.lifecycle import WORKFLOW_MACHINE
from operator_core.actions.retry import Wait
from operator_core.actions.types import (
    ActionProposal,
    ActionRecord,
    ActionStatus,
    Outcome,
    WorkflowStatus,
)
from operator_core.clock import Clock, to_text
from operator_core.db import changes, effects, proposals, resends, rows, undos
from operator_core.db.changes import Change, Params, Stamp, moments_of
from operator_core.db.claims import Attempt, ClaimTerms, Taken, begin_records
from operator_core.db.engine import Row, Tx, Value
from operator_core.errors import ConflictError, LostLeaseError, TransitionError
from operator_core.types import JsonObject

_RUNNING = "proposal.running"
_COMPLETED = Change("proposal.complete", "execution_completed")
_SUCCESS = {Outcome.SUCCEEDED: 1, Outcome.FAILED: 0, Outcome.UNKNOWN: None}


class Ending(NamedTuple):
    """How an attempt ended.

    Attributes:
        outcome: what is known of the effect.
        message: what went wrong, if anything.
        result: what the action returned.
        retry_in: for a sure failure: how long until it is tried again; None: not any more.
        follower_delay_seconds: how long the next step has to wait.
        stopped: the attempt was stopped on request, and surely had no effect.
        key_spent: for a sure failure: the subject itself answered so, and another try has a key
            of its own. Where others only looked and saw no effect, the request may be under way
            still: another try keeps the key, so that both have one effect.
    """

    outcome: Outcome
    message: str | None = None
    result: JsonObject | None = None
    retry_in: Wait | None = None
    follower_delay_seconds: float = 0.0
    stopped: bool = False
    key_spent: bool = True


# --- the end of an attempt ------------------------------------------------------------


class Finish(NamedTuple):
    """An attempt that has ended, and how."""

    attempt: Attempt
    ending: Ending
    stamp: Stamp


def finish_each(tx: Tx, items: Sequence[Finish]) -> list[ActionRecord | Exception]:
    """Write how attempts ended, and what follows for retries and workflows.

    Raises:
        LostLeaseError: somebody else has taken the work over.
    """
    effects.expect_open_leases(tx)
    done = [item for item in items if item.ending.outcome is Outcome.SUCCEEDED]
    completed = start_completion(tx, done)
    for item in items:
        if item.ending.outcome is not Outcome.SUCCEEDED:
            _end_badly(tx, item)
    records = record_each(tx, items)
    proposals.settle_each(tx, completed())
    return [*records]


def record_each(tx: Tx, items: Sequence[Finish]) -> list[ActionRecord]:
    """Write how attempts ended into their records, and into the leases of temporary effects."""
    tx.later("record.finish", [_record_params(item) for item in items])
    records = [_ended(item) for item in items]
    leases = effects.open_leases(tx)
    for item in items if leases else ():
        _settle_leases(tx, leases, item)
    return records


def _settle_leases(tx: Tx, leases: Sequence[Row], item: Finish) -> None:
    own = item.attempt.proposal_id
    for lease in effects.settle(tx, leases, _seen_by_leases(item), item.stamp):
        if lease["undo_proposal_id"] != own:
            undos.call_off(tx, lease, f"undone by action {own}", item.stamp)


def _seen_by_leases(item: Finish) -> effects.Ended:
    ending = item.ending
    return effects.Ended(
        item.attempt.proposal, ending.outcome, ending.result, surely=ending.key_spent
    )


def finish(tx: Tx, attempt: Attempt, ending: Ending, stamp: Stamp) -> ActionRecord:
    """Write how one attempt ended; raises what `finish_each` raises."""
    (record,) = finish_each(tx, [Finish(attempt, ending, stamp)])
    if isinstance(record, Exception):
        raise record
    return record


def start_completion(tx: Tx, items: Sequence[Finish]) -> Callable[[], list[tuple[Row, Stamp]]]:
    """Begin to complete proposals whose attempts succeeded.

    Returns:
        What waits for its end, and returns them; their workflows are still to be settled. It raises
        LostLeaseError where somebody else has taken the work over.
    """
    if not items:
        return list
    params: list[Params] = [
        {"id": one.attempt.proposal_id, "fence": one.attempt.proposal.fence, "now": one.stamp.text}
        for one in items
    ]
    count = tx.start("proposal.complete", params)
    state = {"status": ActionStatus.COMPLETED.value}
    ended = [(rows.brief(one.attempt.proposal) | state, _COMPLETED, one.stamp) for one in items]
    changes.tell_each(tx, "proposal", ended)

    def completed() -> list[tuple[Row, Stamp]]:
        if count() != len(items):
            raise _lost(items[0].attempt)
        for one in items:
            _delay_followers(tx, one)
        return [(row, stamp) for row, _, stamp in ended]

    return completed


def _delay_followers(tx: Tx, item: Finish) -> None:
    seconds = item.ending.follower_delay_seconds
    if seconds > 0:
        due = to_text(item.stamp.now + timedelta(seconds=seconds))
        follows = item.attempt.proposal_id
        tx.run("proposal.delay_followers", id=follows, scheduled_at=due, now=item.stamp.text)


def _end_badly(tx: Tx, item: Finish) -> None:
    end = _doubt if item.ending.outcome is Outcome.UNKNOWN else _fail
    if item.ending.stopped:
        end = _stop
    try:
        row = end(tx, item.attempt, item.ending, item.stamp)
    except TransitionError as error:
        raise _lost(item.attempt) from error
    proposals.settle_workflow(tx, row, item.stamp)


def _lost(attempt: Attempt) -> LostLeaseError:
    return LostLeaseError(
        f"Proposal {attempt.proposal_id} was taken over or settled by somebody else while it "
        "ran; what this process wanted to write was dropped."
    )


def _record_params(item: Finish) -> dict[str, Value]:
    ending = item.ending
    return {
        "id": item.attempt.record.id,
        "now": item.stamp.text,
        "success": _SUCCESS[ending.outcome],
        "outcome": ending.outcome.value,
        "error_message": ending.message,
        "result_data": rows.to_json(ending.result) if ending.result is not None else None,
    }


def _ended(item: Finish) -> ActionRecord:
    ending, success = item.ending, _SUCCESS[item.ending.outcome]
    ended = {
        "completed_at": item.stamp.now,
        "success": None if success is None else bool(success),
        "outcome": ending.outcome,
        "error_message": ending.message,
        "result_data": ending.result,
    }
    return rows.changed(item.attempt.record, ended)


def _fence(attempt: Attempt) -> Params:
    return {"fence": attempt.proposal.fence}


def _fail(tx: Tx, attempt: Attempt, ending: Ending, stamp: Stamp) -> Row:
    data = {"error": ending.message}
    params = {**_fence(attempt), "key_spent": int(ending.key_spent)}
    change = Change("proposal.fail", "execution_failed", data, params)
    changes.apply(tx, attempt.proposal_id, change, stamp)
    row = proposals.count_failure(tx, attempt.proposal_id, ending.message, stamp)
    if ending.retry_in is None:
        tx.run("proposal.set_counted", id=row["id"], counted=1, now=stamp.text)
        proposals.tell_exhausted(tx, row, ending.message, stamp)
        return row
    return proposals.retry_later(tx, row["id"], ending.retry_in, stamp, counted=True)


def _stop(tx: Tx, attempt: Attempt, ending: Ending, stamp: Stamp) -> Row:
    data = {"reason": ending.message}
    change = Change("proposal.abort", "execution_stopped", data, _fence(attempt))
    return changes.apply(tx, attempt.proposal_id, change, stamp)


def _doubt(tx: Tx, attempt: Attempt, ending: Ending, stamp: Stamp) -> Row:
    params = {**_fence(attempt), "error": ending.message}
    data = {"error": ending.message}
    change = Change("proposal.mark_in_doubt", "execution_in_doubt", data, params)
    return changes.apply(tx, attempt.proposal_id, change, stamp)


def settle_in_doubt(tx: Tx, proposal_id: int, ending: Ending, stamp: Stamp) -> ActionRecord:
    """End an attempt in doubt by a person's word; a sure failure is not retried by itself.

    What waits to be sent again is as unclear, so a word ends it too.

    Raises:
        ConflictError: the proposal is not in doubt.
    """
    row = changes.get(tx, "proposal", proposal_id)
    if not row["in_doubt"] and not resends.awaited(row):
        raise ConflictError(f"Proposal {proposal_id} is {row['status']}, not in doubt.")
    terms = ClaimTerms(stamp.actor, "", 0.0, require_approval=False)
    attempt = _attempt(tx, Taken(rows.proposal(row), terms, stamp))
    return finish(tx, attempt, ending, stamp)


def _attempt(tx: Tx, taken: Taken) -> Attempt:
    """Return the attempt of a claimed proposal; it has no record where an older file had none."""
    latest = tx.one("record.latest", proposal_id=taken.proposal.id)
    record = rows.record(latest) if latest else begin_records(tx, [taken])[0]
    return Attempt(taken.proposal, record)


# --- leases ---------------------------------------------------------------------------


class Hold(NamedTuple):
    """How an owner stands to its attempt."""

    owned: bool
    cancel_requested: bool
    killed: bool

    @property
    def why(self) -> str:
        """Why it is asked to stop; empty: it is not."""
        if self.killed:
            return "kill switch"
        return "cancel requested" if self.cancel_requested else ""


def expect_look(tx: Tx, attempt: Attempt) -> None:
    """Tell that `look` will be asked soon."""
    tx.expect(_RUNNING, id=attempt.proposal_id)


def look(tx: Tx, attempt: Attempt) -> Hold:
    """Return whether the attempt is still its owner's, and whether it is asked to stop."""
    row = tx.one(_RUNNING, id=attempt.proposal_id)
    if row is None:
        return Hold(owned=False, cancel_requested=False, killed=False)
    running = row["status"] == ActionStatus.EXECUTING
    return Hold(
        owned=running and row["fence"] == attempt.proposal.fence,
        cancel_requested=row["cancel_requested_at"] is not None,
        killed=row["killed_at"] is not None,
    )


class Renewal(NamedTuple):
    """A lease that is to be renewed, for how long, and the source of time."""

    attempt: Attempt
    lease_seconds: float
    clock: Clock


def renew_each(tx: Tx, items: Sequence[Renewal]) -> list[bool]:
    """Renew the leases of attempts; False: the attempt belongs to somebody else now."""
    moments = moments_of(item.clock for item in items)  # a lease begins when the work runs
    counts = [
        tx.start(
            "proposal.renew_lease", [_renewed(item, moment.by(str(item.attempt.proposal.owner)))]
        )
        for item, moment in zip(items, moments, strict=True)
    ]
    return [bool(count()) for count in counts]


def _renewed(item: Renewal, stamp: Stamp) -> Params:
    proposal = item.attempt.proposal
    until = stamp.now + timedelta(seconds=item.lease_seconds)
    return {
        "id": proposal.id,
        "fence": proposal.fence,
        "owner": proposal.owner,
        "lease_expires_at": to_text(until),
        "now": stamp.text,
    }


def take_over(tx: Tx, proposal: ActionProposal, terms: ClaimTerms, stamp: Stamp) -> Attempt:
    """Take the work of an owner whose lease has ended; its own writes find no row any more.

    Raises:
        TransitionError: somebody else was first.
    """
    lease_end = to_text(stamp.now + timedelta(seconds=terms.lease_seconds))
    params: Params = {
        "owner": terms.owner,
        "lease_expires_at": lease_end,
        "fence": proposal.fence,
    }
    ended = rows.text_or_none(proposal.lease_expires_at)
    data = {"from": proposal.owner, "to": terms.owner, "lease_expires_at": ended}
    change = Change("proposal.take_over", "execution_taken_over", data, params)
    row = changes.apply(tx, int(proposal.id or 0), change, stamp)
    return _attempt(tx, Taken(rows.proposal(row), terms, stamp))


def await_resend(tx: Tx, attempt: Attempt, error: str, due: datetime, stamp: Stamp) -> None:
    """Let an idempotent action be sent again under the same key, no sooner than ``due``.

    That is never before it is written down: a wait's length is told by the two (`WaitDB`). Until
    then it stays executing, and is nobody's. Where it was called off meanwhile, or its workflow has
    ended, it may not be sent again and stays in doubt.

    Raises:
        LostLeaseError: somebody else has taken the work over.
    """
    row = changes.get(tx, "proposal", attempt.proposal_id)
    if row["cancel_requested_at"] is not None or _workflow_has_ended(tx, attempt):
        finish(tx, attempt, Ending(Outcome.UNKNOWN, error), stamp)
        return
    due_text = to_text(max(due, stamp.now))
    params = {**_fence(attempt), "error": error, "due": due_text}
    data = {"error": error, "due": due_text}
    change = Change("proposal.await_resend", "execution_released", data, params)
    try:
        changes.apply(tx, attempt.proposal_id, change, stamp)
    except TransitionError as lost:
        raise _lost(attempt) from lost
    unsure = Finish(attempt, Ending(Outcome.UNKNOWN, error), stamp)
    tx.each("record.finish", [_record_params(unsure)])
    _settle_leases(tx, effects.open_leases(tx), unsure)


def _workflow_has_ended(tx: Tx, attempt: Attempt) -> bool:
    step = attempt.proposal
    if step.workflow_id is None or step.compensates_proposal_id is not None:
        return False
    state = WorkflowStatus(changes.get(tx, "workflow", step.workflow_id)["status"])
    return not WORKFLOW_MACHINE.events_of(state)

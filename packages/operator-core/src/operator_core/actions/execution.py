"""One claimed attempt, from its claim to what the ledger says of its end.

The call runs as a task of its own. Beside it a watch renews the lease and looks whether the
kill switch was pulled, somebody asked to cancel, the time limit passed, or another process
took the work over. Whatever happens, the attempt ends settled or in doubt.
"""

import asyncio
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from operator_core.actions.outcomes import Failure, classify
from operator_core.actions.patience import patiently
from operator_core.actions.progress import Progress
from operator_core.actions.readable import readable
from operator_core.actions.registry import ActionRegistry
from operator_core.actions.retry import Wait
from operator_core.actions.sending import (
    LEDGER_LIMIT_SECONDS,
    Run,
    Stop,
    first_tenure,
    just_claimed,
    looked_at,
    may_send,
    renew,
    send,
)
from operator_core.actions.terms import Terms
from operator_core.actions.tools import run_tool
from operator_core.actions.types import (
    ActionDefinition,
    ActionRecord,
    ActionType,
    Outcome,
)
from operator_core.actions.validation import validate_action_params
from operator_core.clock import Stopwatch, ends_within
from operator_core.contain import contained, said
from operator_core.db.attempts import Ending
from operator_core.db.claims import Attempt
from operator_core.db.executions import ExecutionDB
from operator_core.errors import LedgerError, LedgerGoneError, LostLeaseError, RequestError
from operator_core.logs import get_logger
from operator_core.subject import ActionCall, FullSubject, ProbeAnswer, Subject, complete

if TYPE_CHECKING:
    from collections.abc import Callable

log = get_logger(__name__)

WATCH_SECONDS = 0.25
"""How often a running call is checked on: a kill reaches it well within a second."""

PROBE_LIMIT_SECONDS = 10.0


async def carry_out(
    db: ExecutionDB,
    attempt: Attempt,
    subject: Subject | None,
    registry: ActionRegistry,
    terms: Terms,
    *,
    asked_seconds: float | None = None,
) -> ActionRecord:
    """Carry out a claimed attempt and return its record.

    Args:
        db: the ledger's side of executing.
        attempt: what was claimed.
        subject: the cluster's side; a tool needs none.
        registry: the actions that may be called.
        terms: on what terms it runs.
        asked_seconds: the monotonic time before the claim was asked for; None: some time ago.

    Raises:
        RequestError: the action is not registered, or its parameters do not fit any more; the
            attempt is recorded as failed for good, or in doubt where it was sent before.
        LostLeaseError: another process took the work over.
    """
    try:
        said = Progress()
        definition, call = _checked(attempt, registry, said)
        if definition.action_type is ActionType.TOOL:
            return await _use_tool(db, attempt, call)
        present = _present(subject, definition)
        stop = Stop(first_tenure(terms))
        run = Run(db, attempt, present, definition, call, terms, said, stop)
    except RequestError as error:
        outcome = Outcome.UNKNOWN if attempt.resent else Outcome.FAILED
        await db.finish(attempt, Ending(outcome, str(error)))
        raise
    return await _call_subject(run, asked_seconds)


async def settle_abandoned(
    db: ExecutionDB, attempt: Attempt, subject: Subject, registry: ActionRegistry, terms: Terms
) -> ActionRecord | None:
    """Settle an attempt whose owner is gone; None: it waits to be sent again.

    It is probed; where the probe cannot tell, an idempotent action is sent again, and any
    other one stays in doubt for a person.
    """
    reason = "its owner went away while it ran"
    try:
        said = Progress()
        definition, call = _checked(attempt, registry, said)
        if definition.action_type is ActionType.TOOL:
            return await _use_tool(db, attempt, call)  # a tool has no effect outside the ledger
    except RequestError as error:
        return await db.finish(attempt, Ending(Outcome.UNKNOWN, f"{reason}; {error}"))
    stop = Stop(first_tenure(terms))
    run = Run(db, attempt, complete(subject), definition, call, terms, said, stop)
    hold = await db.look(attempt)  # nothing is sent again after a kill or cancel
    run.stop.requested = hold.killed or hold.cancel_requested
    gone = Failure(Outcome.UNKNOWN, permanent=False, message=reason)
    return await _settle_unknown(run, gone, at_once=run.proposal.retry_count == 0)


def _checked(
    attempt: Attempt, registry: ActionRegistry, said: Progress
) -> tuple[ActionDefinition, ActionCall]:
    """Check again, right before the effect, what was checked when it was proposed."""
    definition = registry.require(attempt.proposal.action_name)
    call = ActionCall(
        action_name=definition.name,
        parameters=validate_action_params(definition, attempt.proposal.parameters),
        idempotency_key=str(attempt.record.idempotency_key),
        time_limit_seconds=definition.time_limit_seconds,
        progress=said.say,
    )
    return definition, call


def _present(subject: Subject | None, definition: ActionDefinition) -> FullSubject:
    if subject is None:
        raise RequestError(f"Action {definition.name!r} needs a subject to act on.")
    return complete(subject)


async def _use_tool(db: ExecutionDB, attempt: Attempt, call: ActionCall) -> ActionRecord:
    done = run_tool(call.action_name, call.parameters)
    if done.log is not None:
        log.info("log_message", proposal_id=attempt.proposal_id, text=done.log.message)
    ending = Ending(
        Outcome.SUCCEEDED,
        result=done.result,
        follower_delay_seconds=done.delay_followers_seconds,
    )
    return await db.finish(attempt, ending)


# --- the call -------------------------------------------------------------------------


async def _call_subject(run: Run, asked_seconds: float | None) -> ActionRecord:
    clock = run.terms.clock
    is_fresh: Callable[[], bool] = partial(just_claimed, run, asked_seconds)
    while True:
        if not is_fresh():
            is_fresh = looked_at(run)
            if not await patiently(partial(may_send, run), clock):
                stopped = Failure(Outcome.FAILED, permanent=False, message=run.stop.words)
                return await patiently(partial(_settle_failure, run, stopped), clock)
        task = asyncio.create_task(send(run, is_fresh))
        await _see_through(run, task)
        if run.stop.sent or run.stop.reason:
            return await patiently(partial(_conclude, run, task), clock)


async def _see_through(run: Run, task: "asyncio.Task[object]") -> None:
    """Return when a call has ended, or was found too old to be made."""
    try:
        await _watch(run, task)
    except asyncio.CancelledError:
        await asyncio.shield(_abandon(run, task))
        raise
    except BaseException:
        await _halt(run, task, "Operator itself failed")
        raise


async def _conclude(run: Run, task: "asyncio.Task[object]") -> ActionRecord:
    """Write down how a call ended, or that it could not be stopped."""
    if run.stop.lost:
        if task.done() and not task.cancelled():
            task.exception()  # it is of no interest any more, which asyncio is to know
        raise LostLeaseError(f"Proposal {run.proposal.id} was taken over while it ran.")
    if not task.done():
        message = f"{run.stop.words} The call did not stop and may still have its effect."
        return await run.db.finish(run.attempt, Ending(Outcome.UNKNOWN, message))
    try:
        result = task.result()
    except BaseException as error:  # noqa: BLE001 - classified and stored
        return await _settle_failure(run, _explained(run, error))
    return await run.db.finish(run.attempt, Ending(Outcome.SUCCEEDED, result=readable(result)))


async def _watch(run: Run, task: "asyncio.Task[object]") -> None:
    """Return when the call has ended, whether by itself or because it was stopped."""
    await asyncio.sleep(0)  # most calls that need no network end within their first step
    if task.done():
        return None
    clock = run.terms.clock
    running = Stopwatch(clock)
    while not await ends_within(task, clock, WATCH_SECONDS):
        try:
            async with asyncio.timeout(LEDGER_LIMIT_SECONDS):
                reason = await _reason_to_stop(run, running)
                if not reason and run.stop.tenure.is_renewal_due():
                    run.stop.lost = not await renew(run)
                await _tell_progress(run)
        except (LedgerError, TimeoutError) as error:
            # A busy disk is no reason to stop a call, an end of its lease is.
            log.warning("ledger_not_seen", proposal_id=run.proposal.id, error=unseen(error))
            gone = isinstance(error, LedgerGoneError)  # and the kill switch with it
            lapsed = gone or run.stop.tenure.is_over()
            reason = "its lease could not be renewed" if lapsed else _over_time(run, running)
        if reason or run.stop.lost:
            return await _halt(run, task, reason or "another process took it over")
    return None


def unseen(error: LedgerError | TimeoutError) -> str:
    """Return why the watch over a call does not see the ledger; a time-out says nothing itself."""
    return str(error) or f"no answer within {LEDGER_LIMIT_SECONDS:g} s"


async def _tell_progress(run: Run) -> None:
    news = run.progress.news(run.terms.clock.now())
    if news:
        await run.db.tell_progress(run.attempt, news)


async def _reason_to_stop(run: Run, running: Stopwatch) -> str:
    hold = await run.db.look(run.attempt)
    run.stop.lost = not hold.owned
    run.stop.requested = hold.owned and (hold.killed or hold.cancel_requested)
    if run.stop.requested:
        return hold.why
    return _over_time(run, running)


def _over_time(run: Run, running: Stopwatch) -> str:
    limit_seconds = run.call.time_limit_seconds
    late = running.seconds() >= limit_seconds
    return f"it took longer than its limit of {limit_seconds:g} s" if late else ""


async def _halt(run: Run, task: "asyncio.Task[object]", reason: str) -> None:
    run.stop.reason = reason
    if not run.stop.lapsed:  # or it has been told, and tidies up
        task.cancel()
    await asyncio.wait({task}, timeout=PROBE_LIMIT_SECONDS)
    if not task.done():
        log.error("call_not_stopped", proposal_id=run.proposal.id, action=run.definition.name)


async def _abandon(run: Run, task: "asyncio.Task[object]") -> None:
    """Leave a call because this process stops; somebody settles what is left unclear."""
    await _halt(run, task, "this process was asked to stop")
    await _conclude(run, task)


def _explained(run: Run, error: BaseException) -> Failure:
    failure = classify(error)
    if not run.stop.reason:
        return failure
    own = "" if isinstance(error, asyncio.CancelledError) else f" {failure.message}"
    return failure._replace(message=f"{run.stop.words}{own}")


# --- what became of the effect --------------------------------------------------------


async def _settle_failure(run: Run, failure: Failure) -> ActionRecord:
    """Settle what did not succeed; the failure of a try says nothing of an earlier, lost one."""
    if failure.outcome is Outcome.UNKNOWN or run.attempt.resent:
        record = await _settle_unknown(run, failure)
        return record or run.attempt.record.model_copy(
            update={"outcome": Outcome.UNKNOWN, "error_message": failure.message}
        )
    return await _fail(run, failure)


async def _fail(run: Run, failure: Failure, *, key_spent: bool = True) -> ActionRecord:
    """Record that the effect surely did not happen, and when it is tried again."""
    if run.stop.requested:
        return await run.db.finish(
            run.attempt, Ending(Outcome.FAILED, failure.message, stopped=True)
        )
    wait = None if failure.permanent else _retry_in(run)
    ending = Ending(Outcome.FAILED, failure.message, retry_in=wait, key_spent=key_spent)
    return await run.db.finish(run.attempt, ending)


def _retry_in(run: Run) -> Wait | None:
    failures = run.proposal.retry_count + 1
    return run.terms.retry_in(run.attempt.proposal_id, failures, run.proposal.max_retries)


async def _settle_unknown(
    run: Run, failure: Failure, *, at_once: bool = False
) -> ActionRecord | None:
    """Ask the subject; send an idempotent action again; otherwise leave it in doubt.

    An owner that went away once says nothing against the action: it need not wait its turn. One
    that takes its owners with it has to.
    """
    answer = await _probe(run)
    if answer is ProbeAnswer.HAPPENED:
        found = {"confirmed_by": "probe", "after": failure.message}
        return await run.db.finish(run.attempt, Ending(Outcome.SUCCEEDED, result=found))
    if answer is ProbeAnswer.NOT_HAPPENED:
        return await _fail(run, failure, key_spent=False)
    again = run.definition.idempotent and not (run.stop.requested or failure.permanent)
    wait = _retry_in(run) if again else None
    if wait is not None:
        due = run.terms.clock.now() + timedelta(seconds=0.0 if at_once else wait.seconds)
        await run.db.await_resend(run.attempt, failure.message, due)
        return None
    return await run.db.finish(run.attempt, Ending(Outcome.UNKNOWN, failure.message))


async def _probe(run: Run) -> ProbeAnswer:
    try:
        async with asyncio.timeout(PROBE_LIMIT_SECONDS):
            return ProbeAnswer(await contained(run.subject.probe(run.call)))
    except Exception as error:  # noqa: BLE001 - whatever goes wrong, nobody knows the answer
        log.warning("probe_failed", proposal_id=run.proposal.id, error=said(error))
        return ProbeAnswer.UNKNOWN

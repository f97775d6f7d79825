"""What is to be sent again and is called off is in doubt, never cancelled."""

import asyncio
from pathlib import Path

import pytest

from engine_bench import LEASE_SECONDS, Bench, bench, id_of, recommend
from gate_kit import ALLOW, ASK_ONE
from operator_core.actions.policy import load
from operator_core.actions.types import (
    ActionStatus,
    SafetyMode,
    WorkflowStatus,
)
from operator_core.db.policy import PolicyDB
from operator_core.errors import (
    ApprovalRequiredError,
    ConflictError,
    LimitError,
    NotReadyError,
    ObserveOnlyError,
    PolicyDeniedError,
)
from operator_core.monitor.types import Violation
from operator_core.testing.clock import ManualClock
from operator_core.types import Severity
from resend_kit import LONG, Step, assert_in_doubt, cancels, kills, sent, sent_once

EXECUTING, CANCELLED = ActionStatus.EXECUTING, ActionStatus.CANCELLED


# --- it is called off ----------------------------------------------------------------------


async def resolves_the_ticket(one: Bench, target: int) -> None:
    ticket_id = (await one.get(target)).ticket_id
    await one.tickets.resolve(int(ticket_id or 0), actor="alice", resolution="gone by itself")


async def is_restored(one: Bench, target: int) -> None:
    """A restored ledger holds its work: it waits for an approval that it cannot be given."""
    await one.ledger.write(lambda tx: tx.run("proposal.hold_begun", now=one.ledger.now_text()))
    one.clock.advance(LONG)
    with pytest.raises(Exception, match="held"):
        await one.run(target)


async def is_asked_to_stop_by_an_older_one(one: Bench, target: int) -> None:
    """Operators before 0.3.0 take it for an attempt whose owner will hear of it."""
    now = one.ledger.now_text()
    await one.ledger.write(
        lambda tx: tx.one("proposal.request_cancel", id=target, now=now, updated_at=now)
    )
    one.clock.advance(LONG)
    with pytest.raises(ConflictError, match="asked to stop"):
        await one.run(target)


STEPS = [cancels, kills, resolves_the_ticket, is_restored, is_asked_to_stop_by_an_older_one]


@pytest.mark.parametrize("step", STEPS)
async def test_whoever_calls_it_off_leaves_it_in_doubt(tmp_path: Path, step: Step) -> None:
    async with bench(tmp_path, clock=ManualClock()) as one:
        violation = Violation(invariant="i", target="t", message="m", severity=Severity.WARNING)
        ticket = await one.tickets.report(violation, reported_by="monitor")
        made = await one.executor().propose_action(
            recommend("act_again"), ticket_id=int(ticket.id or 0)
        )
        target = id_of(await one.executor().validate_proposal(id_of(made)))
        await sent(one, target)
        await step(one, target)
        await assert_in_doubt(one, target)


@pytest.mark.parametrize("when", ["waits", "is due"])
async def test_the_end_of_its_workflow_leaves_a_step_in_doubt_and_undoes_nothing_yet(
    tmp_path: Path, when: str
) -> None:
    async with bench(tmp_path, clock=ManualClock()) as one:
        first, second = await one.workflow("act_again", "act")
        await sent(one, first)
        one.clock.advance(0 if when == "waits" else LONG)
        workflow_id = int((await one.get(first)).workflow_id or 0)
        await one.db.cancel_workflow(workflow_id, cancelled_by="alice")
        assert await one.status(second) is CANCELLED
        await assert_in_doubt(one, first)
        flow = await one.db.get_workflow(workflow_id)
        assert flow is not None
        assert flow.status is WorkflowStatus.CANCELLED


async def test_its_workflow_waits_for_it(tmp_path: Path) -> None:
    async with bench(tmp_path, clock=ManualClock()) as one:
        first, second = await one.workflow("act_again", "act")
        await sent(one, first)
        assert await one.db.list_ready() == []
        with pytest.raises(NotReadyError, match="not completed"):
            await one.run(second)
        one.clock.advance(LONG)
        await one.run(first)
        assert [found.id for found in await one.db.list_ready()] == [second]


async def test_what_passes_by_itself_lets_it_wait(tmp_path: Path) -> None:
    async with bench(tmp_path, clock=ManualClock()) as one:
        target = await sent_once(one)
        one.clock.advance(LONG)
        await one.safety.set_mode(SafetyMode.OBSERVE)
        with pytest.raises(ObserveOnlyError):
            await one.run(target)
        kept = await one.get(target)
        assert (kept.awaits_resend, kept.retry_count) == (True, 1)
        await one.safety.set_mode(SafetyMode.EXECUTE)
        await one.run(target)
        assert await one.status(target) is ActionStatus.COMPLETED


async def under(one: Bench, text: str) -> None:
    """Put a policy in force."""
    await PolicyDB(one.ledger).enforce(load(text), source="test", actor="root")


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (ALLOW.replace("auto", "deny"), PolicyDeniedError),
        (ASK_ONE, ApprovalRequiredError),
    ],
)
async def test_what_the_policy_will_not_have_again_is_in_doubt(
    tmp_path: Path, text: str, error: type[Exception]
) -> None:
    async with bench(tmp_path, clock=ManualClock()) as one:
        await under(one, ALLOW)
        target = await sent_once(one)
        await under(one, text)
        one.clock.advance(LONG)
        with pytest.raises(error):
            await one.run(target)
        assert "not sent again" in str((await one.get(target)).last_error)
        await assert_in_doubt(one, target)


async def test_a_limit_lets_it_wait(tmp_path: Path) -> None:
    async with bench(tmp_path, clock=ManualClock()) as one:
        await under(one, ALLOW + '[[limit]]\nname = "few"\ncount = 1\nper_seconds = 3600\n')
        target = await sent_once(one)
        one.clock.advance(LONG)
        with pytest.raises(LimitError):
            await one.run(target)
        assert (await one.get(target)).awaits_resend
        one.clock.advance(3_600)
        await one.run(target)
        assert await one.status(target) is ActionStatus.COMPLETED


async def test_a_person_may_settle_it_while_it_waits(tmp_path: Path) -> None:
    async with bench(tmp_path, clock=ManualClock()) as one:
        target = await sent_once(one)
        await one.executions.settle_by_person(target, happened=False, person="alice")
        assert await one.status(target) is ActionStatus.FAILED
        one.clock.advance(LONG)
        assert await one.db.list_ready() == []


async def test_a_cancel_and_a_claim_at_the_same_time_end_settled_or_in_doubt(
    tmp_path: Path,
) -> None:
    async with bench(tmp_path, clock=ManualClock()) as one:
        for _ in range(5):
            target = await sent_once(one)
            one.clock.advance(LONG)
            cancel = one.db.request_cancel(target, cancelled_by="alice")
            await asyncio.gather(one.run(target), cancel, return_exceptions=True)
            kept = await one.get(target)
            assert kept.status is ActionStatus.COMPLETED or kept.in_doubt, kept


async def test_a_cancel_while_it_fails_is_not_lost(tmp_path: Path) -> None:
    """Its owner has looked for the last time, and then somebody asks to stop it."""
    async with bench(tmp_path, clock=ManualClock()) as one:
        target = await one.validated("act_again")
        attempt = await one.executions.claim(target, one.terms("one"))
        await one.db.request_cancel(target, cancelled_by="alice")
        await one.executions.await_resend(attempt, "no answer", one.in_seconds(1))
        await assert_in_doubt(one, target, sent_times=0)


async def test_an_owner_that_lost_its_work_cannot_let_it_wait(tmp_path: Path) -> None:
    async with bench(tmp_path, clock=ManualClock()) as one:
        target = await one.validated("act_again")
        attempt = await one.executions.claim(target, one.terms("slow"))
        one.clock.advance(LEASE_SECONDS)
        await one.executor("two").settle_expired(one.subject)
        before = await one.get(target)
        with pytest.raises(ConflictError):
            await one.executions.await_resend(attempt, "no answer", one.in_seconds(1))
        assert await one.get(target) == before

"""What was sent without an answer and can be sent twice is sent again, by whoever comes first."""

import asyncio
from pathlib import Path

import pytest

from engine_bench import LEASE_SECONDS, Bench, bench
from operator_core.actions.types import (
    ActionRecord,
    ActionStatus,
    Outcome,
)
from operator_core.db.engine import Tx
from operator_core.db.postgres.tx import PostgresTx
from operator_core.errors import (
    NotReadyError,
    RequestError,
)
from operator_core.runtime.wiring import WiringOptions, wire
from operator_core.subject import ProbeAnswer, complete
from operator_core.testing.clock import ManualClock
from operator_core.testing.fakes import Mode
from resend_kit import LONG, Step, assert_in_doubt, cancels, kills, sent_once

EXECUTING, CANCELLED = ActionStatus.EXECUTING, ActionStatus.CANCELLED


AS_BEFORE = """
UPDATE action_proposals SET status = 'validated', lease_expires_at = NULL
WHERE status = 'executing'
"""


# --- it is sent again --------------------------------------------------------------------


async def test_until_it_is_due_it_is_nobodys_and_then_anybodys(tmp_path: Path) -> None:
    async with bench(tmp_path, clock=ManualClock()) as one:
        target = await sent_once(one)
        assert await one.db.list_ready() == await one.executions.list_expired() == []
        with pytest.raises(NotReadyError, match="is not sent again before"):
            await one.run(target)
        due = (await one.get(target)).lease_expires_at
        assert due is not None
        assert await one.db.next_due_at() == due.isoformat(timespec="microseconds")
        one.clock.advance(LONG)
        assert [found.id for found in await one.db.list_ready()] == [target]
        assert await one.executor("two").settle_expired(one.subject) == []
        record = await one.run(target, owner="two")
        assert await one.status(target) is ActionStatus.COMPLETED
        first, second = await one.db.list_records(target)
        assert (first.outcome, second.outcome) == (Outcome.UNKNOWN, Outcome.SUCCEEDED)
        assert first.idempotency_key == second.idempotency_key == record.idempotency_key
        assert (first.owner, second.owner) == ("one", "two")
        assert int(second.fence or 0) == int(first.fence or 0) + 1


async def test_two_that_come_when_it_is_due_send_it_once(tmp_path: Path) -> None:
    async with bench(tmp_path, clock=ManualClock()) as one:
        target = await sent_once(one)
        one.clock.advance(LONG)
        runs = [one.run(target, owner=owner) for owner in ("two", "three", "four")]
        found = await asyncio.gather(*runs, return_exceptions=True)
        assert sorted(isinstance(each, ActionRecord) for each in found) == [False, False, True]
        assert await one.status(target) is ActionStatus.COMPLETED
        assert len(one.subject.calls) == 2


async def test_who_dies_while_it_sends_again_leaves_it_to_be_settled(tmp_path: Path) -> None:
    async with bench(tmp_path, clock=ManualClock()) as one:
        target = await sent_once(one)
        one.clock.advance(LONG)
        await one.executions.claim(target, one.terms("dead"))
        one.clock.advance(LEASE_SECONDS)
        assert await one.executor("two").settle_expired(one.subject) == [target]
        assert (await one.get(target)).awaits_resend
        one.clock.advance(LONG)
        await one.run(target)
        assert await one.status(target) is ActionStatus.COMPLETED


async def test_the_agents_loop_sends_it_again(tmp_path: Path) -> None:
    async with bench(tmp_path, clock=ManualClock()) as one:
        target = await sent_once(one)
        options = WiringOptions(require_approval=False, clock=one.clock)
        agent = wire(one.ledger, complete(one.subject), options).agent
        await agent.execute()
        assert agent.running == []
        one.clock.advance(LONG)
        await agent.execute()
        await agent.drain(1.0)
        assert await one.status(target) is ActionStatus.COMPLETED


# --- what a later try says of an earlier one ------------------------------------------------


@pytest.mark.parametrize("mode", [Mode.FAIL_THEN_OK, Mode.REFUSE])
async def test_a_sure_failure_of_a_later_try_says_nothing_of_the_first(
    tmp_path: Path, mode: Mode
) -> None:
    async with bench(tmp_path, clock=ManualClock()) as one:
        target = await sent_once(one)
        one.clock.advance(LONG)
        one.subject.mode = mode
        record = await one.run(target)
        assert record.outcome is Outcome.UNKNOWN
        kept = await one.get(target)
        assert kept.status is EXECUTING
        assert kept.in_doubt is (mode is Mode.REFUSE)
        assert kept.effect == 1


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (ProbeAnswer.HAPPENED, ActionStatus.COMPLETED),
        (ProbeAnswer.NOT_HAPPENED, ActionStatus.FAILED),
    ],
)
async def test_a_probe_settles_what_a_later_try_cannot(
    tmp_path: Path, answer: ProbeAnswer, status: ActionStatus
) -> None:
    async with bench(tmp_path, clock=ManualClock()) as one:
        target = await sent_once(one)
        one.clock.advance(LONG)
        one.subject.mode, one.subject.probe_answer = Mode.REFUSE, answer
        await one.run(target)
        assert await one.status(target) is status
        assert (await one.get(target)).effect == 1


async def test_an_action_that_is_not_known_any_more_stays_in_doubt(tmp_path: Path) -> None:
    async with bench(tmp_path, clock=ManualClock()) as one:
        target = await sent_once(one)
        one.clock.advance(LONG)
        executor = one.executor()
        executor._registry._definitions.pop("act_again")
        with pytest.raises(RequestError):
            await executor.execute_proposal(target, one.subject)
        await assert_in_doubt(one, target)


async def test_a_stop_before_it_is_sent_again_is_no_cancelling(tmp_path: Path) -> None:
    async with bench(tmp_path, clock=ManualClock()) as one:
        target = await sent_once(one)
        one.clock.advance(LONG)
        attempt = await one.executions.claim(target, one.terms("one"))
        await one.db.request_cancel(target, cancelled_by="alice")
        one.clock.advance(LEASE_SECONDS)
        assert await one.executor("two").settle_expired(one.subject) == [target]
        assert attempt.resent
        await assert_in_doubt(one, target)


async def sent_by_an_older_one(one: Bench) -> int:
    """Leave a proposal as operators before 0.3.0 did: validated, its last try unknown."""
    target = await sent_once(one)

    def as_before(tx: Tx) -> None:
        if isinstance(tx, PostgresTx):
            tx.command(AS_BEFORE)
        else:
            vars(tx)["_cursor"].execute(AS_BEFORE)

    await one.ledger.write(as_before)
    kept = await one.get(target)
    assert (kept.status, kept.retry_count) == (ActionStatus.VALIDATED, 1)
    return target


# --- what operators before 0.3.0 left --------------------------------------------------------


async def test_what_an_older_one_left_is_sent_again_under_its_key(tmp_path: Path) -> None:
    async with bench(tmp_path, clock=ManualClock()) as one:
        target = await sent_by_an_older_one(one)
        one.subject.mode = Mode.REFUSE
        record = await one.run(target)
        assert record.outcome is Outcome.UNKNOWN
        assert (await one.get(target)).in_doubt
        first, second = one.subject.calls
        assert first.idempotency_key == second.idempotency_key


async def rejects(one: Bench, target: int) -> None:
    await one.db.reject_proposal(target, rejected_by="alice", reason="no")


async def cancels_by_status(one: Bench, target: int) -> None:
    await one.db.update_proposal_status(target, CANCELLED)


@pytest.mark.parametrize("step", [cancels, kills, rejects, cancels_by_status])
async def test_what_an_older_one_left_is_in_doubt_when_it_is_called_off(
    tmp_path: Path, step: Step
) -> None:
    async with bench(tmp_path, clock=ManualClock()) as one:
        target = await sent_by_an_older_one(one)
        await step(one, target)
        await assert_in_doubt(one, target)


async def test_what_surely_failed_and_is_tried_again_is_cancelled_as_ever(tmp_path: Path) -> None:
    async with bench(tmp_path, clock=ManualClock()) as one:
        one.subject.mode = Mode.TIME_OUT_AFTER_EFFECT
        one.subject.probe_answer = ProbeAnswer.NOT_HAPPENED
        target = await one.validated("act_again")
        await one.run(target)
        one.clock.advance(LONG)
        await one.db.reset_for_retry(target)
        assert (await one.executor().cancel_proposal(target)).status is CANCELLED

"""A call goes on from step to step only while its lease is held, or can be had back."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from engine_bench import LEASE_SECONDS, Bench, bench, until
from operator_core.actions.sending import Stop, Tenure
from operator_core.actions.types import ActionRecord, ActionStatus, Outcome
from operator_core.clock import to_text
from operator_core.db.executions import ExecutionDB
from operator_core.errors import LedgerAwayError, LostLeaseError
from operator_core.subject import ActionCall, ProbeAnswer
from operator_core.testing.clock import ManualClock
from operator_core.testing.fakes import FakeSubject


@dataclass
class Slow(FakeSubject):
    """Waits for a connection, say, before it does anything, and tidies up."""

    connected: asyncio.Event = field(default_factory=asyncio.Event)
    tidied: int = 0

    async def perform(self, call: ActionCall) -> object:
        self.acting.set()
        try:
            await self.connected.wait()
            return await super().perform(call)
        finally:
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            self.tidied += 1


async def begun(one: Bench) -> tuple[Slow, int, "asyncio.Task[ActionRecord]"]:
    """Start a call that waits; the watch over it sleeps."""
    subject = one.subject = Slow()
    target = await one.validated()
    running = asyncio.create_task(one.run(target))
    await subject.acting.wait()
    await until(lambda: one.clock.sleepers == 1)
    return subject, target, running


def stand_still(one: Bench, subject: Slow) -> None:
    """Let time pass in which nothing here runs; what the call waits for comes first then."""
    subject.connected.set()
    one.clock.advance(LEASE_SECONDS)


async def take_over(one: Bench, target: int) -> None:
    """Let another process find the work abandoned, and nothing done of it."""
    owner, now = (await one.get(target)).owner, to_text(one.clock.now())
    await one.ledger.write(
        lambda tx: tx.all("proposal.expire_leases", owner=owner, actions='["act"]', now=now)
    )
    one.subject.probe_answer = ProbeAnswer.NOT_HAPPENED
    assert await one.executor("two").settle_expired(one.subject) == [target]


async def test_a_call_that_stood_still_and_was_taken_over_sends_nothing(tmp_path: Path) -> None:
    """It woke in the midst of it, and did what the other process had found not done."""
    async with bench(tmp_path, clock=ManualClock()) as one:
        subject, target, running = await begun(one)
        await take_over(one, target)
        stand_still(one, subject)
        with pytest.raises(LostLeaseError):
            await running
        assert (subject.effects, subject.tidied) == ([], 1)
        assert await one.status(target) is ActionStatus.FAILED  # to be tried again


async def test_a_call_that_stood_still_alone_goes_on(tmp_path: Path) -> None:
    """As on a machine that slept."""
    async with bench(tmp_path, clock=ManualClock()) as one:
        subject, target, running = await begun(one)
        stand_still(one, subject)
        assert (await running).success is True
        assert (len(subject.effects), subject.tidied) == (1, 1)
        assert await one.status(target) is ActionStatus.COMPLETED


async def test_a_call_whose_lease_nobody_can_look_at_sends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object) -> bool:
        raise LedgerAwayError("away")

    async with bench(tmp_path, clock=ManualClock()) as one:
        subject, target, running = await begun(one)
        subject.probe_answer = ProbeAnswer.UNKNOWN
        monkeypatch.setattr(ExecutionDB, "renew", away)
        stand_still(one, subject)
        record = await running
        assert (record.outcome, subject.effects, subject.tidied) == (Outcome.UNKNOWN, [], 1)
        assert "its lease ended while it stood still" in str(record.error_message)
        assert (await one.get(target)).in_doubt


async def test_a_call_that_is_cancelled_hears_of_it_between_its_steps(tmp_path: Path) -> None:
    async with bench(tmp_path, clock=ManualClock()) as one:
        subject, target, running = await begun(one)
        await one.db.request_cancel(target, cancelled_by="ann")
        one.clock.advance(1)
        record = await running
        assert (record.outcome, subject.effects, subject.tidied) == (Outcome.UNKNOWN, [], 1)


class OfAnotherKind(FakeSubject):
    """Its calls are awaitables of a library that is not written in Python."""

    def perform(self, call: ActionCall) -> Any:  # noqa: ANN401 - what a coroutine is to await
        self.calls.append(call)
        return _Plain()


class _Plain:
    def __await__(self) -> Iterator[None]:
        return iter([None, None])


async def test_a_call_may_be_any_awaitable(tmp_path: Path) -> None:
    async with bench(tmp_path, clock=ManualClock()) as one:
        one.subject = OfAnotherKind()
        record = await one.run(await one.validated())
        assert (record.success, len(one.subject.calls)) == (True, 1)


def test_a_tenure_is_over_after_its_length_by_whichever_clock_goes_further() -> None:
    clock = ManualClock()
    tenure = Tenure(clock, 30.0)
    assert not tenure.is_renewal_due()
    clock.advance(10)
    assert tenure.is_renewal_due()
    assert not tenure.is_over()
    clock.advance(20)
    assert tenure.is_over()


def test_a_call_that_has_not_begun_was_not_sent() -> None:
    stop = Stop(Tenure(ManualClock(), 1.0))
    assert (stop.sent, stop.lost, stop.requested) == (False, False, False)

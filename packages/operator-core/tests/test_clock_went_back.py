"""What waits under a clock that was ahead waits its own length once it is set right (ADR 53)."""

from datetime import datetime, timedelta
from pathlib import Path

from engine_bench import LEASE_SECONDS, Bench, bench
from operator_core.actions.types import ActionProposal, ActionStatus
from operator_core.clock import Clock
from operator_core.db.waits import WaitDB
from operator_core.monitor.config import Patience
from operator_core.monitor.verification import Verification
from operator_core.monitor.verify import Sight, advance
from operator_core.runtime.watch import Watch
from operator_core.subject import ProbeAnswer
from operator_core.testing.clock import START, ManualClock
from operator_core.testing.fakes import Mode
from settable_clocks import SettableClock

HOUR = 3_600.0


async def anew(one: Bench, *targets: int) -> list[ActionProposal]:
    """Set the time of day back and look at what waits; return it."""
    clock = one.clock
    assert isinstance(clock, SettableClock)
    clock.set_back(HOUR)
    assert await WaitDB(one.ledger).wait_anew(by="two") == list(targets)
    clock.advance(0.25)
    assert await WaitDB(one.ledger).wait_anew(by="two") == []  # or it would wait for ever
    clock.set_back(0.25)
    assert ("waits_begun_anew" in await one.events()) is bool(targets)
    return [await one.get(target) for target in targets]


async def test_a_retry_waits_its_backoff_and_not_as_long_as_time_was_set_back(
    tmp_path: Path,
) -> None:
    async with bench(tmp_path, clock=SettableClock()) as one:
        one.subject.mode = Mode.FAIL
        target = await one.validated()
        await one.run(target)
        assert one.retry.delay_seconds(0) == 1
        (kept,) = await anew(one, target)
        assert kept.next_retry_at == one.in_seconds(1)
        assert await one.db.list_retry_eligible() == []
        one.clock.advance(1)
        assert [due.id for due in await one.db.list_retry_eligible()] == [target]


class _StandsStill:
    """The clock of a process that stands still between its first look at it and the next."""

    def __init__(self, clock: Clock, behind_seconds: float) -> None:
        self._clock = clock
        self._behind = [timedelta(seconds=behind_seconds)] * 2

    def now(self) -> datetime:
        return self._clock.now() - (self._behind.pop() if self._behind else timedelta(0))

    async def sleep(self, seconds: float) -> None:
        await self._clock.sleep(seconds)


async def test_what_was_written_while_a_process_stood_still_was_not_written_by_a_clock_ahead(
    tmp_path: Path,
) -> None:
    """It took the present for a time set back, and began the backoff of others' retries anew."""
    async with bench(tmp_path) as one:
        one.subject.mode = Mode.FAIL
        target = await one.validated()
        await one.run(target)
        due = (await one.get(target)).next_retry_at
        slow = one.ledger.told_by(_StandsStill(one.clock, 5.0))
        assert await WaitDB(slow).wait_anew(by="two") == []
        assert (await one.get(target)).next_retry_at == due


async def test_what_is_to_be_sent_again_waits_its_backoff(tmp_path: Path) -> None:
    async with bench(tmp_path, clock=SettableClock()) as one:
        one.subject.mode, one.subject.probe_answer = Mode.TIME_OUT_AFTER_EFFECT, ProbeAnswer.UNKNOWN
        target = await one.validated("act_again")
        await one.run(target)
        (kept,) = await anew(one, target)
        assert kept.awaits_resend
        assert kept.lease_expires_at == one.in_seconds(1)


async def test_what_is_to_be_sent_again_at_once_does_not_wait_for_the_old_time(
    tmp_path: Path,
) -> None:
    """What was due a moment before it was written down waited as long as time was set back."""
    async with bench(tmp_path, clock=SettableClock()) as one:
        target = await one.validated("act_again")
        attempt = await one.executions.claim(target, one.terms("one"))
        await one.executions.await_resend(attempt, "no answer", one.in_seconds(-0.001))
        (kept,) = await anew(one, target)
        assert kept.lease_expires_at == one.in_seconds(0)


async def test_a_step_after_a_wait_waits_as_long_as_that_says(tmp_path: Path) -> None:
    async with bench(tmp_path, clock=SettableClock()) as one:
        first, then = await one.workflow("wait", "act")
        await one.run(first)
        (kept,) = await anew(one, then)
        assert kept.scheduled_at == one.in_seconds(300)
        one.clock.advance(300)
        assert [due.id for due in await one.db.list_ready_scheduled()] == [then]
        await one.run(then)
        assert await one.status(then) is ActionStatus.COMPLETED


async def test_a_time_of_day_that_a_person_has_set_stays(tmp_path: Path) -> None:
    async with bench(tmp_path, clock=SettableClock()) as one:
        first, then = await one.workflow("wait", "act")
        alone = await one.validated()
        due = one.in_seconds(2 * HOUR)
        for target in (then, alone):
            await one.db.update_scheduled_at(target, due)
        await one.run(first)
        await anew(one)
        assert (await one.get(then)).scheduled_at == due
        assert (await one.get(alone)).scheduled_at == due


async def test_an_executor_that_looks_for_what_was_left_behind_looks_for_waits(
    tmp_path: Path,
) -> None:
    """Also one that has started after the clock was set right, and so has no time to compare."""
    clock = SettableClock()
    async with bench(tmp_path, clock=clock) as one:
        one.subject.mode = Mode.FAIL
        target = await one.validated()
        await one.run(target)
        clock.set_back(HOUR)
        await one.executor("two").settle_expired(one.subject)
        assert (await one.get(target)).next_retry_at == one.in_seconds(1)


async def test_the_watch_of_a_monitor_that_is_gone_is_not_held_as_long_as_time_was_set_back(
    tmp_path: Path,
) -> None:
    """Nobody would look at the cluster for an hour, where its death is not to be seen."""
    clock, ahead = ManualClock(), ManualClock(START + timedelta(seconds=HOUR))
    async with bench(tmp_path, clock=clock) as one:
        there = Watch(one.ledger.told_by(ahead), "prod", "there", LEASE_SECONDS)
        here = Watch(one.ledger, "prod", "here", LEASE_SECONDS)
        for _ in range(3):
            assert await there.is_mine()
            assert not await here.is_mine()
            clock.advance(LEASE_SECONDS / 2)
            ahead.advance(LEASE_SECONDS / 2)
        clock.advance(LEASE_SECONDS / 2)
        assert await here.is_mine()


def test_a_soak_begins_anew_where_the_time_of_day_was_set_back() -> None:
    """It would have to last for as long as the clock went back."""
    proof = Verification(
        ticket_id=1, diagnosed_at=START, proposals=(1,), started_at=START, ended_at=START
    )
    patience = Patience(soak_seconds=60)
    for number, seconds in enumerate((10.0, 30.0, 10.0 - HOUR, 40.0 - HOUR, 71.0 - HOUR)):
        sight = Sight(look_id=number, at=START + timedelta(seconds=seconds), broken=False)
        proof = advance(proof, sight, patience)
    assert proof.held_since == START + timedelta(seconds=10.0 - HOUR)
    assert (proof.looks, proof.verdict.value) == (3, "verified")

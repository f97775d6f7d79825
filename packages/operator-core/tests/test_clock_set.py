"""The time of day is put forward or set back while work runs (ADR 35)."""

import asyncio
import time
from datetime import timedelta
from pathlib import Path

import pytest

from engine_bench import LEASE_SECONDS, Bench, bench, until
from operator_core.actions.lease_sense import Leased, LeaseSense
from operator_core.actions.types import (
    ActionDefinition,
    ActionRecord,
    ActionStatus,
    Outcome,
)
from operator_core.clock import SYSTEM_CLOCK, Clock, Seldom, Stopwatch, monotonic_seconds
from operator_core.db.postgres import server_clock
from operator_core.db.postgres.server_clock import Offset
from operator_core.db.schedules import ScheduleDB
from operator_core.subject import ProbeAnswer
from operator_core.testing.clock import START, ManualClock
from operator_core.testing.fakes import FakeSubject, Mode
from settable_clocks import EACH_MINUTE, SettableClock, WallClock

HOUR = 3_600.0


class Hasty(FakeSubject):
    """Gives its actions two seconds."""

    def get_action_definitions(self) -> list[ActionDefinition]:
        """Return the fake's actions with a limit."""
        limit = {"time_limit_seconds": 2.0}
        return [one.model_copy(update=limit) for one in super().get_action_definitions()]


# --- what is measured ---------------------------------------------------------------------


@pytest.mark.parametrize("ahead_seconds", [HOUR, -HOUR])
def test_a_stopwatch_goes_on_where_the_time_of_day_is_set(ahead_seconds: float) -> None:
    clock = WallClock()
    watch = Stopwatch(clock)
    clock.passed_seconds, clock.ahead_seconds = 5.0, ahead_seconds
    assert watch.seconds() == pytest.approx(5.0)
    assert watch.seconds_by_time_of_day() == pytest.approx(5.0 + ahead_seconds)


def test_a_stopwatch_in_simulated_time_counts_that_and_never_backwards() -> None:
    clock = SettableClock()
    watch = Stopwatch(clock)
    clock.advance(10)
    assert watch.seconds() == pytest.approx(10, abs=0.5)
    clock.set_back(HOUR)
    assert watch.seconds() == pytest.approx(10, abs=0.5)
    clock.advance(5)
    assert watch.seconds() == pytest.approx(15, abs=0.5)
    assert watch.most_seconds() == pytest.approx(15, abs=0.5)


def test_what_is_measured_goes_on_while_the_machine_sleeps(monkeypatch: pytest.MonkeyPatch) -> None:
    slept, read = {time.CLOCK_BOOTTIME: 0.0}, time.clock_gettime
    monkeypatch.setattr(time, "clock_gettime", lambda which: read(which) + slept.get(which, 0.0))
    watch, began_seconds = Stopwatch(SYSTEM_CLOCK), monotonic_seconds()
    slept[time.CLOCK_BOOTTIME] = HOUR
    assert watch.seconds() >= HOUR
    assert monotonic_seconds() - began_seconds >= HOUR


def test_what_is_done_seldom_is_done_after_a_clock_was_set_back_too() -> None:
    clock, seldom = WallClock(), Seldom(20)
    assert seldom.is_due(clock)
    clock.passed_seconds = 19
    assert not seldom.is_due(clock)
    clock.ahead_seconds = -HOUR
    assert seldom.is_due(clock)
    clock.passed_seconds += 20
    assert seldom.is_due(clock)


@pytest.mark.parametrize(("leap_seconds", "waits"), [(HOUR, True), (1.0, False), (-HOUR, False)])
def test_leases_that_a_leap_has_ended_are_given_time_to_be_renewed(
    leap_seconds: float, *, waits: bool
) -> None:
    clock = WallClock()
    sense = LeaseSense(clock, LEASE_SECONDS)
    clock.passed_seconds = 10
    assert not sense.leapt()
    clock.ahead_seconds = leap_seconds
    assert sense.leapt() is waits
    clock.passed_seconds += LEASE_SECONDS / 2
    assert not sense.leapt()


def test_the_server_is_asked_again_where_this_machines_clock_was_set(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = WallClock()
    monkeypatch.setattr(server_clock, "SYSTEM_CLOCK", clock)
    offset = Offset()
    clock.passed_seconds = 100
    assert not offset.is_outdated()
    for ahead_seconds in (HOUR, -HOUR):
        clock.ahead_seconds = ahead_seconds
        assert offset.is_outdated()


# --- an owner that lives ------------------------------------------------------------------


async def start(one: Bench, target: int) -> "asyncio.Task[ActionRecord]":
    running = asyncio.create_task(one.run(target))
    await one.subject.acting.wait()
    return running


async def test_a_time_limit_holds_although_the_time_of_day_is_set_back(tmp_path: Path) -> None:
    clock = SettableClock()
    async with bench(tmp_path, clock=clock) as one:
        one.subject = Hasty(mode=Mode.HANG)
        running = await start(one, await one.validated())
        clock.set_back(HOUR)
        record = await running
        assert record.outcome is Outcome.UNKNOWN
        assert "longer than its limit of 2 s" in str(record.error_message)
        assert clock.now() < START - timedelta(seconds=HOUR - 10)


async def test_a_living_owner_writes_its_lease_anew_when_time_is_set_back(tmp_path: Path) -> None:
    clock = SettableClock()
    async with bench(tmp_path, clock=clock) as one:
        one.subject.mode = Mode.STUBBORN
        target = await one.validated()
        running = await start(one, target)
        clock.set_back(HOUR)
        await until(lambda: clock.now() > START - timedelta(seconds=HOUR - 2))
        expires = (await one.get(target)).lease_expires_at
        assert expires is not None
        assert expires <= clock.now() + timedelta(seconds=LEASE_SECONDS)
        one.subject.let_go.set()
        assert (await running).success is True


# --- an owner that is dead ----------------------------------------------------------------


async def assert_settled_within_a_lease(one: Bench, target: int) -> None:
    """Assert that another process waits for the lease of an owner that is dead, and no longer."""
    one.subject.probe_answer = ProbeAnswer.HAPPENED
    two = one.executor("two")
    assert await two.settle_expired(one.subject) == []
    one.clock.advance(LEASE_SECONDS)
    assert await two.settle_expired(one.subject) == [target]
    assert await one.status(target) is ActionStatus.COMPLETED


@pytest.mark.parametrize("back_seconds", [HOUR, 2 * LEASE_SECONDS])
async def test_the_work_of_a_dead_owner_is_settled_within_a_lease_although_time_was_set_back(
    tmp_path: Path, back_seconds: float
) -> None:
    """Its lease would end in an hour, and nobody would settle its work before."""
    clock = SettableClock()
    async with bench(tmp_path, clock=clock) as one:
        target = await one.validated()
        await one.executions.claim(target, one.terms("dead"))
        clock.set_back(back_seconds)
        await assert_settled_within_a_lease(one, target)
        assert "owner_found_dead" in await one.events()


@pytest.mark.parametrize("by_kill", [False, True])
async def test_a_request_to_stop_does_not_make_a_lease_longer_that_was_written_ahead(
    tmp_path: Path, by_kill: bool
) -> None:
    """Its length was told by when its row was written, and a kill had written that anew."""
    clock = SettableClock()
    async with bench(tmp_path, clock=clock) as one:
        target = await one.validated()
        await one.executions.claim(target, one.terms("dead"))
        clock.set_back(HOUR)
        if by_kill:
            await one.control.kill(actor="ann", reason="r")
        else:
            await one.db.request_cancel(target, cancelled_by="ann")
        await assert_settled_within_a_lease(one, target)


async def test_a_lease_that_is_renewed_is_not_outwaited(tmp_path: Path) -> None:
    clock = ManualClock()
    async with bench(tmp_path, clock=clock) as one:
        target = await one.validated()
        attempt = await one.executions.claim(target, one.terms("alive"))
        sense = LeaseSense(clock, LEASE_SECONDS)
        for _ in range(5):
            assert sense.outwaited([Leased(await one.get(target), LEASE_SECONDS)]) == []
            clock.advance(LEASE_SECONDS / 2)
            assert await one.executions.renew(attempt, LEASE_SECONDS)
        assert sense.outwaited([Leased(await one.get(target), LEASE_SECONDS)]) == []
        clock.advance(LEASE_SECONDS)
        (over,) = sense.outwaited([Leased(await one.get(target), LEASE_SECONDS)])
        assert over.proposal.id == target


async def test_a_schedule_goes_on_where_time_was_set_back_over_a_run(tmp_path: Path) -> None:
    """Enabled anew, it is due at a time that it ran at: that run is left out, the next is not."""
    clock = SettableClock()
    async with bench(tmp_path, clock=clock) as one:
        schedules = ScheduleDB(one.ledger)
        await schedules.create(EACH_MINUTE, actor="me")
        clock.advance(60)
        assert len(await schedules.fire_due()) == 1
        clock.set_back(60)
        await schedules.disable("m", actor="me")
        await schedules.enable("m", actor="me")
        clock.advance(60)
        assert await schedules.fire_due() == []
        clock.advance(60)
        assert len(await schedules.fire_due()) == 1


def test_a_clock_needs_no_more_than_the_time_and_sleep() -> None:
    plain: Clock = ManualClock()
    assert not hasattr(plain, "steady_seconds")
    assert Stopwatch(plain).seconds() == pytest.approx(0, abs=0.5)

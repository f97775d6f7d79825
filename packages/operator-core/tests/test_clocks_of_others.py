"""Processes of one machine whose clocks differ do not take each other's work (ADR 53)."""

import os
from pathlib import Path

import pytest

from engine_bench import LEASE_SECONDS, bench
from operator_core.actions import lease_sense
from operator_core.actions.types import ActionStatus
from operator_core.owner import Process, Sighting, is_living, name_of
from operator_core.process import is_living as is_living_here
from operator_core.process import look_for, new_owner, this_process
from operator_core.subject import ProbeAnswer
from operator_core.testing.clock import ManualClock
from settable_clocks import WallClock

HOUR = 3_600.0
HERE = Process("host", 7, 70, "place")
OTHER = Process("host", 8, 80, "place")


def another_process() -> str:
    """Return the name of an owner in another process of this machine, which is there."""
    here, pid = this_process(), os.getppid()
    started_ticks = look_for(pid).started_ticks
    assert here is not None
    assert started_ticks is not None
    return name_of(here._replace(pid=pid, started_ticks=started_ticks), "a")


@pytest.mark.parametrize(
    ("process", "sighting", "lives"),
    [
        (OTHER, Sighting(there=True, started_ticks=80), True),
        (OTHER, Sighting(there=True, started_ticks=81), False),
        (OTHER, Sighting(there=True, started_ticks=80, ended=True), False),
        (OTHER, Sighting(there=True), False),
        (OTHER, Sighting(there=None), False),
        (OTHER, Sighting(there=False), False),
        (OTHER._replace(host="elsewhere"), Sighting(there=True, started_ticks=80), False),
        (OTHER._replace(place="before the boot"), Sighting(there=True, started_ticks=80), False),
        (HERE, Sighting(there=True, started_ticks=70), False),
    ],
)
def test_who_surely_lives(process: Process, sighting: Sighting, *, lives: bool) -> None:
    assert is_living(process, HERE, sighting) is lives


def test_who_lives_on_this_machine() -> None:
    assert is_living_here(another_process())
    assert not is_living_here(new_owner())  # in this process its own clock says what is over
    assert not is_living_here("one")


async def test_a_process_with_a_clock_ahead_leaves_living_owners_their_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would ask for effects that are still on their way, and have them made again."""
    machine = WallClock()
    monkeypatch.setattr(lease_sense, "SYSTEM_CLOCK", machine)
    async with bench(tmp_path, clock=ManualClock()) as one:
        one.subject.probe_answer = ProbeAnswer.NOT_HAPPENED
        target = await one.validated()
        attempt = await one.executions.claim(target, one.terms(another_process()))
        ahead = one.executor("two", ledger=one.ledger.told_by(ManualClock(one.in_seconds(HOUR))))
        for _ in range(4):
            assert await ahead.settle_expired(one.subject) == []
            machine.passed_seconds += LEASE_SECONDS / 2
            one.clock.advance(LEASE_SECONDS / 2)
            assert await one.executions.renew(attempt, LEASE_SECONDS)
        assert await ahead.settle_expired(one.subject) == []
        assert one.subject.probes == []
        machine.passed_seconds += LEASE_SECONDS
        assert await ahead.settle_expired(one.subject) == [target]
        assert await one.status(target) is ActionStatus.FAILED


async def test_a_process_that_stands_still_is_waited_for_one_lease_and_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who has seen the lease from its beginning waits no longer than it holds."""
    machine = WallClock()
    monkeypatch.setattr(lease_sense, "SYSTEM_CLOCK", machine)
    async with bench(tmp_path, clock=ManualClock()) as one:
        one.subject.probe_answer = ProbeAnswer.HAPPENED
        target = await one.validated()
        await one.executions.claim(target, one.terms(another_process()))
        two = one.executor("two")
        assert await two.settle_expired(one.subject) == []
        machine.passed_seconds += LEASE_SECONDS
        one.clock.advance(LEASE_SECONDS)
        assert await two.settle_expired(one.subject) == [target]
        assert await one.status(target) is ActionStatus.COMPLETED

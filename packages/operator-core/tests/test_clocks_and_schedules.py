"""Schedules that a clock which was ahead for a while has moved on (ADR 53)."""

from datetime import datetime, timedelta
from pathlib import Path

from engine_bench import bench
from operator_core.actions.schedule_sense import ScheduleSense
from operator_core.actions.types import Schedule
from operator_core.clock import to_text
from operator_core.db.schedules import ScheduleDB
from operator_core.testing.clock import START, ManualClock
from settable_clocks import EACH_MINUTE, SettableClock

HOUR, MINUTE = 3_600.0, 60.0


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def standing(seconds: float) -> Schedule:
    """Return the schedule as it stands at a moment."""
    return EACH_MINUTE.model_copy(update={"next_due_at": at(seconds)})


def test_what_stands_later_than_its_rule_says_is_due_when_its_rule_says() -> None:
    sense = ScheduleSense()
    assert sense.standing([standing(5 * HOUR)], at(10)) == []
    assert sense.standing([standing(5 * HOUR)], at(59)) == []
    ((_, due),) = sense.standing([standing(5 * HOUR)], at(61))
    assert due == at(MINUTE)


def test_what_others_move_on_is_left_to_them() -> None:
    sense = ScheduleSense()
    for minute in range(5):
        stands = standing(5 * HOUR + minute * MINUTE)
        assert sense.standing([stands], at(minute * MINUTE + 1)) == []


def test_what_stands_as_its_rule_says_is_never_early() -> None:
    sense = ScheduleSense()
    for second in range(0, 60, 7):
        assert sense.standing([standing(MINUTE)], at(second)) == []


def test_the_rule_is_asked_anew_where_the_time_of_day_was_set_back() -> None:
    sense = ScheduleSense()
    assert sense.standing([standing(5 * HOUR)], at(5 * HOUR - 30)) == []
    assert sense.standing([standing(5 * HOUR)], at(10)) == []
    assert len(sense.standing([standing(5 * HOUR)], at(70))) == 1


def test_a_rule_that_is_not_known_here_is_nobodys_hurry() -> None:
    strange = standing(5 * HOUR).model_copy(update={"time_zone": "Atlantis"})
    sense = ScheduleSense()
    assert sense.standing([strange], at(10)) == sense.standing([strange], at(70)) == []


async def test_a_schedule_goes_on_where_a_clock_was_ahead_for_a_while(tmp_path: Path) -> None:
    """It would say nothing for five hours; and no run takes place twice."""
    clock = SettableClock()
    async with bench(tmp_path, clock=clock) as one:
        await ScheduleDB(one.ledger).create(EACH_MINUTE, actor="me")
        clock.advance(5 * HOUR)
        assert len(await ScheduleDB(one.ledger).fire_due()) == 1
        clock.set_back(5 * HOUR)
        schedules = ScheduleDB(one.ledger)  # as after a restart
        assert await schedules.fire_due() == []
        clock.advance(MINUTE)
        assert await schedules.fire_due() == []  # that run was proposed under the clock ahead
        clock.advance(MINUTE)
        (made,) = await schedules.fire_due()
        assert made.schedule_due_at == at(2 * MINUTE)
        assert (await schedules.get("m")).next_due_at == at(3 * MINUTE)


async def test_a_process_with_a_clock_ahead_keeps_its_schedule(tmp_path: Path) -> None:
    """Two clocks, one ledger: who fires it goes on, the other one adds nothing."""
    clock = ManualClock()
    async with bench(tmp_path, clock=clock) as one:
        ahead = ManualClock(at(5 * HOUR))
        there = ScheduleDB(one.ledger.told_by(ahead))
        here = ScheduleDB(one.ledger)
        await there.create(EACH_MINUTE, actor="me")
        for _ in range(4):
            clock.advance(MINUTE)
            ahead.advance(MINUTE)
            assert len(await there.fire_due()) == 1
            assert await here.fire_due() == []
        assert to_text(clock.now()) < to_text(ahead.now())

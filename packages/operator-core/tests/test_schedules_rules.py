"""When a schedule is due: days and hours, summer time, missed runs."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operator_core.actions.schedule import GRACE_SECONDS, Rule, Run, rule_faults, run_of
from operator_core.actions.types import MissedPolicy
from operator_core.errors import RequestError

BERLIN = ZoneInfo("Europe/Berlin")
RUN_ONCE, SKIP = MissedPolicy.RUN_ONCE, MissedPolicy.SKIP


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def runs(cron: str, zone: str, after: str, count: int) -> list[str]:
    """Return the next due times in UTC."""
    rule, moment, found = Rule(cron, zone), utc(after), []
    for _ in range(count):
        moment = rule.next_after(moment)
        found.append(f"{moment:%Y-%m-%d %H:%M}")
    return found


@pytest.mark.parametrize(
    ("cron", "expected"),
    [
        ("0 3 * * *", ["2031-05-05 03:00", "2031-05-06 03:00"]),
        ("*/20 * * * *", ["2031-05-04 12:20", "2031-05-04 12:40"]),
        ("0 0 1 * *", ["2031-06-01 00:00", "2031-07-01 00:00"]),
        ("30 9 * * MON-FRI", ["2031-05-05 09:30", "2031-05-06 09:30"]),
        ("0 0 L * *", ["2031-05-31 00:00", "2031-06-30 00:00"]),
        ("0 0 29 2 *", ["2032-02-29 00:00", "2036-02-29 00:00"]),
    ],
)
def test_due_times_in_utc(cron: str, expected: list[str]) -> None:
    assert runs(cron, "UTC", "2031-05-04T12:00:00", 2) == expected


def test_due_is_strictly_after() -> None:
    rule = Rule("0 3 * * *", "UTC")
    assert rule.next_after(utc("2031-05-04T03:00:00")) == utc("2031-05-05T03:00:00")
    assert rule.next_after(utc("2031-05-04T02:59:59.999999")) == utc("2031-05-04T03:00:00")


def test_times_are_those_of_the_zone() -> None:
    assert runs("0 3 * * *", "Europe/Berlin", "2031-01-04T12:00:00", 1) == ["2031-01-05 02:00"]
    assert runs("0 3 * * *", "Europe/Berlin", "2031-07-04T12:00:00", 1) == ["2031-07-05 01:00"]
    assert runs("0 3 * * *", "Asia/Kolkata", "2031-07-04T12:00:00", 1) == ["2031-07-04 21:30"]


def test_a_time_that_is_skipped_in_spring_runs_right_after_the_gap() -> None:
    """On 30 March 2031 the clocks in Berlin go from 2:00 to 3:00."""
    found = runs("30 2 * * *", "Europe/Berlin", "2031-03-29T00:00:00", 3)
    assert found == ["2031-03-29 01:30", "2031-03-30 01:00", "2031-03-31 00:30"]


def test_a_time_that_comes_twice_in_autumn_runs_once() -> None:
    """On 26 October 2031 the clocks in Berlin go from 3:00 back to 2:00."""
    found = runs("30 2 * * *", "Europe/Berlin", "2031-10-25T12:00:00", 2)
    assert found == ["2031-10-26 00:30", "2031-10-27 01:30"]


def test_in_the_second_of_two_equal_hours_nothing_of_the_first_is_due_again() -> None:
    """2:10 for the second time: 2:30 of the first time has been."""
    assert runs("30 2 * * *", "Europe/Berlin", "2031-10-26T01:10:00", 1) == ["2031-10-27 01:30"]


def test_what_is_due_by_the_minute_follows_the_time_that_passes() -> None:
    autumn = runs("*/30 * * * *", "Europe/Berlin", "2031-10-25T23:59:00", 6)
    assert autumn == [f"2031-10-26 {hour:02}:{m:02}" for hour in range(3) for m in (0, 30)]
    spring = runs("*/30 * * * *", "Europe/Berlin", "2031-03-29T23:59:00", 4)
    assert spring == [f"2031-03-30 {hour:02}:{m:02}" for hour in range(2) for m in (0, 30)]


@pytest.mark.parametrize(
    ("cron", "zone", "words"),
    [
        ("", "UTC", ["has 0 fields"]),
        ("* * * *", "UTC", ["has 4 fields"]),
        ("0 * * * * *", "UTC", ["has 6 fields"]),
        ("@daily", "UTC", ["has 1 fields"]),
        ("61 * * * *", "UTC", ["minute: '61'"]),
        ("61 25 32 13 9", "UTC", ["minute", "hour", "day of month", "month", "day of week"]),
        ("*/0 * * * *", "UTC", ["minute"]),
        ("5-1 * * * *", "UTC", ["minute"]),
        ("* * * * MON#1/2", "UTC", ["day of week"]),
        ("9" * 5_000 + " * * * *", "UTC", ["minute"]),
        ("0 0 30 2 *", "UTC", ["never due"]),
        ("0 0 * * *", "Mars/Olympus", ["time zone 'Mars/Olympus'"]),
        ("0 0 * * *", "", ["time zone"]),
        ("0 0 * * *", "../etc/passwd", ["time zone"]),
        ("0 0 * * *", "/etc/passwd", ["time zone"]),
        ("0 0 * * *", "Europe", ["time zone"]),
        ("0 0 * * *", "localtime", ["time zone"]),
        ("0 0 * * *", "a\0b", ["time zone"]),
        ("x * * * *", "y", ["minute", "time zone"]),
    ],
)
def test_a_rule_that_cannot_be_used_tells_all_its_faults(
    cron: str, zone: str, words: list[str]
) -> None:
    with pytest.raises(RequestError) as raised:
        Rule(cron, zone).next_after(utc("2031-05-04T00:00:00"))
    assert all(word in str(raised.value) for word in words), raised.value


def test_a_day_that_never_comes_is_a_fault() -> None:
    with pytest.raises(RequestError, match="never due"):
        Rule("0 0 */31 * SAT#2", "UTC").next_after(utc("2031-05-04T00:00:00"))


@given(st.text(max_size=30), st.text(max_size=12))
def test_any_text_is_a_rule_or_a_fault(cron: str, zone: str) -> None:
    try:
        Rule(cron, zone).next_after(utc("2031-05-04T00:00:00"))
    except RequestError:
        return
    assert rule_faults(Rule(cron, zone)) == []


PLAIN = st.sampled_from(["*", "*/15", "0", "30", "5,35", "10-20"])
HOURS = st.sampled_from(["*", "*/6", "2", "3", "1-3", "0,23"])
DAYS = st.sampled_from(["*", "1", "15", "31", "L"])
WEEKDAYS = st.sampled_from(["*", "SUN", "1-5"])
RULES = st.builds(
    lambda m, h, d, w, zone: Rule(f"{m} {h} {d} * {w}", zone),
    PLAIN,
    HOURS,
    DAYS,
    WEEKDAYS,
    st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"]),
)
MOMENTS = st.timedeltas(timedelta(), timedelta(days=3_652)).map(
    lambda passed: datetime(2025, 1, 1, tzinfo=UTC) + passed
)


@given(RULES, MOMENTS)
def test_the_next_due_time_lies_ahead_and_none_lies_between(rule: Rule, moment: datetime) -> None:
    due = rule.next_after(moment)
    assert due > moment
    assert due.second == due.microsecond == 0
    middle = moment + (due - moment) / 2
    assert rule.next_after(middle) == due


# --- missed runs -------------------------------------------------------------------------

HOURLY = Rule("0 * * * *", "UTC")
NOON = utc("2031-05-04T12:00:00")


@pytest.mark.parametrize("policy", MissedPolicy)
@pytest.mark.parametrize("seconds", [0, 1, GRACE_SECONDS])
def test_what_is_on_time_runs(policy: MissedPolicy, seconds: float) -> None:
    run = run_of(HOURLY, policy, NOON, NOON + timedelta(seconds=seconds))
    assert run == Run(NOON, NOON + timedelta(hours=1), late=False)


def test_run_once_makes_up_for_all_that_was_missed() -> None:
    now = NOON + timedelta(hours=50, minutes=5)
    assert run_of(HOURLY, RUN_ONCE, NOON, now) == Run(NOON, NOON + timedelta(hours=51), late=True)


def test_skip_leaves_out_what_is_more_than_a_minute_late() -> None:
    now = NOON + timedelta(seconds=GRACE_SECONDS + 1)
    assert run_of(HOURLY, SKIP, NOON, now) == Run(None, NOON + timedelta(hours=1))
    much_later = NOON + timedelta(days=400, minutes=5)
    run = run_of(HOURLY, SKIP, NOON, much_later)
    assert run == Run(None, NOON + timedelta(days=400, hours=1))


def test_skip_runs_what_is_on_time_although_others_were_missed() -> None:
    on_time = NOON + timedelta(hours=7)
    run = run_of(HOURLY, SKIP, NOON, on_time + timedelta(seconds=3))
    assert run == Run(on_time, on_time + timedelta(hours=1))


@given(RULES, MOMENTS, st.integers(0, 10**7), st.sampled_from(MissedPolicy))
def test_a_run_moves_on_past_now(
    rule: Rule, start: datetime, late_seconds: int, policy: MissedPolicy
) -> None:
    due = rule.next_after(start)
    now = due + timedelta(seconds=late_seconds)
    run = run_of(rule, policy, due, now)
    assert run.next_due > now
    assert run.due is None or due <= run.due <= now
    if policy is SKIP and run.due is not None:
        assert now - run.due <= timedelta(seconds=GRACE_SECONDS)
    if policy is RUN_ONCE:
        assert run.due == due

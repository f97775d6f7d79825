"""Which looks are kept, as pure rules: whole round incidents, thinned between, the oldest first."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operator_core.monitor.retention import (
    GIVES_WAY,
    KeptAs,
    Retention,
    SeenAt,
    Thinned,
    Window,
    giving_way,
    thin,
)

START = datetime(2026, 1, 1, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def seen(*seconds: float) -> list[SeenAt]:
    return [SeenAt(number, at(second)) for number, second in enumerate(seconds, start=1)]


def test_of_each_minute_the_first_look_is_left() -> None:
    found = thin(seen(0, 5, 59, 60, 61, 130), [], 60)
    assert found == Thinned(dropped=[2, 3, 5], left=[1, 4, 6])


def test_a_minute_of_which_one_is_left_already_needs_no_other() -> None:
    assert thin(seen(30, 61), [], 60, last=at(10)) == Thinned(dropped=[1], left=[2])


def test_round_an_incident_all_are_kept_whole() -> None:
    windows = [Window(at(10), at(20)), Window(at(100))]
    found = thin(seen(0, 9, 10, 15, 20, 21, 99, 100, 101), windows, 60)
    assert found == Thinned(dropped=[2, 6], incident=[3, 4, 5, 8, 9], left=[1, 7])


def test_the_oldest_give_way_and_no_more_than_needed() -> None:
    sizes = [(7, 10), (8, 10), (9, 10)]
    assert giving_way(sizes, 0) == []
    assert giving_way(sizes, 1) == [7]
    assert giving_way(sizes, 11) == [7, 8]
    assert giving_way(sizes, 99) == [7, 8, 9]


def test_evidence_never_gives_way_and_what_is_young_does_last() -> None:
    assert set(KeptAs) - set(GIVES_WAY) == {KeptAs.EVIDENCE}
    assert GIVES_WAY[-2:] == (KeptAs.INCIDENT, KeptAs.FRESH)


@pytest.mark.parametrize("around", [1.0, 1800.0, 7200.0])
def test_what_was_before_an_incident_is_still_whole_when_it_begins(around: float) -> None:
    minute, hour = Retention(around_seconds=around).steps
    assert minute.after_seconds >= max(around, 3600)
    assert hour.after_seconds > minute.after_seconds
    assert (minute.to, hour.of) == (KeptAs.MINUTE, KeptAs.MINUTE)


moments = st.lists(st.integers(0, 4000), max_size=80).map(lambda found: seen(*sorted(found)))
spans = st.lists(
    st.tuples(st.integers(0, 4000), st.none() | st.integers(0, 600)).map(
        lambda span: Window(at(span[0]), None if span[1] is None else at(span[0] + span[1]))
    ),
    max_size=3,
)
sizes = st.lists(st.tuples(st.integers(), st.integers(1, 50)), max_size=20)


@given(looks=moments, windows=spans, every=st.sampled_from([1.0, 60.0, 3600.0]))
def test_each_look_meets_one_end_and_a_stretch_keeps_one(
    looks: list[SeenAt], windows: list[Window], every: float
) -> None:
    found = thin(looks, windows, every)
    ends = [*found.dropped, *found.incident, *found.left]
    assert sorted(ends) == [look.id for look in looks]
    times = {look.id: look.at for look in looks}
    for look in looks:
        assert any(window.holds(look.at) for window in windows) == (look.id in found.incident)
    stretches = [int(times[one].timestamp() // every) for one in found.left]
    assert stretches == sorted(set(stretches))
    assert {int(times[one].timestamp() // every) for one in found.dropped} <= set(stretches)


@given(looks=moments, windows=spans, cut=st.integers(0, 80))
def test_it_makes_no_difference_in_how_many_pieces_it_is_done(
    looks: list[SeenAt], windows: list[Window], cut: int
) -> None:
    whole = thin(looks, windows, 60)
    first = thin(looks[:cut], windows, 60)
    last = max((look.at for look in looks if look.id in first.left), default=None)
    second = thin(looks[cut:], windows, 60, last)
    for name in ("dropped", "incident", "left"):
        assert getattr(first, name) + getattr(second, name) == getattr(whole, name)


@given(oldest=sizes, excess=st.integers(-10, 500))
def test_what_gives_way_is_just_enough(oldest: Sequence[tuple[int, int]], excess: int) -> None:
    given_way = giving_way(oldest, excess)
    assert given_way == [look for look, _ in oldest[: len(given_way)]]
    freed = [size for _, size in oldest[: len(given_way)]]
    assert sum(freed) >= excess or len(given_way) == len(oldest)
    assert not freed or sum(freed[:-1]) < excess


def test_windows_that_overlap_are_as_good_as_one() -> None:
    looks = seen(*range(0, 300, 7))
    parts = [Window(at(a), at(b)) for a, b in pairwise((30, 90, 200))]
    assert thin(looks, parts, 60) == thin(looks, [Window(at(30), at(200))], 60)

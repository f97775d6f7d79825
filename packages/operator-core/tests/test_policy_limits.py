"""Rate limits, cooldowns, breakers and freezes, from a history of attempts."""

from datetime import timedelta
from typing import Any

import pytest

from operator_core.actions.policy import load
from operator_core.actions.policy.limits import (
    cooling,
    frozen,
    missed,
    over_limit,
    tripped,
    watched,
)
from operator_core.actions.policy.request import PolicyRequest
from operator_core.actions.policy.words import Breaker, Cooldown
from operator_core.errors import LimitError, NotReadyError, PolicyDeniedError
from policy_kit import NOON, asked

HOUR = timedelta(hours=1)


def past(*ages_minutes: float, **changes: Any) -> list[PolicyRequest]:  # noqa: ANN401 - any field
    """Return attempts of some ages."""
    return [asked(**changes).at(NOON - timedelta(minutes=age)) for age in ages_minutes]


COUNTED: list[tuple[str, list[PolicyRequest], bool]] = [
    ("count = 2", [], False),
    ("count = 2", past(1), False),
    ("count = 2", past(1, 59), True),
    ("count = 2", past(1, 60), False),
    ("count = 2", past(1, 2, subject="other"), False),
    ('count = 2\nper = "ledger"', past(1, 2, subject="other"), True),
    ('count = 2\nper = "target"', past(1, 2, target="id=2"), False),
    ("count = 2", past(1, 2, target="id=2"), True),
    ('count = 2\nmatch = { tags = "movement" }', past(1, 2), False),
    ('count = 2\nmatch = { tags = "movement" }', past(1, 2, tags=["movement"]), True),
]


@pytest.mark.parametrize(("text", "attempts", "over"), COUNTED)
def test_a_limit_counts_what_it_matches(
    text: str, attempts: list[PolicyRequest], *, over: bool
) -> None:
    request = asked(tags=["movement"], target="id=1")
    loaded = load(f'[[limit]]\nname = "l"\nper_seconds = 3600\n{text}')
    ((limit, test),) = watched(loaded, request).limits
    refused = over_limit(limit, test, request, attempts)
    assert isinstance(refused, LimitError) is over


def test_a_limit_of_none_allows_none() -> None:
    loaded = load('[[limit]]\nname = "l"\nper_seconds = 1\ncount = 0')
    ((limit, test),) = watched(loaded, asked()).limits
    assert isinstance(over_limit(limit, test, asked(), []), PolicyDeniedError)


def test_a_limit_concerns_what_it_matches_only() -> None:
    text = '[[limit]]\nname = "l"\nper_seconds = 1\ncount = 1\nmatch = { action = "other" }'
    assert watched(load(text), asked()).limits == ()


@pytest.mark.parametrize(
    ("age", "cool"), [(None, True), (timedelta(minutes=59), False), (HOUR, True)]
)
def test_a_target_cools_down(age: timedelta | None, *, cool: bool) -> None:
    rest = Cooldown(name="c", seconds=3600)
    last = None if age is None else NOON - age
    assert (cooling(rest, last, NOON) is None) is cool


@pytest.mark.parametrize(
    ("helped", "open_"),
    [
        ([], False),
        ([False, False], False),
        ([False, False, False], True),
        ([False, False, True, False], False),
        ([True, False, False, False], False),
        ([False, False, False, True], True),
    ],
)
def test_a_breaker_trips_on_failures_in_a_row(helped: list[bool], *, open_: bool) -> None:
    assert (tripped(Breaker(name="b", tries=3), helped) is not None) is open_


def test_the_strictest_breaker_and_the_longest_cooldown_hold() -> None:
    text = "".join(
        f'[[breaker]]\nname = "b{n}"\ntries = {n}\n[[cooldown]]\nname = "c{n}"\nseconds = {n}\n'
        for n in (2, 1, 3)
    )
    concerned = watched(load(text), asked())
    assert concerned.breaker is not None
    assert concerned.cooldown is not None
    assert (concerned.breaker.tries, concerned.cooldown.seconds) == (1, 3)


SPAN = '[[freeze]]\nname = "f"\nstarts = 2026-03-04T11:00:00Z\nends = 2026-03-04T13:00:00Z\n'
FREEZES: list[tuple[str, float, bool]] = [
    (SPAN, 0, True),
    (SPAN, -1, True),
    (SPAN, -1.01, False),
    (SPAN, 1, False),
    (SPAN + 'match = { tags_none = "read-only" }', 0, True),
    (SPAN + 'match = { action = "other" }', 0, False),
    ('[[freeze]]\nname = "f"\nhours = { from = "11:00", until = "13:00" }', 0, True),
    ('[[freeze]]\nname = "f"\nhours = { from = "13:00", until = "11:00" }', 0, False),
]


@pytest.mark.parametrize(("text", "hours", "holds"), FREEZES)
def test_a_freeze_holds_in_its_time(text: str, hours: float, *, holds: bool) -> None:
    refused = frozen(load(text), asked().at(NOON + timedelta(hours=hours)))
    assert isinstance(refused, NotReadyError) is holds


def test_what_was_due_in_a_freeze_does_not_slip_in_afterwards() -> None:
    loaded, later = load(SPAN), asked().at(NOON + 2 * HOUR)
    assert frozen(loaded, later) is None
    assert "inside freeze 'f'" in missed(loaded, later, NOON)
    assert missed(loaded, later, NOON + HOUR) == ""
    assert missed(loaded, later, None) == ""

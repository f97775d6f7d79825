"""Backoff: clamped, within its cap, in the caller's own kind of time."""

import random
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operator_core.actions.retry import RetryConfig
from operator_core.errors import ConfigurationError

STEADY = RetryConfig(jitter_fraction=0.0)
NOON = datetime(2025, 1, 1, 12, tzinfo=UTC)


def test_the_defaults_are_those_of_the_mission() -> None:
    config = RetryConfig()
    assert (config.max_attempts, config.min_wait_seconds, config.max_wait_seconds) == (3, 1.0, 60.0)
    assert (config.exponential_base, config.jitter_fraction) == (2.0, 0.5)


@pytest.mark.parametrize(
    ("attempt", "seconds"), [(0, 1), (1, 2), (2, 4), (5, 32), (6, 60), (7, 60), (10_000, 60)]
)
def test_the_delay_doubles_up_to_its_cap(attempt: int, seconds: float) -> None:
    assert STEADY.delay_seconds(attempt) == seconds


def test_pitfall_21_the_first_delay_is_the_shortest() -> None:
    assert STEADY.calculate_next_retry(0, NOON) == NOON + timedelta(seconds=1)


def test_pitfall_21_jitter_stays_under_the_cap() -> None:
    config = RetryConfig(jitter_fraction=0.5, rng=random.Random(1))
    assert max(config.delay_seconds(20) for _ in range(100)) == 60


@pytest.mark.parametrize("attempt", [1024, 10**6, 10**18])
def test_pitfall_21_a_large_attempt_does_not_overflow(attempt: int) -> None:
    assert STEADY.delay_seconds(attempt) == 60
    assert RetryConfig(min_wait_seconds=0.0, jitter_fraction=0).delay_seconds(attempt) == 0


def test_a_negative_attempt_counts_as_the_first() -> None:
    assert STEADY.delay_seconds(-5) == 1


@given(
    st.integers(0, 3000),
    st.floats(0, 100),
    st.floats(0, 1000),
    st.floats(1, 10),
    st.floats(0, 5),
    st.integers(),
)
def test_every_delay_is_within_its_bounds(
    attempt: int, low: float, more: float, base: float, jitter: float, seed: int
) -> None:
    config = RetryConfig(3, low, low + more, base, jitter, random.Random(seed))
    assert min(low, low + more) <= config.delay_seconds(attempt) <= low + more


def test_jitter_comes_from_the_injected_source_only() -> None:
    delays = [RetryConfig(rng=random.Random(7)).delay_seconds(3) for _ in range(2)]
    assert delays[0] == delays[1]
    assert 8 <= delays[0] <= 12


def test_configs_are_compared_by_their_settings() -> None:
    assert RetryConfig(rng=random.Random(1)) == RetryConfig(rng=random.Random(2))


@pytest.mark.parametrize("zone", [UTC, timezone(timedelta(hours=-8))])
def test_an_aware_now_gets_an_aware_answer_in_its_zone(zone: timezone) -> None:
    due = STEADY.calculate_next_retry(1, NOON.astimezone(zone))
    assert due == NOON + timedelta(seconds=2)
    assert due.tzinfo is zone


def test_without_a_now_the_answer_can_be_compared_with_naive_local_time() -> None:
    before = datetime.now()  # noqa: DTZ005 - what the mission's own snippet does
    due = STEADY.calculate_next_retry(attempt=0)
    assert due.tzinfo is None
    assert timedelta(seconds=1) <= due - before < timedelta(seconds=31)


@pytest.mark.parametrize(
    ("count", "own_limit", "again"),
    [
        (0, None, True),
        (2, None, True),
        (3, None, False),
        (0, 0, False),
        (1, 1, False),
        (1, 2, True),
        (2, 3, True),
        (3, 3, False),
        (2, 10, True),
        (3, 10, False),
    ],
)
def test_pitfalls_19_20_a_try_is_allowed_below_both_limits(
    count: int, own_limit: int | None, again: bool
) -> None:
    assert RetryConfig(max_attempts=3).should_retry(count, own_limit) is again


def test_the_jitter_of_what_is_named_can_be_reckoned_again_and_differs_from_others() -> None:
    waits = [RetryConfig().wait(2, 3, key) for key in ("7", "7", "8")]
    assert waits[0] == waits[1] != waits[2]
    assert all(wait is not None and 2.0 <= wait.seconds <= 3.0 for wait in waits)
    assert RetryConfig().wait(3, 3, "7") is None


def test_a_ceiling_of_zero_means_never() -> None:
    assert not RetryConfig(max_attempts=0).should_retry(0, 5)


@pytest.mark.parametrize(
    "settings",
    [
        {"min_wait_seconds": -1.0},
        {"min_wait_seconds": 61.0},
        {"max_wait_seconds": float("inf")},
        {"max_wait_seconds": float("nan")},
        {"min_wait_seconds": float("nan")},
        {"max_attempts": -1},
        {"jitter_fraction": -0.1},
        {"jitter_fraction": float("nan")},
        {"exponential_base": 0.5},
        {"exponential_base": float("inf")},
    ],
)
def test_settings_that_cannot_mean_anything_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(ConfigurationError):
        RetryConfig(**settings)  # type: ignore[arg-type]  # one setting of each kind

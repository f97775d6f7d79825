"""How long to wait before a failed action is tried again: exponential backoff with jitter."""

import math
import random
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

from operator_core.clock import local_now
from operator_core.errors import ConfigurationError

_NUMBERS = (
    "max_attempts",
    "min_wait_seconds",
    "max_wait_seconds",
    "exponential_base",
    "jitter_fraction",
)


class Wait(NamedTuple):
    """How long a failed action waits, and by which backoff: anybody can reckon it again."""

    seconds: float
    backoff: dict[str, float]


@dataclass
class RetryConfig:
    """Backoff between tries, and the ceiling over every proposal's own number of tries.

    Attributes:
        max_attempts: failures after which nothing is tried again, whatever a proposal says.
        min_wait_seconds: the delay before the first retry.
        max_wait_seconds: the longest delay, jitter included.
        exponential_base: growth of the delay from one retry to the next.
        jitter_fraction: share of the delay that is added at most, so that many actions
            that failed together are not retried together.
        rng: source of the jitter where no key is given.
    """

    max_attempts: int = 3
    min_wait_seconds: float = 1.0
    max_wait_seconds: float = 60.0
    exponential_base: float = 2.0
    jitter_fraction: float = 0.5
    rng: random.Random = field(default_factory=random.Random, compare=False, repr=False)

    def __post_init__(self) -> None:
        """Refuse settings that cannot mean anything.

        Raises:
            ConfigurationError: a number is negative, or the shortest wait is over the longest.
        """
        waits_in_order = 0 <= self.min_wait_seconds <= self.max_wait_seconds < float("inf")
        if not waits_in_order:
            raise ConfigurationError("retry waits must be finite, with 0 <= min_wait <= max_wait")
        finite = math.isfinite(self.jitter_fraction) and math.isfinite(self.exponential_base)
        negative = self.max_attempts < 0 or self.jitter_fraction < 0
        if negative or not finite or self.exponential_base < 1:
            raise ConfigurationError(
                "max_attempts and jitter_fraction must be finite and at least 0, exponential_base "
                "at least 1"
            )

    def delay_seconds(self, attempt: int, key: str = "") -> float:
        """Return the delay before a retry, jitter included.

        Args:
            attempt: the retry's number, 0 for the first.
            key: what is retried. Its jitter follows from it and the number, so that anybody can
                reckon it again; without a key it is drawn at random.
        """
        wait = self._backoff_seconds(max(attempt, 0))
        rng = random.Random(f"{key} {attempt}") if key else self.rng
        return min(self.max_wait_seconds, wait + rng.uniform(0.0, wait * self.jitter_fraction))

    def wait(self, failures: int, limit: int, key: str) -> Wait | None:
        """Return how long what has failed so often waits until it is tried again; None: for ever.

        Args:
            failures: how often it has failed, at least once.
            limit: its own number of tries.
            key: what is retried, see `delay_seconds`.
        """
        if not self.should_retry(failures, limit):
            return None
        numbers = {name: getattr(self, name) for name in _NUMBERS}
        return Wait(self.delay_seconds(failures - 1, key), numbers)

    def longest_seconds(self, attempt: int) -> float:
        """Return the longest delay that retry number ``attempt`` (0 for the first) may have."""
        wait = self._backoff_seconds(max(attempt, 0))
        return min(self.max_wait_seconds, wait * (1 + self.jitter_fraction))

    def _backoff_seconds(self, attempt: int) -> float:
        try:
            return min(
                self.max_wait_seconds, self.min_wait_seconds * self.exponential_base**attempt
            )
        except OverflowError:
            return self.max_wait_seconds if self.min_wait_seconds > 0 else 0.0

    def calculate_next_retry(self, attempt: int, now: datetime | None = None) -> datetime:
        """Return when retry number ``attempt`` (0 for the first) is due.

        Args:
            attempt: how many retries there were before.
            now: the present moment; the answer has its time zone. Without it the answer is
                naive local time, so that it can be compared with ``datetime.now()``.
        """
        return (now or local_now()) + timedelta(seconds=self.delay_seconds(attempt))

    def should_retry(self, retry_count: int, max_retries: int | None = None) -> bool:
        """Return whether another try is allowed after ``retry_count`` failures.

        Args:
            retry_count: failures so far.
            max_retries: the proposal's own limit; the config's ceiling stands over it.
        """
        limit = self.max_attempts if max_retries is None else min(max_retries, self.max_attempts)
        return retry_count < limit

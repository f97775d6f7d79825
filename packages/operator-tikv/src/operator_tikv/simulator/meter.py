"""Counters and histograms of one process: sums over time, monotonic until the process ends.

Between two settlements every figure grows at a fixed rate, so a store that does the same
for hours costs nothing, and reading changes nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Key = tuple[str, tuple[tuple[str, str], ...]]
"""The name of a metric and its labels."""

Rates = dict[Key, float]
"""How much each counter grows in a second."""

Spread = dict[Key, dict[float, float]]
"""For each histogram, how many observations of a value it takes in a second."""


def key(name: str, /, **labels: str) -> Key:
    """Name a series by its metric and its labels."""
    return name, tuple((label, value) for label, value in labels.items())


class Meter:
    """The counters and histograms of one process since its start."""

    def __init__(self) -> None:
        """Start at zero with nothing going on."""
        self._totals: Rates = {}
        self._seen: Spread = {}
        self._rates: Rates = {}
        self._spread: Spread = {}
        self._settled_seconds = 0.0

    def settle(self, now_seconds: float, rates: Rates, spread: Spread) -> None:
        """Add what has happened since the last time, and go on at new rates."""
        self._totals = dict(self.counters(now_seconds))
        self._seen = {name: dict(found) for name, found in self.histograms(now_seconds)}
        self._rates, self._spread = rates, spread
        self._settled_seconds = now_seconds

    def counters(self, now_seconds: float) -> Iterator[tuple[Key, float]]:
        """Each counter with its value now."""
        elapsed = max(0.0, now_seconds - self._settled_seconds)
        for name in self._totals | self._rates:
            grown = self._rates.get(name, 0.0) * elapsed
            yield name, self._totals.get(name, 0.0) + grown

    def histograms(self, now_seconds: float) -> Iterator[tuple[Key, Mapping[float, float]]]:
        """Each histogram with how often each value was observed."""
        elapsed = max(0.0, now_seconds - self._settled_seconds)
        for name in self._seen | self._spread:
            found = dict(self._seen.get(name, {}))
            for value, rate in self._spread.get(name, {}).items():
                found[value] = found.get(value, 0.0) + rate * elapsed
            yield name, found

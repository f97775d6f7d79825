"""From samples to figures: medians, spreads, and ratios of what was measured side by side."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median, quantiles

from benchmarks.model import Metrics

SamplesByKey = dict[str, list[Metrics]]

HIGHER_IS_BETTER = "per_second"


@dataclass(frozen=True)
class Figure:
    """A median with its spread over the rounds."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Figure":
        """Return the figure of some values, at least one."""
        return cls(median(values), min(values), max(values))


def figure(samples: SamplesByKey, key: str, metric: str) -> Figure | None:
    """Return a metric of a case over all rounds, if it was measured."""
    values = [one[metric] for one in samples.get(key, []) if metric in one]
    return Figure.of(values) if values else None


def ratio(
    samples: SamplesByKey, over: tuple[str, str], under: Sequence[tuple[str, str]]
) -> Figure | None:
    """Return one metric over the best of others, compared round by round.

    Args:
        samples: what was measured.
        over: case and metric above the line.
        under: cases and metrics below it, of which the highest counts.
    """
    above = _column(samples, over)
    below = [column for one in under if (column := _column(samples, one))]
    if not above or not below:
        return None
    pairs = zip(above, *below, strict=False)
    values = [first / max(rest) for first, *rest in pairs if max(rest) > 0]
    return Figure.of(values) if values else None


def _column(samples: SamplesByKey, where: tuple[str, str]) -> list[float]:
    key, metric = where
    return [one[metric] for one in samples.get(key, []) if metric in one]


def advantage(samples: SamplesByKey, ours: str, theirs: str, metric: str) -> Figure | None:
    """Return how many times better ours is: more a second, or less of anything else."""
    mine, other = (ours, metric), (theirs, metric)
    if metric.endswith(HIGHER_IS_BETTER):
        return ratio(samples, mine, [other])
    return ratio(samples, other, [mine])


def percentiles(seconds: Sequence[float]) -> Metrics:
    """Return the 50th and 99th percentile in milliseconds."""
    cuts = quantiles(seconds, n=100, method="inclusive")
    return {"p50_ms": cuts[49] * 1e3, "p99_ms": cuts[98] * 1e3}

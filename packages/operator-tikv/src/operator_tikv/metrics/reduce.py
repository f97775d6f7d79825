"""From pages of `/metrics` to readings: one page is reduced to a sample, two make rates."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from operator_tikv.metrics.exposition import labels_of, samples_of
from operator_tikv.metrics.signals import Join, Kind, Signal

RATE_SPAN_SECONDS: Final = 60.0
"""Rates go back at least so far once there is a sample that old."""

SHORTEST_SPAN_SECONDS: Final = 1.0

Reading = float | dict[str, float]
"""One number of a process, or one for each value of the label that is kept."""

_Key = tuple[str, float, str]
"""The kept label's value, the bucket's upper bound, and the series where each one counts."""

_Place = tuple[str, _Key, bool]
"""Where a series counts: the signal's name, the key, and whether as one instead of its value."""


@dataclass(frozen=True)
class Sample:
    """One page, reduced to what the signals need.

    Attributes:
        at: when it was read, in seconds of any clock that runs evenly.
        values: by signal, the sums of its series.
    """

    at: float
    values: Mapping[str, Mapping[_Key, float]]


@dataclass(frozen=True)
class Memory:
    """What is kept of one process between two looks.

    Attributes:
        base: the earlier sample that rates go back to.
        half: a sample half a span later, to which they go back next.
        latest: the last sample.
        counted: of signals that are counted, when something happened and how much, by signal.
    """

    base: Sample | None = None
    latest: Sample | None = None
    half: Sample | None = None
    counted: Mapping[str, tuple[tuple[float, float], ...]] = field(default_factory=dict)


def reduced(text: str, signals: Iterable[Signal], at: float) -> Sample:
    """Reduce a page.

    Args:
        text: the page.
        signals: what is wanted.
        at: when it was read, in seconds.

    Raises:
        PdAnswerError: a wanted line cannot be read.
    """
    values: dict[str, dict[_Key, float]] = {}
    wanted = _by_series(tuple(signals))
    for series, labels, value in samples_of(text, wanted):
        for name, key, is_one in _places(wanted[series], labels):
            sums = values.setdefault(name, {})
            sums[key] = sums.get(key, 0.0) + (1.0 if is_one else value)
    return Sample(at, values)


@lru_cache(maxsize=16)
def _by_series(signals: tuple[Signal, ...]) -> Mapping[str, tuple[Signal, ...]]:
    names = dict.fromkeys(signal.series for signal in signals)
    return {name: tuple(one for one in signals if one.series == name) for name in names}


@lru_cache(maxsize=1 << 15)
def _places(signals: tuple[Signal, ...], labels: str) -> Sequence[_Place]:
    """Return where a series counts; a page has the same ones at every look."""
    keys = [(signal, _key(signal, labels)) for signal in signals]
    return [(one.name, key, one.join is Join.COUNT) for one, key in keys if key is not None]


def _key(signal: Signal, text: str) -> _Key | None:
    """Return where a series counts by its labels as printed; None: not for this signal."""
    labels = labels_of(text)
    for label, pattern in signal.matches:
        if not _whole(pattern).fullmatch(labels.get(label, "")):
            return None
    kept = labels.get(signal.by, "") if signal.by else ""
    bound = _bound(labels.get("le", "")) if signal.kind is Kind.QUANTILE else 0.0
    if math.isnan(bound):
        return None
    # Where the largest series counts, each must be told from the others.
    series = repr(sorted(labels.items())) if signal.join is Join.MAX else ""
    return (kept, bound, series)


@lru_cache(maxsize=256)
def _whole(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


def remembered(memory: Memory, sample: Sample, signals: Sequence[Signal]) -> Memory:
    """Take a new sample into the memory of a process."""
    before = memory.latest
    if before is None:
        return Memory(None, sample, counted=memory.counted)
    counted = dict(memory.counted)
    is_other_process = False
    for signal in signals:
        amount = _happened(signal, signals, before, sample) if signal.is_counted else 0.0
        if amount > 0:
            recent = [one for one in counted.get(signal.name, ()) if sample.at - one[0] < _LONG_AGO]
            counted[signal.name] = (*recent, (sample.at, amount))
            is_other_process |= signal.kind is Kind.STARTS
    if is_other_process:
        return Memory(None, sample, counted=counted)
    base, half = _bases(memory, before, sample.at)
    return Memory(base, sample, half, counted)


def _bases(memory: Memory, before: Sample, now: float) -> tuple[Sample, Sample | None]:
    """Return what rates go back to, now and next: never less than half a span where that is known.

    What happens every fifteen seconds would have no rate, or a high one, between two close looks.
    """
    base, half = memory.base or before, memory.half
    if half is None and before.at - base.at >= RATE_SPAN_SECONDS / 2:
        half = before
    later = half or before
    if now - base.at <= RATE_SPAN_SECONDS or now - later.at < RATE_SPAN_SECONDS / 2:
        return base, half
    return later, None


_LONG_AGO: Final = 3600.0


def _happened(signal: Signal, signals: Sequence[Signal], before: Sample, after: Sample) -> float:
    """Return how much of what a signal counts happened between two looks."""
    if signal.kind is Kind.STARTS:
        return float(
            _differs(signal, before, after) and not _runs_on(signal, signals, before, after)
        )
    if signal.name not in after.values:
        return 0.0
    return sum(growth for growth in _grown(before, after, signal).values() if growth > 0)


def _differs(signal: Signal, before: Sample, after: Sample) -> bool:
    old, new = before.values.get(signal.name), after.values.get(signal.name)
    return old is not None and new is not None and old != new


def _runs_on(signal: Signal, signals: Sequence[Signal], before: Sample, after: Sample) -> bool:
    """Return whether a counter shows that the process is the same; without one it may be not."""
    names = [one.name for one in signals if one.metric == signal.counter]
    for name in names:
        old, new = before.values.get(name), after.values.get(name)
        if old is not None and new is not None:
            return sum(new.values()) >= sum(old.values())
    return False


def readings(memory: Memory, signals: Iterable[Signal]) -> dict[str, Reading]:
    """Return what a process says now; what it says nothing of is left out."""
    found: dict[str, Reading] = {}
    for signal in signals:
        by_label = _by_label(memory, signal)
        if signal.by is None and "" in by_label:
            found[signal.name] = by_label[""]
        elif signal.by is not None and by_label:
            found[signal.name] = by_label
    return found


def _by_label(memory: Memory, signal: Signal) -> dict[str, float]:
    latest = memory.latest
    if latest is None or signal.name not in latest.values:
        return {}
    if signal.is_counted:
        known = memory.counted.get(signal.name, ())
        recent = [much for at, much in known if latest.at - at < signal.window_seconds]
        return {"": float(sum(recent))}
    if signal.kind is Kind.VALUE:
        return _joined(signal, latest.values[signal.name])
    grown = _grown(memory.base, latest, signal)
    if signal.kind is Kind.QUANTILE:
        return _quantiles(grown, signal.quantile)
    return _joined(signal, grown)


def _grown(base: Sample | None, latest: Sample, signal: Signal) -> dict[_Key, float]:
    """Return the growth of each series, per second or scaled to the window."""
    if base is None or latest.at - base.at < SHORTEST_SPAN_SECONDS:
        return {}
    span = latest.at - base.at
    scale = {Kind.DELTA: signal.window_seconds, Kind.GROWTH: span}.get(signal.kind, 1.0) / span
    old = base.values.get(signal.name, {})
    found: dict[_Key, float] = {}
    for key, value in latest.values[signal.name].items():
        # A counter that is new began at 0; of a gauge that is new no change is known.
        if signal.kind is Kind.DELTA and key not in old:
            continue
        growth = value - old.get(key, 0.0)
        if signal.kind is not Kind.DELTA and growth < 0:
            growth = value  # the counter began anew
        found[key] = growth * scale
    return found


def _joined(signal: Signal, values: Mapping[_Key, float]) -> dict[str, float]:
    found: dict[str, float] = {}
    for (kept, _, _), value in values.items():
        if signal.join is Join.MAX:
            found[kept] = max(found.get(kept, -math.inf), value)
        else:
            found[kept] = found.get(kept, 0.0) + value
    return found


def _quantiles(grown: Mapping[_Key, float], quantile: float) -> dict[str, float]:
    buckets: dict[str, list[tuple[float, float]]] = {}
    for (kept, bound, _), count in grown.items():
        buckets.setdefault(kept, []).append((bound, count))
    found = {kept: histogram_quantile(quantile, sorted(some)) for kept, some in buckets.items()}
    return {kept: value for kept, value in found.items() if not math.isnan(value)}


def _bound(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def histogram_quantile(quantile: float, buckets: Sequence[tuple[float, float]]) -> float:
    """Return a quantile as Prometheus computes it; NaN where nothing was counted.

    Args:
        quantile: from 0 to 1.
        buckets: upper bound and count up to it, rising, the last bound infinite.
    """
    if len(buckets) < 2 or not math.isinf(buckets[-1][0]) or buckets[-1][1] <= 0:  # noqa: PLR2004
        return math.nan
    rank = quantile * buckets[-1][1]
    index = next(i for i, (_, count) in enumerate(buckets) if count >= rank)
    if index == len(buckets) - 1:
        return buckets[-2][0]
    upper, count = buckets[index]
    lower, before = buckets[index - 1] if index else (0.0, 0.0)
    if count <= before:
        return upper
    return lower + (upper - lower) * (rank - before) / (count - before)


def without_rates(memory: Memory) -> bool:
    """Return whether a process was looked at only once, so that no rate is known yet."""
    return memory.base is None

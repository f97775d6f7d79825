"""The text format of Prometheus: families with their types, samples, histograms with buckets."""

from __future__ import annotations

from bisect import bisect_left
from functools import lru_cache
from itertools import accumulate
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from operator_tikv.simulator.meter import Key, Meter

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
SECONDS: Final = tuple(0.0005 * 2**power for power in range(20))
TIKV_SECONDS: Final = tuple(0.00001 * 2**power for power in range(26))
LAG_ENTRIES: Final = (2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 5120.0, 10240.0)
SIZE_BYTES: Final = tuple(float(1 << power) for power in range(20, 40))
_SHARES: Final = ((1.0, 0.9), (2.0, 0.09), (4.0, 0.01))
"""Nine of ten observations are as said, the others two and four times as long."""
_MEAN_SHARE: Final = sum(factor * share for factor, share in _SHARES)


class Page:
    """One page of metrics, family by family."""

    def __init__(self) -> None:
        """Start empty."""
        self._families: dict[str, tuple[str, list[str]]] = {}

    def gauge(self, name: str, value: float, /, **labels: str) -> None:
        """Add a sample of a gauge."""
        self._add(name, "gauge", _label_text(tuple(labels.items())), value)

    def counter(self, name: str, value: float, /, **labels: str) -> None:
        """Add a sample of a counter."""
        self._add(name, "counter", _label_text(tuple(labels.items())), value)

    def histogram(self, key: Key, seen: Mapping[float, float], bounds: tuple[float, ...]) -> None:
        """Add a histogram.

        Args:
            key: name of the family and labels of the series.
            seen: how often each value was observed.
            bounds: upper bounds of the buckets, without the infinite one.
        """
        places = [0.0] * (len(bounds) + 1)
        for value, count in seen.items():
            for factor, share in _SHARES:
                places[bisect_left(bounds, value * factor)] += count * share
        sums = list(accumulate(places))
        heads = _heads(key, bounds)
        lines = self._family(key[0], "histogram")
        lines += [f"{head} {int(total)}" for head, total in zip(heads.buckets, sums, strict=True)]
        total_seen = sum(value * count for value, count in seen.items()) * _MEAN_SHARE
        lines += [f"{heads.total} {total_seen!r}", f"{heads.number} {int(sums[-1])}"]

    def meter(self, meter: Meter, now_seconds: float, bounds: tuple[float, ...]) -> None:
        """Add everything that a process has counted.

        Args:
            meter: its counters and histograms.
            now_seconds: the virtual time.
            bounds: of its histograms of seconds.
        """
        for (name, labels), value in meter.counters(now_seconds):
            whole = float(int(value)) if not name.endswith("seconds_total") else value
            self._add(name, "counter", _label_text(labels), whole)
        for key, seen in meter.histograms(now_seconds):
            self.histogram(key, seen, OTHER_BOUNDS.get(key[0], bounds))

    def text(self) -> str:
        """Print the page."""
        parts = [
            "\n".join([f"# TYPE {name} {kind}", *lines])
            for name, (kind, lines) in self._families.items()
        ]
        return "\n".join(parts) + "\n"

    def _add(self, name: str, kind: str, labels: str, value: float) -> None:
        self._family(name, kind).append(f"{name}{labels} {_number(value)}")

    def _family(self, name: str, kind: str) -> list[str]:
        return self._families.setdefault(name, (kind, []))[1]


OTHER_BOUNDS: Final[Mapping[str, tuple[float, ...]]] = {
    "tikv_raftstore_log_lag": LAG_ENTRIES,
    "tikv_raftstore_region_size": SIZE_BYTES,
    "tikv_coprocessor_scan_keys": SIZE_BYTES,
    "pd_schedule_operator_region_size": SIZE_BYTES,
}


class _Heads(NamedTuple):
    """What stands before the numbers of one histogram."""

    buckets: tuple[str, ...]
    total: str
    number: str


@lru_cache(maxsize=4096)
def _heads(key: Key, bounds: tuple[float, ...]) -> _Heads:
    name, labels = key
    shown = _label_text(labels)
    limits = [*map(_number, bounds), "+Inf"]
    buckets = (f"{name}_bucket{_label_text((*labels, ('le', limit)))}" for limit in limits)
    return _Heads(tuple(buckets), f"{name}_sum{shown}", f"{name}_count{shown}")


@lru_cache(maxsize=1 << 14)
def _label_text(labels: tuple[tuple[str, str], ...]) -> str:
    shown = ",".join(f'{name}="{_escape(value)}"' for name, value in labels)
    return f"{{{shown}}}" if shown else ""


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else repr(value)

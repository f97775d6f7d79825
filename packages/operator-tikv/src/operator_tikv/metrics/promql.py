"""A signal as PromQL, and whose the series in the answer are."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from operator_tikv.metrics.signals import Component, Join, Kind, Signal

INSTANCE: Final = "instance"
_PORT: Final = "(:[0-9]+)?"
_SPECIAL: Final = re.compile(r"([\\.+*?()|\[\]{}^$])")
_ADDRESS: Final = re.compile(r"[0-9.]+|\[?[0-9a-fA-F:]+\]?")


@dataclass(frozen=True)
class Process:
    """A process whose metrics are wanted.

    Attributes:
        key: what the readings are found by: a store's id, or a PD member's name.
        address: host and port of its metrics, such as ``10.0.0.1:20180``.
    """

    key: str
    address: str

    @property
    def host(self) -> str:
        """The host without its port."""
        head, colon, port = self.address.rpartition(":")
        return head if colon and port.isdigit() else self.address

    @property
    def short_host(self) -> str:
        """The first label of a host's name, by which pods are called; of an address all of it."""
        return self.host if _ADDRESS.fullmatch(self.host) else self.host.partition(".")[0]


def quoted(text: str) -> str:
    """Return text as a string of PromQL."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def literal(text: str) -> str:
    """Return a regular expression that matches the text and nothing else."""
    return _SPECIAL.sub(r"\\\1", text)


def instance_pattern(processes: Iterable[Process]) -> str:
    """Return the regular expression of the `instance` labels that processes may have."""
    hosts = sorted({name for one in processes for name in (one.host, one.short_host)})
    return f"({'|'.join(literal(host) for host in hosts)}){_PORT}"


def query(signal: Signal, processes: Sequence[Process], more: Mapping[str, str]) -> str:
    """Return the question to Prometheus.

    Args:
        signal: what is wanted.
        processes: of whom; for clients nothing is known, so all that ``more`` leaves.
        more: labels that each series must have besides, such as a cluster's name.
    """
    selectors = [f"{label}=~{quoted(pattern)}" for label, pattern in signal.matches]
    selectors += [f"{label}={quoted(value)}" for label, value in sorted(more.items())]
    if signal.component is not Component.CLIENT:
        selectors.append(f"{INSTANCE}=~{quoted(instance_pattern(processes))}")
    chosen = f"{{{','.join(selectors)}}}"
    series = f"{signal.series}{chosen}"
    labels = [INSTANCE] if signal.by is None else [INSTANCE, signal.by]
    if signal.kind is Kind.STARTS:
        over = f"[{signal.window_seconds}s]"
        still = f"resets({signal.counter}{chosen}{over}) == 0"
        return f"sum by ({INSTANCE}) (changes({series}{over}) unless on ({INSTANCE}) ({still}))"
    return _expression(signal, series, labels)


def _expression(signal: Signal, series: str, labels: list[str]) -> str:
    by, over = ", ".join(labels), f"[{signal.window_seconds}s]"
    if signal.kind is Kind.QUANTILE:
        rates = f"sum by ({by}, le) (rate({series}{over}))"
        return f"histogram_quantile({signal.quantile:g}, {rates})"
    functions = {Kind.RATE: "rate", Kind.DELTA: "delta", Kind.GROWTH: "increase"}
    function = functions.get(signal.kind)
    inner = f"{function}({series}{over})" if function else series
    joins = {Join.SUM: "sum", Join.MAX: "max", Join.COUNT: "count"}
    return f"{joins[signal.join]} by ({by}) ({inner})"


def owner(instance: str, processes: Sequence[Process]) -> str | None:
    """Return whose an `instance` label is; None where it is nobody's or could be several's.

    The whole address decides, then the host, then the host's short name: so ``tikv-1`` is not
    ``tikv-10``, and of two stores on one host each gets its own.
    """
    host = Process("", instance).host
    near = [one for one in processes if not _other_port(one, instance)]
    for found in (
        [one.key for one in near if one.address == instance],
        [one.key for one in near if one.host == host],
        [one.key for one in near if one.short_host == host],
    ):
        if found:
            return found[0] if len(found) == 1 else None
    return None


def _other_port(process: Process, instance: str) -> bool:
    """Return whether both name a port, and not the same."""
    mine = process.address.removeprefix(process.host)
    theirs = instance.removeprefix(Process("", instance).host)
    return bool(mine and theirs and mine != theirs)

"""A file of every change made to a simulation from outside, from which it is rebuilt.

The model is deterministic, so the seed and the calls with their virtual times are its whole state.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Final

from operator_tikv.simulator import front
from operator_tikv.simulator.api.http import Call
from operator_tikv.simulator.bootstrap import ClusterSpec

if TYPE_CHECKING:
    from pathlib import Path

    from operator_tikv.simulator.cluster import SimulatedCluster

CLOCK: Final = "CLOCK"


class JournalError(Exception):
    """The file is no journal of a simulation."""


class Journal:
    """Appends changes to a file, one line of JSON each."""

    def __init__(self, path: Path) -> None:
        """Name the file; it need not exist."""
        self._path = path

    def begin(self, spec: ClusterSpec) -> None:
        """Start a new file for a new cluster."""
        self._path.write_text(json.dumps(asdict(spec)) + "\n", encoding="utf-8")

    def append(self, at_seconds: float, call: Call) -> None:
        """Note one call that may have changed something."""
        line = {
            "at_seconds": at_seconds,
            "method": call.method,
            "path": call.path,
            "query": [list(pair) for pair in call.query],
            "body": call.body.decode("latin-1"),
        }
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def mark(self, at_seconds: float) -> None:
        """Note how far time has come."""
        self.append(at_seconds, Call(CLOCK, ""))

    def read(self) -> tuple[ClusterSpec, list[tuple[float, Call]]] | None:
        """Read the file back, or None when there is nothing in it.

        A last line that was cut off is left out: the process died while it wrote.

        Raises:
            JournalError: the file holds something else.
            OSError: the file cannot be read.
        """
        if not self._path.exists():
            return None
        lines = self._path.read_text(encoding="utf-8").splitlines(keepends=True)
        whole = [line for line in lines if line.endswith("\n")]
        if not whole:
            return None
        try:
            spec = ClusterSpec(**json.loads(whole[0]))
            return spec, [_entry(json.loads(line)) for line in whole[1:]]
        except (ValueError, TypeError, KeyError) as error:
            raise JournalError(f"{self._path} is no state of a simulator") from error


def replay(cluster: SimulatedCluster, entries: list[tuple[float, Call]]) -> None:
    """Bring a new cluster to where the journal ends.

    Args:
        cluster: built from the journal's spec, at virtual time zero.
        entries: the calls with their virtual times.
    """
    for at_seconds, call in entries:
        cluster.advance_to(at_seconds)
        if call.method != CLOCK:
            front.answer(cluster, call)


def _entry(line: dict[str, object]) -> tuple[float, Call]:
    query, at_seconds = line["query"], line["at_seconds"]
    if not isinstance(query, list) or not isinstance(at_seconds, int | float):
        raise TypeError
    body = str(line["body"]).encode("latin-1")
    pairs = tuple((str(key), str(value)) for key, value in query)
    return float(at_seconds), Call(str(line["method"]), str(line["path"]), pairs, body)

"""What strikes a worker process at its crash point: once in a run, whichever process is first."""

import json
import logging
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from operator_core.clock import monotonic_seconds
from operator_core.errors import OperatorError
from operator_core.logs import ROOT
from operator_core.testing.crash.points import CrashPoint, Fault, Side

AWAY_SECONDS = 0.5
"""How long the ledger stays away from a process whose answer is lost inside a transaction."""
_STAND_SECONDS = 0.05
"""How long the thread waits for a signal that it has sent to its own process to take hold."""


@dataclass(frozen=True)
class Plan:
    """Where the blow falls.

    Attributes:
        operation: the operation of the crash point; empty: nothing happens.
        side: its side.
        fault: what happens.
        arrival: at which arrival at the point, counted over all processes of the run.
        depth: how many statements of a transaction run between its first write and the blow.
        folder: where the processes of the run keep their counts.
    """

    operation: str
    side: Side
    fault: Fault
    arrival: int
    depth: int
    folder: Path

    @property
    def point(self) -> CrashPoint:
        """The crash point."""
        return CrashPoint(self.operation, self.side)


class Trigger:
    """Counts arrivals at the crash point and strikes at the planned one."""

    def __init__(self, plan: Plan) -> None:
        """Take the plan."""
        self.plan = plan
        self.under_way: set[tuple[str, int]] = set()
        """The effects that this process has begun to ask for and has no answer to."""
        self._written: set[str] = set()
        self._has_struck = False
        self._away_until_seconds = 0.0

    def is_due(self, operation: str, side: Side) -> bool:
        """Count an arrival; return whether this is the one at which the blow falls."""
        if CrashPoint(operation, side) != self.plan.point or fired(self.plan.folder):
            return False
        return self._note("arrivals", "x") == self.plan.arrival * len("x\n")

    def tell_unnamed(self, statement: str) -> None:
        """Take note of a transaction that has no crash point."""
        self._note("unnamed", statement)

    def tell_written(self, statement: str) -> None:
        """Take note of a statement that writes."""
        if statement not in self._written:
            self._written.add(statement)
            self._note("written", statement)

    def tell_unexpected(self, error: str) -> None:
        """Take note of an error that a loop has endured and that is none of Operator's."""
        self._note("unexpected", error)

    def strike(self, lost: Callable[[], Exception]) -> None:
        """Let it happen, once: die, stand still, or lose the answer.

        An engine may run a read again whose server went away while the process stood still.

        Raises:
            Exception: what ``lost`` makes, where the answer is lost.
        """
        if self._has_struck:
            return
        self._has_struck = True
        told = {"pid": os.getpid(), "point": str(self.plan.point)}
        self._note("fired", json.dumps({**told, "under_way": list(self.under_way)}))
        if self.plan.fault in (Fault.LOST, Fault.LATE):
            raise lost()
        os.kill(os.getpid(), signal.Signals[self.plan.fault.value])
        time.sleep(_STAND_SECONDS)

    def strike_ledger(self, lost: Callable[[], Exception]) -> None:
        """Let it happen inside a transaction: who runs that again at once finds no ledger.

        Raises:
            Exception: what ``lost`` makes, where the answer is lost.
        """
        if self.plan.fault is Fault.LOST:
            self._away_until_seconds = monotonic_seconds() + AWAY_SECONDS
        self.strike(lost)

    def is_away(self) -> bool:
        """Return whether the ledger is away from this process."""
        return monotonic_seconds() < self._away_until_seconds

    def _note(self, name: str, line: str) -> int:
        """Append a line that no other process can tear, and return where it ends."""
        file = os.open(self.plan.folder / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        try:
            os.write(file, f"{line}\n".encode())
            return os.lseek(file, 0, os.SEEK_CUR)
        finally:
            os.close(file)


@contextmanager
def noted(trigger: Trigger) -> Iterator[None]:
    """Have the errors noted that loops log and endure, until the end of the context."""
    handler = _Noting(trigger)
    logger = logging.getLogger(ROOT)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


class _Noting(logging.Handler):
    """Tells a trigger of errors that are none of Operator's: nobody planned those."""

    def __init__(self, trigger: Trigger) -> None:
        super().__init__()
        self._trigger = trigger

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        if error is not None and not isinstance(error, OperatorError):
            self._trigger.tell_unexpected(repr(error))


def fired(folder: Path) -> bool:
    """Return whether the blow has fallen in this run."""
    return (folder / "fired").exists()


def under_way(folder: Path) -> frozenset[tuple[str, int]]:
    """Return what the process that was struck was asking for at that moment."""
    if not fired(folder):
        return frozenset()
    told = json.loads((folder / "fired").read_text(encoding="utf-8"))
    return frozenset((action, item) for action, item in told["under_way"])


def unexpected(folder: Path) -> list[str]:
    """Return the errors that loops have endured in this run and that are none of Operator's."""
    file = folder / "unexpected"
    return file.read_text(encoding="utf-8").splitlines() if file.exists() else []


def unnamed(folder: Path) -> set[str]:
    """Return the operations that took place in this run and have no crash point."""
    return _words(folder / "unnamed")


def written(folder: Path) -> set[str]:
    """Return the statements that have written in this run."""
    return _words(folder / "written")


def _words(file: Path) -> set[str]:
    return set(file.read_text(encoding="utf-8").split()) if file.exists() else set()

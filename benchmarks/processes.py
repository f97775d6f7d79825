"""Programs of the benchmarks' own in other processes, and the file where they count effects.

A line of that file says what had its effect, when by the machine's own monotonic clock, in which
process, and how much of the processor that one had used by then.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.rounds import ROOT, environment

LIMIT_SECONDS = 120.0
IN_FLIGHT = 16
"""How many effects a process has begun when it is killed."""
HANG, ACT = "hang", "act"
"""What the effects of a process do: never end, so that it can be killed in the middle, or end."""
_LOOK_SECONDS = 0.001


@dataclass(frozen=True)
class Effect:
    """One line of the file."""

    value: int
    seconds: float
    pid: int
    processor_seconds: float


@dataclass(frozen=True)
class EffectFile:
    """Where several processes count their effects."""

    path: Path

    def add(self, value: int) -> None:
        """Count one effect of this process."""
        line = f"{value} {time.monotonic()} {os.getpid()} {time.process_time()}\n".encode()
        file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        try:
            os.write(file, line)
        finally:
            os.close(file)

    def read(self) -> list[Effect]:
        """Return all effects so far."""
        if not self.path.exists():
            return []
        lines = self.path.read_text(encoding="ascii").splitlines()
        rows = (line.split() for line in lines)
        return [Effect(int(one), float(at), int(pid), float(used)) for one, at, pid, used in rows]


@contextmanager
def program(module: str, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
    """Start a module of the benchmarks; it is killed at the end, if it still runs."""
    process = subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-m", f"benchmarks.{module}", *arguments],
        cwd=ROOT,
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def until(condition: Callable[[], bool]) -> None:
    """Return when a condition holds.

    Raises:
        TimeoutError: it does not come to hold.
    """
    end = time.monotonic() + LIMIT_SECONDS
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError("what was waited for did not happen")
        time.sleep(_LOOK_SECONDS)

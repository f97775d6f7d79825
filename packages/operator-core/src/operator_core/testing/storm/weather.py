"""What strikes processes and their ledger, at moments that a seed chooses."""

import os
import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Self

from operator_core.clock import block, monotonic_seconds
from operator_core.testing.postgres import PostgresServer
from operator_core.testing.storm.terms import Terms
from operator_core.testing.storm.troubles import (
    NOT_HELD,
    SmallDisk,
    cut_half,
    file_held,
    tables_held,
)

PROCESSES = 3
_CALM_SECONDS = (0.1, 0.8)
_STILL_SECONDS = (0.3, 4.0)
_AWAY_SECONDS = (0.1, 2.0)
_AHEAD_SECONDS = (0.0, 0.0, 1.0, -1.0, 5.0, -5.0, 3600.0, -3600.0, 86_400.0)


class Strike(StrEnum):
    """What may happen to a process, or to all of them."""

    KILL = "kill"
    """A process is killed, and another one is started."""
    STOP = "stop"
    """A process stands still, some longer than a lease."""
    CLOCK = "clock"
    """The time of day is set."""
    CRASH = "crash"
    """The ledger's server dies and comes back."""
    PAUSE = "pause"
    """The ledger's server answers nobody for a while."""
    CUT = "cut"
    """Somebody ends half of the connections to the server."""
    HOLD = "hold"
    """Somebody else holds the ledger's lock."""
    FULL = "full"
    """There is no room on the ledger's disk."""


OF_ALL = (Strike.KILL, Strike.STOP, Strike.CLOCK, Strike.HOLD)
OF_SERVERS = (Strike.CRASH, Strike.PAUSE, Strike.CUT)
OF_DISKS = (Strike.FULL,)


@dataclass(frozen=True)
class Stillness:
    """That a process stood still, by the machine's monotonic clock."""

    pid: int
    began_seconds: float
    ended_seconds: float


@dataclass
class Weather:
    """A storm over some processes; use it as a context manager, which ends them.

    Attributes:
        terms: what each process is told, but for its seed.
        strikes: what may happen.
        rng: chooses what, when and to whom.
        server: the ledger's server, if it has one.
        disk: the ledger's own disk, if it has one.
        happened: how often what happened.
        stood_still: who stood still when.
    """

    terms: Terms
    strikes: Sequence[Strike]
    rng: random.Random
    server: PostgresServer | None = None
    disk: SmallDisk | None = None
    happened: Counter[Strike] = field(default_factory=Counter)
    stood_still: list[Stillness] = field(default_factory=list)
    _processes: list["subprocess.Popen[bytes]"] = field(default_factory=list)
    _still: list[Stillness] = field(default_factory=list)
    _started: int = 0

    def __enter__(self) -> Self:
        """Start the processes."""
        self._processes = [self._start() for _ in range(PROCESSES)]
        return self

    def __exit__(self, *_: object) -> None:
        """Kill them: nobody ends in peace here."""
        for process in self._processes:
            process.kill()
            process.wait()

    def blow(self, seconds: float) -> None:
        """Let it strike again and again."""
        ways: dict[Strike, Callable[[], None]] = {
            Strike.KILL: self._kill,
            Strike.STOP: self._stop,
            Strike.CLOCK: self._set_clock,
            Strike.CRASH: self._crash,
            Strike.PAUSE: self._pause,
            Strike.CUT: self._cut,
            Strike.HOLD: self._hold,
            Strike.FULL: self._fill,
        }
        end = monotonic_seconds() + seconds
        while monotonic_seconds() < end:
            block(self.rng.uniform(*_CALM_SECONDS))
            self._let_go_on()
            strike = self.rng.choice(self.strikes)
            self.happened[strike] += 1
            ways[strike]()
        self.terms.clock.set_ahead(0.0)

    def settle(self) -> int:
        """Let one more process bring everything to its end; return its exit code."""
        return self._spawn(replace(self.terms, settles=True)).wait()

    # --- strikes ----------------------------------------------------------------------

    def _kill(self) -> None:
        place = self.rng.randrange(PROCESSES)
        self._processes[place].kill()
        self._processes[place].wait()
        self._processes[place] = self._start()

    def _stop(self) -> None:
        process, now = self.rng.choice(self._processes), monotonic_seconds()
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGSTOP)
        still = Stillness(process.pid, now, now + self.rng.uniform(*_STILL_SECONDS))
        self._still.append(still)

    def _let_go_on(self) -> None:
        now = monotonic_seconds()
        for one in [still for still in self._still if still.ended_seconds <= now]:
            self._still.remove(one)
            self.stood_still.append(replace(one, ended_seconds=monotonic_seconds()))
            with suppress(ProcessLookupError):
                os.kill(one.pid, signal.SIGCONT)

    def _set_clock(self) -> None:
        self.terms.clock.set_ahead(self.rng.choice(_AHEAD_SECONDS))

    def _crash(self) -> None:
        if self.server is not None:
            self.server.kill()
            block(self.rng.uniform(*_AWAY_SECONDS))
            self.server.start()

    def _pause(self) -> None:
        if self.server is not None:
            self.server.pause()
            block(self.rng.uniform(*_AWAY_SECONDS))
            self.server.resume()

    def _cut(self) -> None:
        if self.server is not None:
            cut_half(self.server)

    def _hold(self) -> None:
        file = Path(self.terms.address)
        with suppress(*NOT_HELD), tables_held(self.server) if self.server else file_held(file):
            block(self.rng.uniform(*_AWAY_SECONDS))

    def _fill(self) -> None:
        if self.disk is not None:
            with self.disk.full():
                block(self.rng.uniform(*_AWAY_SECONDS))

    # --- processes --------------------------------------------------------------------

    def _start(self) -> "subprocess.Popen[bytes]":
        self._started += 1
        return self._spawn(replace(self.terms, seed=self.terms.seed * 1_000 + self._started))

    def _spawn(self, terms: Terms) -> "subprocess.Popen[bytes]":
        module = "operator_core.testing.storm.worker"
        with (Path(terms.folder) / "log").open("ab") as file:
            return subprocess.Popen(  # noqa: S603 - our own program
                [sys.executable, "-m", module, terms.to_text()], stdout=file, stderr=file
            )

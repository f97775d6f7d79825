"""A process that watches a cluster while no other does, for tests that kill or pause it.

Arguments: the ledger, the file where looks are noted, the lease in seconds, the cluster, and the
name of the machine that it believes to be on; empty: of the one that it is on.
"""

import asyncio
import os
import socket
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from operator_core.monitor.types import Observation
from operator_core.runtime import supervisor
from operator_core.runtime.options import RunOptions
from operator_core.subject import FullSubject
from operator_core.testing.fakes import FakeSubject

INTERVAL_SECONDS = 0.05


@dataclass
class Watched(FakeSubject):
    """A cluster that notes who looks at it, and when by a clock that all processes share."""

    looks: Path = Path()

    async def observe(self) -> Observation:
        """Note the look."""
        with self.looks.open("a", encoding="ascii") as file:
            file.write(f"{self.name} {os.getpid()} {time.monotonic()}\n")
        return await super().observe()


async def watch(ledger: str, looks: Path, lease_seconds: float, *subjects: str) -> None:
    """Watch until it is ended."""

    async def connect(record: dict[str, object]) -> FullSubject:
        return Watched(name=str(record["name"]), looks=looks)

    vars(supervisor)["connect"] = connect  # there is no plugin of the fake's
    options = RunOptions(
        agent=False,
        interval_seconds=INTERVAL_SECONDS,
        lease_seconds=lease_seconds,
        subjects=subjects,
    )
    await supervisor.run(ledger, options)


if __name__ == "__main__":
    machine = sys.argv[5]
    if machine:
        socket.gethostname = lambda: machine
    asyncio.run(watch(sys.argv[1], Path(sys.argv[2]), float(sys.argv[3]), sys.argv[4]))

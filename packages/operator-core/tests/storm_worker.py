"""A process that runs the agent's loop while the ledger's server comes and goes.

Arguments: the ledger, and the file where effects are counted: all processes see in it what has
happened, as in a cluster. It says when it is ready.
"""

import asyncio
import sys
from dataclasses import dataclass
from pathlib import Path

from operator_core.db.control import ControlDB
from operator_core.runtime import supervisor
from operator_core.runtime.options import RunOptions
from operator_core.subject import ActionCall, FullSubject, ProbeAnswer
from operator_core.testing.fakes import FakeSubject


@dataclass
class Cluster(FakeSubject):
    """A cluster outside all processes; an action takes as many milliseconds as its value says."""

    file: Path = Path()

    async def act(self, value: int, idempotency_key: str) -> object:
        """Act, and count it."""
        await asyncio.sleep(value / 1000)
        with self.file.open("a", encoding="ascii") as file:
            file.write(f"{idempotency_key}\n")
        return value

    async def probe(self, call: ActionCall) -> ProbeAnswer:
        """Answer truly."""
        happened = call.idempotency_key in keys_in(self.file)
        return ProbeAnswer.HAPPENED if happened else ProbeAnswer.NOT_HAPPENED


def keys_in(file: Path) -> list[str]:
    """Return the keys of all effects, in their order."""
    return file.read_text(encoding="ascii").splitlines() if file.exists() else []


async def run(ledger: str, effects: Path) -> None:
    """Run the agent's loop until it is ended."""

    async def connect(_: object) -> FullSubject:
        return Cluster(file=effects)

    vars(supervisor)["connect"] = connect  # there is no plugin of the fake's
    async with ControlDB(ledger):
        print("ready", flush=True)  # noqa: T201 - the test waits for it
        await supervisor.run(ledger, RunOptions(monitor=False, require_approval=False))


if __name__ == "__main__":
    asyncio.run(run(sys.argv[1], Path(sys.argv[2])))

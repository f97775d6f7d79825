"""A process of any version that runs the agent's loop on a ledger, which it makes if need be.

Arguments: the ledger, the file where effects are counted, and, if it is to upgrade the ledger,
the SQL of a migration that no version knows. It says its version once the ledger is there.
"""

import asyncio
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import operator_core
from operator_core.db.control import ControlDB
from operator_core.db.postgres import upgrade
from operator_core.db.schema import Migration, migrations
from operator_core.runtime import supervisor
from operator_core.runtime.supervisor import RunOptions  # where each version has it
from operator_core.subject import FullSubject
from operator_core.testing.fakes import FakeSubject
from operator_core.types import RunMode

EFFECT_SECONDS = 0.3
"""Long enough that nobody is done before the others have looked for what is left."""
LATER_VERSION = 9001


@dataclass
class Counted(FakeSubject):
    """A subject whose effects take a while and tell which process had them."""

    file: Path = Path()

    async def act(self, value: int, idempotency_key: str) -> object:
        """Act, and count it."""
        await asyncio.sleep(EFFECT_SECONDS)
        with self.file.open("a", encoding="ascii") as file:
            file.write(f"{os.getpid()} {idempotency_key}\n")
        return value


async def run(ledger: str, effects: Path) -> None:
    """Let the ledger act on one cluster, and run the agent's loop until it is ended."""

    async def connect(_: object) -> FullSubject:
        return Counted(file=effects)

    vars(supervisor)["connect"] = connect  # there is no plugin of the fake's
    async with ControlDB(ledger) as control:
        await control.connect_subject("fake", "fake", {}, actor="test")
        await control.set_mode(RunMode.EXECUTE, actor="test")
        print(operator_core.__version__, flush=True)  # noqa: T201 - the test waits for it
        await supervisor.run(ledger, RunOptions(monitor=False, require_approval=False))


def know_later_step(sql: str) -> None:
    """Let this process know a migration more."""
    step = Migration(LATER_VERSION, "later", sql)
    vars(upgrade)["migrations"] = lambda engine: (*migrations(engine), step)


def main(ledger: str, effects: str, later: str = "") -> None:
    """Do what is asked."""
    if later:
        know_later_step(later)
    asyncio.run(run(ledger, Path(effects)))


if __name__ == "__main__":
    main(*sys.argv[1:])

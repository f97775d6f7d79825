"""The agent's own loop, as `operator agent start` runs it, on a subject of the benchmark."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from benchmarks.ours.still import SUBJECT, Still
from operator_core.actions import policy
from operator_core.config import shut_out_pydantic_plugins
from operator_core.db.control import ControlDB
from operator_core.db.ledger import Ledger
from operator_core.db.policy import PolicyDB
from operator_core.runtime import supervisor
from operator_core.runtime.options import RunOptions
from operator_core.subject import FullSubject, complete

PERSON = "bench"
ONE_WORD = f"""
unknown_blast = "as ruled"

[roles]
keeper = ["{PERSON}"]

[[rule]]
name = "one word"
effect = "approve"
approvals = [{{ role = "keeper" }}]
expires_seconds = 3600
"""
"""A policy that asks one person; the shipped one asks two where nobody knows the harm."""


@asynccontextmanager
async def agent(
    where: Path | str, subject: Still, *, require_approval: bool = True
) -> AsyncIterator[None]:
    """Run the agent's loop beside what the caller does, in this process."""
    if require_approval:
        async with ControlDB(where) as control:
            await ask_one_person(control.ledger)
    running = asyncio.create_task(run_agent(where, subject, require_approval=require_approval))
    try:
        yield
    finally:
        if not running.done():
            os.kill(os.getpid(), signal.SIGTERM)  # as anybody stops it
        await running


async def run_agent(where: Path | str, subject: Still, *, require_approval: bool) -> None:
    """Run the agent's loop until somebody asks it to stop."""
    shut_out_pydantic_plugins()  # as the command does
    async with ControlDB(where) as control:
        await control.connect_subject(SUBJECT, SUBJECT, {}, actor="bench")
        options = RunOptions(monitor=False, require_approval=require_approval, drain_seconds=1.0)
        with _connected(subject):
            await supervisor.run(where, options)


@contextmanager
def _connected(subject: Still) -> Iterator[None]:
    """Let the loop find a subject that no package offers.

    `unittest.mock` could do it, and takes long to load in a process whose start is measured.
    """

    async def connect(_record: object) -> FullSubject:
        return complete(subject)

    names = vars(supervisor)
    real, names["connect"] = names["connect"], connect
    try:
        yield
    finally:
        names["connect"] = real


async def ask_one_person(ledger: Ledger) -> None:
    """Let the ledger's policy ask one person for everything."""
    await PolicyDB(ledger).enforce(policy.load(ONE_WORD), source=PERSON, actor=PERSON)

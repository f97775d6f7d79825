"""The agent's own loop, as `operator agent start` runs it, on a subject of the benchmark."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from unittest.mock import patch

from benchmarks.ours.engine import SUBJECT, Still
from operator_core.db.control import ControlDB
from operator_core.runtime import supervisor
from operator_core.runtime.supervisor import RunOptions
from operator_core.subject import FullSubject, complete


@asynccontextmanager
async def agent(
    where: Path | str, subject: Still, *, require_approval: bool = True
) -> AsyncIterator[None]:
    """Run the agent's loop beside what the caller does, in this process."""
    running = asyncio.create_task(run_agent(where, subject, require_approval=require_approval))
    try:
        yield
    finally:
        if not running.done():
            os.kill(os.getpid(), signal.SIGTERM)  # as anybody stops it
        await running


async def run_agent(where: Path | str, subject: Still, *, require_approval: bool) -> None:
    """Run the agent's loop until somebody asks it to stop."""

    async def connected(_record: object) -> FullSubject:
        return complete(subject)

    async with ControlDB(where) as control:
        await control.connect_subject(SUBJECT, SUBJECT, {}, actor="bench")
        options = RunOptions(monitor=False, require_approval=require_approval, drain_seconds=1.0)
        with patch.object(supervisor, "connect", connected):  # no package offers this subject
            await supervisor.run(where, options)

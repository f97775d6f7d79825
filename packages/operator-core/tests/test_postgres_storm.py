"""Two processes at work while the server loses connections, stands still, dies and comes back."""

import asyncio
import random
import signal
import sys
from asyncio.subprocess import PIPE
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, closing
from pathlib import Path

import psycopg
import pytest

import storm_worker
from engine_bench import Bench, recommend
from operator_core.actions.types import ActionStatus, SafetyMode, WorkflowStatus
from operator_core.clock import SYSTEM_CLOCK
from operator_core.db.ledger import open_ledger
from operator_core.testing.clock import ManualClock
from operator_core.testing.fakes import FakeSubject
from operator_core.testing.postgres import PostgresServer

QUICK_MS = 200
PAUSE_SECONDS = 2.0
ENDED_CONNECTIONS = 12
VICTIMS = """
SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'operator %' ORDER BY backend_start
"""


@asynccontextmanager
async def worker(url: str, effects: Path) -> AsyncIterator[None]:
    """Run a worker that must live through all of it and stop in peace."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, storm_worker.__file__, url, str(effects)), stdout=PIPE, stderr=PIPE
    )
    assert process.stdout is not None
    try:
        assert await process.stdout.readline() == b"ready\n"
        telling = asyncio.create_task(process.communicate())  # what it logs must not fill a pipe
        yield
        process.send_signal(signal.SIGTERM)
        _, told = await telling
        assert process.returncode == 0, told.decode()
    finally:
        if process.returncode is None:
            process.kill()


async def propose(one: Bench, stop: asyncio.Event) -> None:
    """Propose actions and workflows until it is enough, whatever the server does."""
    executor = one.executor()
    while not stop.is_set():
        await executor.propose_action(recommend("act", value=QUICK_MS))
        steps = [recommend("act", value=QUICK_MS) for _ in range(2)]
        await executor.propose_workflow("in order", "d", steps)
        await asyncio.sleep(0.1)


def end_connections(url: str) -> None:
    """End some connections of Operator's, at moments that nobody has chosen."""
    chance = random.Random(7)
    with closing(psycopg.connect(url, autocommit=True)) as connection:
        for _ in range(ENDED_CONNECTIONS):
            pids = [row[0] for row in connection.execute(VICTIMS)]
            connection.execute("SELECT pg_terminate_backend(%s)", [chance.choice(pids)])
            connection.execute("SELECT pg_sleep(%s)", [chance.uniform(0.01, 0.3)])


async def storm(server: PostgresServer, away_seconds: float) -> None:
    """Let everything happen to the server."""
    await asyncio.to_thread(end_connections, server.url)
    await asyncio.to_thread(server.pause)
    await asyncio.sleep(PAUSE_SECONDS)
    await asyncio.to_thread(server.resume)
    await asyncio.sleep(1)
    await asyncio.to_thread(server.kill)
    await asyncio.sleep(away_seconds)
    await asyncio.to_thread(server.start)
    await asyncio.sleep(1)


@pytest.mark.parametrize(
    ("away_seconds", "long_ms"),
    [
        pytest.param(2.0, 3_000, marks=[pytest.mark.real, pytest.mark.timeout(180)]),
        pytest.param(30.0, 20_000, marks=[pytest.mark.slow, pytest.mark.timeout(300)]),
    ],
)
async def test_whatever_happens_to_the_server_nothing_is_lost_and_nothing_runs_twice(
    tmp_path: Path, away_seconds: float, long_ms: int
) -> None:
    effects, stop = tmp_path / "effects", asyncio.Event()
    async with AsyncExitStack() as stack:
        server = stack.enter_context(PostgresServer())
        one = await stack.enter_async_context(acting(server.url))
        for _ in range(2):
            await stack.enter_async_context(worker(server.url, effects))
        await one.executor().propose_action(recommend("act", value=long_ms))
        proposing = asyncio.create_task(propose(one, stop))
        while len(storm_worker.keys_in(effects)) < 10:  # noqa: ASYNC110 - other processes
            await asyncio.sleep(0.05)
        await storm(server, away_seconds)
        stop.set()
        await proposing
        while {row.status for row in await one.db.list_proposals()} != {ActionStatus.COMPLETED}:  # noqa: ASYNC110 - other processes
            await asyncio.sleep(0.2)
        await check(one, storm_worker.keys_in(effects))


async def check(one: Bench, keys: list[str]) -> None:
    """Require one effect of each proposal, whatever the number of attempts."""
    effects = Counter(int(key.split(":")[2]) for key in keys)
    assert effects == {row.id: 1 for row in await one.db.list_proposals()}
    flows = await one.db.list_workflows()
    assert {flow.status for flow in flows} == {WorkflowStatus.COMPLETED}
    assert await one.control.first_broken_audit_row() is None


@asynccontextmanager
async def acting(url: str) -> AsyncIterator[Bench]:
    ledger = await open_ledger(url)
    made = Bench(ledger, ManualClock(), FakeSubject())
    made.clock = SYSTEM_CLOCK  # type: ignore[assignment] # real processes, real time
    await made.control.connect_subject("fake", "fake", {}, actor="test")
    await made.control.set_mode(SafetyMode.EXECUTE, actor="test")
    yield made
    await ledger.engine.close()

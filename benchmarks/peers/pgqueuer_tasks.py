"""pgqueuer on PostgreSQL: a task queue that takes batches."""

import asyncio
from collections.abc import Callable, Mapping
from time import perf_counter
from typing import Any

import psycopg
from pgqueuer import PgQueuer  # type: ignore[import-not-found]

from benchmarks.model import Job, Metrics, rate
from benchmarks.peers.counting import LIMIT_SECONDS

BATCH = 64


def tasks(job: Job) -> Metrics:
    """Enqueue tasks in batches while a worker runs; a first one warms it up, untimed."""
    return asyncio.run(_tasks(job))


async def _tasks(job: Job) -> Metrics:
    connection = await psycopg.AsyncConnection.connect(job.url, autocommit=True)
    async with connection:
        worker = PgQueuer.from_psycopg_connection(connection)
        await worker.qm.queries.install()
        warm, over = asyncio.Event(), asyncio.Event()
        worker.entrypoint("touch")(_effect({1: warm, job.tasks + 1: over}))
        running = asyncio.create_task(worker.qm.run(batch_size=BATCH))
        async with asyncio.timeout(LIMIT_SECONDS):
            await _enqueue(worker.qm.queries, 1)
            await warm.wait()
            start = perf_counter()
            await _enqueue(worker.qm.queries, job.tasks)
            await over.wait()
        seconds = perf_counter() - start
        running.cancel()  # an orderly end takes it seconds, which are not its work
        await asyncio.gather(running, return_exceptions=True)
    return rate(job.tasks, seconds)


def _effect(marks: Mapping[int, asyncio.Event]) -> Callable[[Any], Any]:
    """Return a task that sets an event when its number of effects is reached."""
    effects: list[bytes] = []

    async def touch(found: Any) -> None:  # noqa: ANN401 - of a library without types here
        effects.append(found.payload or b"")
        if len(effects) in marks:
            marks[len(effects)].set()

    return touch


async def _enqueue(queries: Any, count: int) -> None:  # noqa: ANN401 - as above
    for first in range(0, count, BATCH):
        numbers = range(first, min(first + BATCH, count))
        payloads = [str(number).encode() for number in numbers]
        await queries.enqueue(["touch"] * len(payloads), payloads, [0] * len(payloads))

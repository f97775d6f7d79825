"""procrastinate on PostgreSQL: a task queue with LISTEN/NOTIFY."""

import asyncio
import logging
from time import perf_counter

from procrastinate import App, PsycopgConnector  # type: ignore[import-not-found]

from benchmarks.model import Job, Metrics, rate
from benchmarks.ours.work import at_once

DEFERRING = 16
_POOL = 20


def tasks(job: Job) -> Metrics:
    """Defer tasks, then let a worker run all that wait."""
    logging.disable(logging.WARNING)
    return asyncio.run(_tasks(job))


async def _tasks(job: Job) -> Metrics:
    app = App(connector=PsycopgConnector(conninfo=job.url, min_size=_POOL, max_size=_POOL))
    effects: list[int] = []

    async def effect(value: int) -> None:
        effects.append(value)

    task = app.task(name="touch")(effect)
    async with app.open_async():
        await app.schema_manager.apply_schema_async()

        async def defer(number: int) -> None:
            await task.defer_async(value=number)

        start = perf_counter()
        await at_once(min(DEFERRING, job.concurrency), job.tasks, defer)
        await app.run_worker_async(
            concurrency=job.concurrency, wait=False, install_signal_handlers=False
        )
        seconds = perf_counter() - start
    if len(effects) != job.tasks:
        raise RuntimeError(f"{len(effects)} effects, not {job.tasks}")
    return rate(job.tasks, seconds)

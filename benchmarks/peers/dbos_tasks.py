"""DBOS: durable workflows of steps, called directly or through its queue."""

import logging
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from queue import Queue
from time import perf_counter, sleep
from typing import Any

from dbos import DBOS  # type: ignore[import-not-found]

from benchmarks.model import Job, Metrics, rate
from benchmarks.peers.counting import LIMIT_SECONDS, Countdown
from benchmarks.summary import percentiles

QUEUE = "bench"
POLL_SECONDS = 0.01
PAUSE_SECONDS = 0.05
_POOL = 64


def direct(job: Job) -> Metrics:
    """Call workflows directly, from as many threads as the job says."""
    countdown = Countdown(job.tasks * _steps(job))
    workflow = declared(countdown.effect, _steps(job))
    with launched(job):
        start = perf_counter()
        with ThreadPoolExecutor(job.concurrency) as pool:
            for done in [pool.submit(workflow, number) for number in range(job.tasks)]:
                done.result()
        return rate(job.tasks, perf_counter() - start)


def queue(job: Job) -> Metrics:
    """Enqueue workflows and let the queue run them; a first one warms it up, untimed."""
    expected = job.tasks * _steps(job)
    countdown = Countdown(expected + _steps(job))
    workflow = declared(countdown.effect, _steps(job))
    with launched(job):
        DBOS.register_queue(
            QUEUE, worker_concurrency=job.concurrency, polling_interval_sec=POLL_SECONDS
        )
        DBOS.enqueue_workflow(QUEUE, workflow, -1)
        countdown.wait(left=expected)
        start = perf_counter()
        for number in range(job.tasks):
            DBOS.enqueue_workflow(QUEUE, workflow, number)
        countdown.wait()
        return rate(job.tasks, perf_counter() - start)


def dispatch(job: Job) -> Metrics:
    """Measure from enqueued to started, one workflow after another on an idle queue."""
    started: Queue[float] = Queue()
    workflow = declared(lambda _: started.put(perf_counter()))
    with launched(job):
        DBOS.register_queue(QUEUE, worker_concurrency=1, polling_interval_sec=POLL_SECONDS)
        found = []
        for number in range(job.tasks + 1):
            sleep(PAUSE_SECONDS)
            DBOS.enqueue_workflow(QUEUE, workflow, number)
            enqueued = perf_counter()
            found.append(max(0.0, started.get(timeout=LIMIT_SECONDS) - enqueued))
        return percentiles(found[1:])


def declared(effect: Callable[[int], None], steps: int = 1) -> Callable[[int], None]:
    """Return a workflow of so many steps that have an effect."""

    def one_step(value: int) -> None:
        effect(value)

    step = DBOS.step()(one_step)

    def all_steps(value: int) -> None:
        for _ in range(steps):
            step(value)

    workflow: Callable[[int], None] = DBOS.workflow()(all_steps)
    return workflow


@contextmanager
def launched(job: Job) -> Iterator[None]:
    """Launch DBOS on the job's database, or on a file with WAL and SQLite's default, FULL."""
    config: dict[str, Any] = {
        "name": "bench",
        "system_database_url": job.url or _file(job),
        "sys_db_pool_size": _POOL,
        "run_admin_server": False,
        "application_version": "bench",
        "executor_id": "bench",
    }
    logging.disable(logging.INFO)
    DBOS(config=config)
    DBOS.launch()
    try:
        yield
    finally:
        DBOS.destroy()


def _file(job: Job) -> str:
    file = job.folder / "dbos.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")  # stays with the file
    return f"sqlite:///{file}"


def _steps(job: Job) -> int:
    return int(job.options.get("steps", "1"))

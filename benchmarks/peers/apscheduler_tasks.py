"""APScheduler 3 on SQLite: jobs that are due at once."""

import logging
import sqlite3
from contextlib import closing
from time import perf_counter

from apscheduler.executors.pool import (  # type: ignore[import-not-found]
    ThreadPoolExecutor,
)
from apscheduler.jobstores.sqlalchemy import (  # type: ignore[import-not-found]
    SQLAlchemyJobStore,
)
from apscheduler.schedulers.background import (  # type: ignore[import-not-found]
    BackgroundScheduler,
)

from benchmarks.model import Job, Metrics, rate
from benchmarks.peers.counting import Countdown

_countdown = Countdown(0)


def effect(value: int) -> None:
    """Do nothing; at module level, because a job is stored by its name."""
    _countdown.effect(value)


def tasks(job: Job) -> Metrics:
    """Add jobs to the store, then start the scheduler, which runs all that are due."""
    global _countdown  # noqa: PLW0603 - the store keeps the function's name only
    _countdown = Countdown(job.tasks)
    logging.getLogger("apscheduler").setLevel(logging.CRITICAL)
    file = job.folder / "jobs.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")  # stays with the file
    scheduler = BackgroundScheduler(
        jobstores={"default": SQLAlchemyJobStore(url=f"sqlite:///{file}")},
        executors={"default": ThreadPoolExecutor(job.concurrency)},
        job_defaults={"misfire_grace_time": None},
    )
    scheduler.start(paused=True)
    start = perf_counter()
    for number in range(job.tasks):
        scheduler.add_job(effect, args=[number])
    scheduler.resume()
    _countdown.wait()
    seconds = perf_counter() - start
    scheduler.shutdown(wait=False)
    return rate(job.tasks, seconds)

"""huey on SQLite: a task queue; a killed worker loses what it ran."""

import logging
from time import perf_counter

from huey import SqliteHuey  # type: ignore[import-not-found]

from benchmarks.model import Job, Metrics, rate
from benchmarks.peers.counting import Countdown


def tasks(job: Job) -> Metrics:
    """Enqueue, then let the workers run what waits."""
    logging.getLogger("huey").setLevel(logging.ERROR)
    huey = SqliteHuey("bench", filename=str(job.folder / "huey.db"), fsync=True)
    countdown = Countdown(job.tasks)
    task = huey.task()(countdown.effect)
    consumer = huey.create_consumer(
        workers=job.concurrency, periodic=False, initial_delay=0.001, backoff=1.0, max_delay=0.001
    )
    start = perf_counter()
    for number in range(job.tasks):
        task(number)
    consumer.start()
    countdown.wait()
    seconds = perf_counter() - start
    consumer.stop()
    return rate(job.tasks, seconds)

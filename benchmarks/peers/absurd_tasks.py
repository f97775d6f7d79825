"""absurd on PostgreSQL: durable tasks of steps, in stored procedures."""

import threading
from time import perf_counter
from typing import Any

import psycopg
from absurd_sdk import Absurd  # type: ignore[import-not-found]
from absurdctl import BUNDLED_SCHEMA_SQL  # type: ignore[import-not-found]

from benchmarks.model import Job, Metrics, rate
from benchmarks.peers.counting import Countdown

POLL_SECONDS = 0.005


def tasks(job: Job) -> Metrics:
    """Spawn tasks, then let a worker run what waits."""
    steps = int(job.options.get("steps", "1"))
    countdown = Countdown(job.tasks * steps)
    with psycopg.connect(job.url, autocommit=True) as connection:
        connection.execute(BUNDLED_SCHEMA_SQL)
    app = Absurd(job.url, queue_name="bench")
    app.create_queue()

    def touch(parameters: dict[str, int], context: Any) -> None:  # noqa: ANN401 - no types
        for number in range(steps):
            context.step(f"step {number}", lambda: countdown.effect(parameters["value"]))

    app.register_task("touch")(touch)
    worker = threading.Thread(
        target=app.start_worker,
        kwargs={"concurrency": job.concurrency, "poll_interval": POLL_SECONDS},
        daemon=True,
    )
    start = perf_counter()
    for number in range(job.tasks):
        app.spawn("touch", {"value": number})
    worker.start()
    countdown.wait()
    seconds = perf_counter() - start
    app.stop_worker()
    worker.join()
    return rate(job.tasks, seconds)

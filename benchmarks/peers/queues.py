"""Plain queues on SQLite: no states, no records, no audit."""

from time import perf_counter

import litequeue  # type: ignore[import-not-found]
import persistqueue  # type: ignore[import-not-found]

from benchmarks.model import Job, Metrics, rate
from benchmarks.peers.counting import Countdown


def persist_queue(job: Job) -> Metrics:
    """Put, get and acknowledge, one at a time: the queue's own lock allows no more.

    Raises:
        RuntimeError: it is not as durable as the table says.
    """
    queue = persistqueue.SQLiteAckQueue(str(job.folder / "queue"), auto_commit=True)
    _require_full(queue._putter)  # noqa: SLF001 - only to see how durable it is
    countdown = Countdown(job.tasks)
    start = perf_counter()
    for number in range(job.tasks):
        queue.put(number)
        value = queue.get()
        countdown.effect(value)
        queue.ack(value)
    countdown.wait()
    return rate(job.tasks, perf_counter() - start)


def lite_queue(job: Job) -> Metrics:
    """Put, pop and mark as done, one at a time: it has one connection."""
    queue = litequeue.LiteQueue(str(job.folder / "queue.db"))
    queue.conn.execute("PRAGMA synchronous=FULL")  # it sets NORMAL, which loses commits
    countdown = Countdown(job.tasks)
    start = perf_counter()
    for number in range(job.tasks):
        queue.put(str(number))
        message = queue.pop()
        countdown.effect(int(message.data))
        queue.done(message.message_id)
    countdown.wait()
    return rate(job.tasks, perf_counter() - start)


def _require_full(connection: object) -> None:
    execute = getattr(connection, "execute")  # noqa: B009 - of a library without types
    found = (
        execute("PRAGMA synchronous").fetchone()[0],
        execute("PRAGMA journal_mode").fetchone()[0],
    )
    if found != (2, "wal"):
        raise RuntimeError(f"synchronous and journal are {found}")

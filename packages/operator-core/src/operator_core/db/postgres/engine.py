"""The shared engine: a PostgreSQL database, a few writers with group commit, one reader.

All work that waits shares one transaction with ``synchronous_commit=on``; each piece of it has
a savepoint of its own, so one that raises takes nobody with it. While the server is away, work
waits; what surely was not committed is run again, what may have been is looked up first.
"""

import asyncio
import os
import uuid
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar, cast

from operator_core.clock import Clock
from operator_core.db.engine import ItemWork, Tx
from operator_core.db.postgres.connection import Address
from operator_core.db.postgres.jobs import Job, Jobs, Terms, Worker
from operator_core.db.postgres.listener import Listener
from operator_core.db.postgres.reader import Reader
from operator_core.db.postgres.server_clock import Offset, told_by_server
from operator_core.db.postgres.upgrade import upgrade
from operator_core.db.postgres.writer import Writer
from operator_core.db.work import break_off, hand_out, require_own
from operator_core.errors import LedgerClosedError

T = TypeVar("T")
I = TypeVar("I")  # noqa: E741 - an item

PATIENCE_SECONDS = 45.0
"""How long work waits for a server that is away: an outage of half a minute loses nothing."""

WRITERS = 2
GROUP_SIZE = 128
_CLOSE_SECONDS = 10.0


class PostgresEngine:
    """One ledger's database, as one event loop sees it."""

    def __init__(
        self,
        url: str,
        *,
        writers: int = WRITERS,
        group_size: int = GROUP_SIZE,
        patience_seconds: float = PATIENCE_SECONDS,
        place: str | None = None,
    ) -> None:
        """Take the URL; `open` brings the ledger up to date first.

        Args:
            url: ``postgresql://…``.
            writers: how many connections write.
            group_size: with how many pieces of work a transaction waits for no more.
            patience_seconds: how long work waits for a server that is away.
            place: which ledger it is, as `upgrade` says; None: nobody looks again.
        """
        self._address = Address(url)
        self._loop = asyncio.get_running_loop()
        terms = Terms(
            self._address, uuid.uuid4().hex, self._post, patience_seconds, group_size, place
        )
        self._offset = Offset()
        self._reads = Jobs()
        self._writes = Jobs()
        self._reader: Worker = Reader(terms, self._reads, self._offset)
        self._writers = [Writer(terms, self._writes, number) for number in range(writers)]
        self._listener = Listener(self._address, terms.engine_id, self._heard)
        self._round: list[Job] = []
        self._group_size = group_size
        self._changes = 0
        self._callbacks: set[Callable[[], None]] = set()
        self._closed = False
        self._pid = os.getpid()

    @classmethod
    async def open(cls, url: str, now: str) -> "PostgresEngine":
        """Bring the ledger up to date and connect to it.

        Args:
            url: ``postgresql://…``.
            now: the present moment as text, for the migration's own records.

        Raises:
            LedgerError: the ledger cannot be used; the message says what to do.
        """
        return cls(url, place=await asyncio.to_thread(upgrade, Address(url), now))

    async def write(self, work: Callable[[Tx], T]) -> T:
        """Run work in a transaction; its effects are durable on return.

        It may run more than once, when other processes are in its way or the server goes
        away, but only one run has effects.
        """
        return cast("T", await self._write(Job(work)))

    async def write_item(self, work: ItemWork[I, T], item: I) -> T:
        """Run work on an item, together with others' items that wait for the same work."""
        return cast("T", await self._write(Job(items=work, item=item)))

    async def read(self, work: Callable[[Tx], T]) -> T:
        """Run work that only reads, on a committed state."""
        self._require_open()
        job = Job(work)
        self._reads.put(job)
        return cast("T", await job.future)

    async def changes(self) -> int:
        """Return a number that differs after another process has committed."""
        self._require_open()
        self._listener.start()
        return self._changes

    def on_change(self, callback: Callable[[], None]) -> None:
        """Call back in the event loop after another process has committed."""
        self._callbacks.add(callback)
        self._listener.start()

    def clock(self, base: Clock) -> Clock:
        """Return the server's clock in place of the machine's."""
        return told_by_server(base, self._offset)

    async def close(self) -> None:
        """End after the work that waits, and let go of the server."""
        if self._closed:
            return
        self._closed = True
        self._end_round()
        await self._listener.close()
        self._reads.put()
        for _ in self._writers:
            self._writes.put()
        for worker in (self._reader, *self._writers):
            await asyncio.to_thread(worker.join, _CLOSE_SECONDS)

    async def _write(self, job: Job) -> object:
        self._require_open()
        if not self._round:
            self._loop.call_soon(self._end_round)
        self._round.append(job)
        result: object = await job.future
        return result

    def _end_round(self) -> None:
        """Let a writer have all that was asked for in a round of the loop, at once.

        A commit wakes many who go on together. Handed over one by one, a writer that got hold of
        the interpreter in the middle of them took a part, and each part was a transaction.
        """
        jobs, self._round = self._round, []
        try:
            while jobs:
                self._writes.put(*jobs[: self._group_size])
                del jobs[: self._group_size]
        except BaseException as error:
            break_off(jobs, error, self._address)
            hand_out(jobs)
            raise

    def _require_open(self) -> None:
        if self._closed:
            raise LedgerClosedError(f"The ledger {self._address} is closed.")
        require_own(self._pid, self._address)

    def _heard(self) -> None:
        self._changes += 1
        for callback in tuple(self._callbacks):
            callback()

    def _post(self, callback: Callable[[], object]) -> None:
        with suppress(RuntimeError):  # the loop is closed, so nobody waits any more
            self._loop.call_soon_threadsafe(callback)

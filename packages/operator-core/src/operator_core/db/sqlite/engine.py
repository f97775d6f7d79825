"""The embedded engine: one SQLite file, one writer thread, group commit.

All work that waits shares one transaction with ``synchronous=FULL``. Where a piece of it raises,
the group is rolled back and run again, each piece with a savepoint of its own, so that the one
that raises takes nobody with it.
"""

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar, cast

from operator_core.clock import Clock
from operator_core.db.engine import Tx
from operator_core.db.sqlite.connection import FileId, connect, file_id
from operator_core.db.sqlite.tx import SqliteTx, begin, roll_back, translate
from operator_core.db.sqlite.upgrade import WRITER
from operator_core.db.sqlite.watch import FileWatch
from operator_core.db.work import ItemWork, Job, Piece, pieces
from operator_core.errors import LedgerError, LedgerGoneError, LedgerUnavailableError

T = TypeVar("T")
I = TypeVar("I")  # noqa: E741 - an item

_MAX_GROUP = 256


class _Read(Job):
    """A job that only reads."""


class _End(Job):
    """The writer's last job."""


class SqliteEngine:
    """One ledger file, owned by one event loop."""

    def __init__(self, path: Path) -> None:
        """Take the path; `open` opens it."""
        self.path = path
        self._jobs: queue.SimpleQueue[Job] = queue.SimpleQueue()
        self._loop = asyncio.get_running_loop()
        self._thread: threading.Thread | None = None
        self._callbacks: set[Callable[[], None]] = set()
        self._watch = FileWatch(Path(f"{path}-wal"), self.changes, self._heard)
        self._file: FileId | None = None

    @classmethod
    async def open(cls, path: Path, now: str) -> "SqliteEngine":
        """Open the file, bring its schema up to date, and start the writer.

        Args:
            path: the file.
            now: the present moment as text.

        Raises:
            LedgerError: the file cannot be used; nothing of this engine is left running.
        """
        engine = cls(path)
        ready = engine._loop.create_future()
        engine._thread = threading.Thread(
            target=engine._serve,
            args=(ready, partial(connect, path, now)),
            name=f"ledger {path.name}",
            daemon=True,
        )
        engine._thread.start()
        try:
            await asyncio.shield(ready)
        except asyncio.CancelledError:
            ready.add_done_callback(_hear)
            engine._jobs.put(_End())  # nobody else would end the thread
            raise
        return engine

    async def write(self, work: Callable[[Tx], T]) -> T:
        """Run work in a transaction; its effects are durable on return."""
        return cast("T", await self._submit(Job(work)))

    async def write_item(self, work: ItemWork[I, T], item: I) -> T:
        """Run work on an item, together with others' items that wait for the same work."""
        job = Job(items=work, item=item)
        self._put(job)
        return cast("T", await job.future)

    async def read(self, work: Callable[[Tx], T]) -> T:
        """Run work that only reads, on a committed state."""
        return cast("T", await self._submit(_Read(work)))

    async def changes(self) -> int:
        """Return a number that differs after another process has committed."""
        return await self.read(_data_version)

    def on_change(self, callback: Callable[[], None]) -> None:
        """Call back in the event loop after another process has committed."""
        self._callbacks.add(callback)
        self._watch.start()

    def clock(self, base: Clock) -> Clock:
        """Return the caller's own clock: a file has none."""
        return base

    async def close(self) -> None:
        """End the writer after the work that waits."""
        if self._thread is None:
            return
        await self._watch.close()
        self._jobs.put(_End())
        thread, self._thread = self._thread, None
        await asyncio.to_thread(thread.join)

    def _heard(self) -> None:
        for callback in tuple(self._callbacks):
            callback()

    async def _submit(self, job: Job) -> object:
        self._put(job)
        result: object = await job.future
        return result

    def _put(self, job: Job) -> None:
        if self._thread is None:
            raise LedgerUnavailableError(f"The ledger {self.path} is closed.")
        self._jobs.put(job)

    # --- the writer thread ------------------------------------------------------------

    def _serve(
        self, ready: "asyncio.Future[None]", opened: Callable[[], sqlite3.Connection]
    ) -> None:
        try:
            connection = opened()
        except Exception as error:  # noqa: BLE001 - handed to whoever waits in `open`
            self._post(partial(_settle, ready, error))
            return
        self._file = file_id(self.path)
        self._post(partial(_settle, ready, None))
        tx = SqliteTx(connection, WRITER)
        while self._serve_group(connection, tx, self._next_group()):
            pass
        connection.close()

    def _next_group(self) -> list[Job]:
        group = [self._jobs.get()]
        while len(group) < _MAX_GROUP:
            try:
                group.append(self._jobs.get_nowait())
            except queue.Empty:
                break
        return group

    def _serve_group(self, connection: sqlite3.Connection, tx: SqliteTx, group: list[Job]) -> bool:
        """Run one group; writes first and together, then reads on what is committed."""
        if self._is_gone():
            return self._refuse(group)
        writes = [job for job in group if job.__class__ is Job]
        if writes:
            self._commit(connection, tx, writes)
        for job in group:
            if isinstance(job, _Read):
                self._read(job, tx)
        self._post(partial(_settle_all, group))
        return not any(isinstance(job, _End) for job in group)

    def _is_gone(self) -> bool:
        """Return whether the path leads to another file now, which commands of people change."""
        return self._file is not None and file_id(self.path) != self._file

    def _refuse(self, group: list[Job]) -> bool:
        for job in group:
            job.error = LedgerGoneError(
                f"The ledger {self.path} was deleted or replaced while it was in use: nobody else "
                "sees what is written to it. Start this process again."
            )
        self._post(partial(_settle_all, group))
        return not any(isinstance(job, _End) for job in group)

    def _read(self, job: Job, tx: Tx) -> None:
        try:
            Piece([job]).run(tx)
        except Exception as error:  # noqa: BLE001 - handed to the caller, who asked for the work
            job.error = self._told(error)

    def _commit(self, connection: sqlite3.Connection, tx: SqliteTx, jobs: list[Job]) -> None:
        try:
            begin(connection)
            tx.begin()
            if not self._run_together(tx, jobs):
                roll_back(connection)
                begin(connection)
                tx.begin()
                for job in jobs:
                    self._run_apart(connection, tx, job)
            tx.end()
            connection.execute("COMMIT")
        except (sqlite3.Error, LedgerError) as error:
            roll_back(connection)
            failure = self._told(error)
            for job in jobs:
                job.error = job.error or failure

    def _run_together(self, tx: SqliteTx, jobs: list[Job]) -> bool:
        """Run the group without savepoints, as nearly all work succeeds."""
        try:
            for piece in pieces(jobs):
                piece.run(tx)
        except Exception:  # noqa: BLE001 - whose it is shows when each is run apart
            return False
        return True

    def _run_apart(self, connection: sqlite3.Connection, tx: SqliteTx, job: Job) -> None:
        """Run one piece of work again, so that it takes nobody with it if it fails."""
        mark, job.error = tx.mark(), None
        connection.execute("SAVEPOINT job")
        self._read(job, tx)
        if job.error is not None:
            if not connection.in_transaction and isinstance(job.error, LedgerError):
                raise job.error  # SQLite gave up the whole group, as on a full disk
            connection.execute("ROLLBACK TO job")
            tx.rewind(mark)
        connection.execute("RELEASE job")

    def _told(self, error: Exception) -> Exception:
        return translate(error, self.path) if isinstance(error, sqlite3.Error) else error

    def _post(self, callback: Callable[[], object]) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(callback)


def _settle_all(group: list[Job]) -> None:
    for job in group:
        job.settle()


def _settle(future: "asyncio.Future[None]", error: BaseException | None) -> None:
    if future.cancelled():
        return  # nobody waits any more
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(None)


def _hear(future: "asyncio.Future[None]") -> None:
    """Take note of an error that nobody waits for any more."""
    if not future.cancelled():
        future.exception()


def _data_version(tx: Tx) -> int:
    row = tx.one("sqlite.data_version")
    return int(row["data_version"]) if row else 0

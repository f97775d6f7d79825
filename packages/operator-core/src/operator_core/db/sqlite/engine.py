"""The embedded engine: one SQLite file, one writer, group commit.

All work that waits shares one transaction. The event loop's own thread runs it where that is
likely to be quick, as a hand-over to another thread costs as much as a small transaction. All else
is run by a thread of the writer's, so that the loop waits for no other process and no slow disk.
"""

import asyncio
import os
import queue
import sqlite3
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TypeVar, cast

from operator_core.clock import Clock
from operator_core.db.engine import ItemWork, Tx
from operator_core.db.sqlite.connection import connect
from operator_core.db.sqlite.open_files import file_id
from operator_core.db.sqlite.watch import FileWatch
from operator_core.db.sqlite.writer import Read, Writer, data_version
from operator_core.db.work import Job, break_off, hand_out, insist, require_own
from operator_core.errors import LedgerClosedError

T = TypeVar("T")
I = TypeVar("I")  # noqa: E741 - an item

_MAX_GROUP = 256
_AT_ONCE_IN_A_ROW = 64
"""After so many groups on the loop's thread, the other one brings the log into the file."""


class _End(Job):
    """The writer's last job."""


class SqliteEngine:
    """One ledger file, owned by one event loop."""

    def __init__(self, path: Path) -> None:
        """Take the path; `open` opens it."""
        self.path = path
        self._waiting: list[Job] = []
        self._jobs: queue.SimpleQueue[Job] = queue.SimpleQueue()
        self._loop = asyncio.get_running_loop()
        self._thread: threading.Thread | None = None
        self._pid = os.getpid()
        self._writer: Writer | None = None
        self._turn = threading.Lock()
        self._in_a_row = 0
        self._callbacks: set[Callable[[], None]] = set()
        self._watch = FileWatch(Path(f"{path}-wal"), self.changes, self._heard)

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

    def write_item(self, work: ItemWork[I, T], item: I) -> "asyncio.Future[T]":
        """Run work on an item, together with others' items that wait for the same work."""
        job = Job(items=work, item=item)
        self._put_item(job)
        return job.future

    async def read(self, work: Callable[[Tx], T]) -> T:
        """Run work that only reads, on a committed state."""
        return cast("T", await self._submit(Read(work)))

    async def changes(self) -> int:
        """Return a number that differs after another process has committed."""
        if not self._has_turn():
            return await self.read(data_version)
        try:
            seen = self._writer.data_version() if self._writer else None
        finally:
            self._turn.release()
        return await self.read(data_version) if seen is None else seen

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
        self._serve_waiting()
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
        """Leave to the writer's thread what may take long."""
        self._require_open()
        self._jobs.put(job)

    def _put_item(self, job: Job) -> None:
        """Do work on items with all that comes in this round of the loop."""
        self._require_open()
        if not self._waiting:
            self._loop.call_soon(self._serve_waiting)
        self._waiting.append(job)

    def _require_open(self) -> None:
        if self._thread is None:
            raise LedgerClosedError(f"The ledger {self.path} is closed.")
        require_own(self._pid, self.path)

    # --- on the event loop's thread ---------------------------------------------------

    def _serve_waiting(self) -> None:
        group, self._waiting = self._waiting, []
        try:
            served = not group or self._served_at_once(group)
        except BaseException as error:
            break_off(group, error, self.path)
            hand_out(group)
            if isinstance(error, Exception):
                return
            raise
        if served:
            hand_out(group)
            return
        self._in_a_row = 0
        for job in group:
            self._jobs.put(job)

    def _served_at_once(self, group: list[Job]) -> bool:
        """Run a group here, unless the thread is at work or is likely to be needed for it."""
        self._in_a_row += 1
        writer = self._writer
        if writer is None or not writer.pace.is_quick() or self._in_a_row > _AT_ONCE_IN_A_ROW:
            return False
        if not self._has_turn():
            return False
        try:
            return writer.serve_at_once(group)
        finally:
            self._turn.release()

    def _has_turn(self) -> bool:
        """Take the writer, unless the thread is at work or has work."""
        return self._jobs.empty() and self._turn.acquire(blocking=False)

    # --- the writer's thread ----------------------------------------------------------

    def _serve(
        self, ready: "asyncio.Future[None]", opened: Callable[[], sqlite3.Connection]
    ) -> None:
        try:
            connection = opened()
            writer = self._writer = Writer(self.path, connection, file_id(self.path))
        except Exception as error:  # noqa: BLE001 - handed to whoever waits in `open`
            self._post(partial(_settle, ready, error))
            return
        self._post(partial(_settle, ready, None))
        ended = False
        while not ended:
            group: list[Job] = []
            try:
                self._gather(group)
                with self._turn:
                    writer.serve(group)
            except BaseException as error:  # noqa: BLE001 - handed to those who wait for the group
                break_off(group, error, self.path)
            ended = bool(group) and isinstance(group[-1], _End)
            insist(partial(self._post, partial(hand_out, group)))
        writer.close()

    def _gather(self, group: list[Job]) -> None:
        """Wait for work and put all that waits into a group, up to its limit."""
        group.append(self._jobs.get())
        while len(group) < _MAX_GROUP:
            try:
                group.append(self._jobs.get_nowait())
            except queue.Empty:
                break

    def _post(self, callback: Callable[[], object]) -> None:
        with suppress(RuntimeError):  # the loop is closed, so nobody waits any more
            self._loop.call_soon_threadsafe(callback)


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

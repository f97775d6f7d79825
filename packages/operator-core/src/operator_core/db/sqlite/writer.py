"""The writer of a ledger file: groups of work, each one transaction with ``synchronous=FULL``.

Where a piece of work raises, the group is rolled back and run again, each piece with a savepoint
of its own, so that the one that raises takes nobody with it.
"""

import sqlite3
from collections.abc import Sequence
from pathlib import Path

from operator_core.clock import monotonic_seconds
from operator_core.db.engine import Tx
from operator_core.db.sqlite import open_files
from operator_core.db.sqlite.open_files import FileId, file_id
from operator_core.db.sqlite.pace import Pace
from operator_core.db.sqlite.place import SeenFile
from operator_core.db.sqlite.tx import (
    BUSY_HANDLER_SECONDS,
    SQLITE_ERRORS,
    SqliteTx,
    begin,
    roll_back,
    translate,
)
from operator_core.db.sqlite.upgrade import WRITER
from operator_core.db.work import Job, Piece, pieces, without_memory
from operator_core.errors import LedgerAwayError, LedgerError, LedgerGoneError

_CHECKPOINT_PAGES = 1000


class Read(Job):
    """A job that only reads."""


class Writer:
    """One connection to a ledger file. It is used by one thread at a time."""

    def __init__(
        self, path: Path, connection: sqlite3.Connection, file: FileId | None = None
    ) -> None:
        """Take the connection.

        Args:
            path: where the file lies, for messages.
            connection: to a ledger that is up to date.
            file: which file it is, where somebody may delete or replace it; None: nobody can.
        """
        self.pace = Pace()
        self._path = path
        self._connection = connection
        self._tx = SqliteTx(connection, WRITER)
        self._files = {} if file is None else {path: file, **_beside(path)}
        self._seen = SeenFile(path) if file is not None else None
        self._waits: bool | None = True

    def serve(self, group: Sequence[Job]) -> None:
        """Run a group and keep the results: writes first, then reads on what is committed.

        Raises:
            BaseException: something that is no error of a piece of work; no transaction is open.
        """
        try:
            self._serve(group)
        except BaseException:
            roll_back(self._connection)
            raise

    def _serve(self, group: Sequence[Job]) -> None:
        missed = self.missed()
        if missed is not None:
            for job in group:
                job.error = missed if job.work or job.items else None
            return
        writes = [job for job in group if job.__class__ is Job]
        if writes:
            began_seconds = monotonic_seconds()
            self._write(writes)
            self.pace.took(monotonic_seconds() - began_seconds)
        for job in group:
            if isinstance(job, Read):
                self._try(job)
        if self._seen is not None:
            self._seen.note_seldom(self._connection)

    def serve_at_once(self, writes: Sequence[Job]) -> bool:
        """Run writes that all succeed, without waiting for other processes.

        Nor is the log brought into the file meanwhile, which may take longer than the commit.

        Returns:
            Whether they are done; False: nothing was, and `serve` is the way.

        Raises:
            BaseException: something that is no error of a piece of work; no transaction is open.
        """
        if self.missed() is not None:
            return False
        began_seconds = monotonic_seconds()
        self._wait_for_others(waits=False)
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            self._tx.begin()
            ready = self._run_together(writes)
            if ready:
                self._tx.end()
                self._commit(writes)
        except SQLITE_ERRORS:
            ready = False
        except BaseException:
            roll_back(self._connection)
            raise
        if not ready:
            roll_back(self._connection)
        self.pace.took(monotonic_seconds() - began_seconds)
        return ready

    def data_version(self) -> int | None:
        """Return what `data_version` says of this file; None: `serve` says what is wrong."""
        try:
            return None if self.missed() else data_version(self._tx)
        except SQLITE_ERRORS:
            return None

    def missed(self) -> LedgerError | None:
        """Return why this file is not the one that commands of people change; None: it is."""
        try:
            if all(file_id(path) == file for path, file in self._files.items()):
                return None
        except OSError as error:
            return LedgerAwayError(
                f"The ledger {self._path} cannot be looked at: {error.strerror}. Let this user "
                "enter its folder; until then nothing is read from it or written to it."
            )
        return LedgerGoneError(
            f"The ledger {self._path}, or the log beside it, was deleted or replaced while it was "
            "in use: nobody else sees what is written to it. Start this process again."
        )

    def close(self) -> None:
        """Let go of the file."""
        if self._seen is not None and self.missed() is None:
            self._seen.note(self._connection)
        self._tx.close()
        open_files.close(self._connection)

    def _wait_for_others(self, *, waits: bool) -> None:
        if waits == self._waits:
            return
        self._waits = None  # as long as only a part of it is said
        busy_milliseconds = int(BUSY_HANDLER_SECONDS * 1000) if waits else 0
        self._connection.execute(f"PRAGMA busy_timeout={busy_milliseconds}")
        pages = _CHECKPOINT_PAGES if waits else 0
        self._connection.execute(f"PRAGMA wal_autocheckpoint={pages}")
        self._waits = waits

    def _try(self, job: Job) -> None:
        try:
            Piece([job]).run(self._tx)
        except Exception as error:  # noqa: BLE001 - handed to the caller, who asked for the work
            job.error = self._told(error)

    def _write(self, jobs: Sequence[Job]) -> None:
        self._wait_for_others(waits=True)
        try:
            self._begin()
            if not self._run_together(jobs):
                roll_back(self._connection)
                self._begin()
                for job in jobs:
                    self._run_apart(job)
            self._tx.end()
        except (*SQLITE_ERRORS, LedgerError) as error:
            self._fail(jobs, error)
        else:
            self._commit(jobs)

    def _begin(self) -> None:
        begin(self._connection)
        self._tx.begin()

    def _commit(self, jobs: Sequence[Job]) -> None:
        try:
            self._connection.execute("COMMIT")
        except SQLITE_ERRORS as error:
            self._fail(jobs, error)

    def _fail(self, jobs: Sequence[Job], error: Exception) -> None:
        roll_back(self._connection)
        failure = self._told(error)
        for job in jobs:
            job.error = job.error or failure

    def _run_together(self, jobs: Sequence[Job]) -> bool:
        """Run the group without savepoints, as nearly all work succeeds."""
        try:
            for piece in pieces(jobs):
                piece.run(self._tx)
        except Exception:  # noqa: BLE001 - whose it is shows when each is run apart
            return False
        return True

    def _run_apart(self, job: Job) -> None:
        """Run one piece of work again, so that it takes nobody with it if it fails."""
        mark, job.error = self._tx.mark(), None
        self._connection.execute("SAVEPOINT job")
        self._try(job)
        if job.error is not None:
            if not self._connection.in_transaction and isinstance(job.error, LedgerError):
                raise job.error  # SQLite gave up the whole group, as on a full disk
            self._connection.execute("ROLLBACK TO job")
            self._tx.rewind(mark)
        self._connection.execute("RELEASE job")

    def _told(self, error: Exception) -> Exception:
        if isinstance(error, MemoryError):
            return without_memory(self._path)
        return translate(error, self._path) if isinstance(error, SQLITE_ERRORS) else error


def _beside(path: Path) -> dict[Path, FileId]:
    """Return the log that lies beside a file that is open, and its index."""
    found = {one: file_id(one) for one in (Path(f"{path}-wal"), Path(f"{path}-shm"))}
    return {one: file for one, file in found.items() if file is not None}


def data_version(tx: Tx) -> int:
    """Return a number that differs after another process has committed."""
    row = tx.one("sqlite.data_version")
    return int(row["data_version"]) if row else 0

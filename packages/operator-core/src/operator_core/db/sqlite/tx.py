"""Named statements on a connection, and SQLite's errors in Operator's words."""

import math
import os
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from operator_core.clock import block
from operator_core.db.engine import Row, Value
from operator_core.db.sqlite.seldom import TOLD, whole
from operator_core.db.sqlite.statement import Bound, Statement, named_statements
from operator_core.db.statements import alike
from operator_core.errors import (
    ConstraintError,
    LedgerBusyError,
    LedgerCorruptError,
    LedgerError,
    LedgerFullError,
    LedgerReadOnlyError,
    LedgerUnavailableError,
    RequestError,
)

BUSY_SECONDS = 5.0
"""How long a writer waits for another process before it says that the ledger is busy."""

BUSY_HANDLER_SECONDS = 0.5
"""How long SQLite itself waits for it at a time."""

SQLITE_ERRORS = (sqlite3.Error, UnicodeDecodeError)
"""What the driver raises: the second where what SQLite says repeats bytes that are no text."""

_BAD_VALUES = (sqlite3.IntegrityError, OverflowError, UnicodeEncodeError)
_NOT_A_LEDGER = (
    "not a database",
    "malformed",
    "disk image",
    "no such table",
    "no such column",
    "decode",  # of bytes that are no text
)


_IO_ERROR = "disk I/O error"
"""What SQLite says too where its shared memory finds no room: not that the disk is full."""
_OF_THE_DISK = (
    " Look into the system's log for errors of the disk, and at limits of the size of files "
    "(`ulimit -f`)."
)
_LITTLE_ROOM_BYTES = 262_144


def _room_bytes(path: Path) -> float:
    """Return how much room is left under a file; where nobody can tell, enough."""
    try:
        found = os.statvfs(path.parent)
    except OSError:
        return math.inf
    return found.f_bavail * found.f_frsize


def translate(error: sqlite3.Error | UnicodeDecodeError, path: Path) -> LedgerError:
    """Return Operator's error for one of SQLite's, saying what to do next."""
    text = str(error)
    if "locked" in text or "busy" in text:
        return LedgerBusyError(
            f"The ledger {path} is locked by another process. Try again; if it stays locked, "
            "find the process that holds it."
        )
    if "readonly" in text or "read-only" in text:
        return LedgerReadOnlyError(
            f"The ledger {path} cannot be written. Check the permissions of the file and its "
            "folder, or name another ledger with --db."
        )
    if "is full" in text or (_IO_ERROR in text and _room_bytes(path) < _LITTLE_ROOM_BYTES):
        return LedgerFullError(f"The disk under the ledger {path} is full. Free some space.")
    if any(sign in text for sign in _NOT_A_LEDGER):
        return LedgerCorruptError(
            f"{path} is not a ledger or is damaged ({text}). Restore a backup, or name another "
            "ledger with --db."
        )
    hint = _OF_THE_DISK if _IO_ERROR in text else ""
    return LedgerUnavailableError(f"The ledger {path} cannot be used: {text}.{hint}")


# The driver looks for a way to adapt each None, at greater cost than all else of a parameter:
# this tells it, and is no call of Python.
_NOTHING: dict[None, None] = {}
sqlite3.register_adapter(type(None), _NOTHING.get)


class SqliteTx:
    """Named statements on one connection."""

    def __init__(self, connection: sqlite3.Connection, writer: str) -> None:
        """Take the connection and the name of its audit chain."""
        self.writer = writer
        self._cursor = connection.cursor()
        self._cursor.row_factory = None  # rows become dicts here, which is cheaper
        self._sql = named_statements()
        self._head: tuple[int, str] | None = None
        self._audit: list[tuple[Value, ...]] = []

    # --- the life of a transaction ----------------------------------------------------

    def begin(self) -> None:
        """Note that a transaction begins: what was remembered may be old by now."""
        self._head = None
        self._audit.clear()

    def mark(self) -> tuple[tuple[int, str] | None, int]:
        """Return a place to which a failed piece of work is taken back."""
        return self._head, len(self._audit)

    def rewind(self, mark: tuple[tuple[int, str] | None, int]) -> None:
        """Forget what a failed piece of work wanted to tell the audit."""
        self._head, kept = mark
        del self._audit[kept:]

    def end(self) -> None:
        """Write the audit rows of the whole transaction; the commit comes next."""
        if self._audit:
            self._insert(self._sql["audit.insert"], self._audit)
            self._audit.clear()

    def close(self) -> None:
        """Let go of the last statement, which would keep the connection open."""
        self._cursor.close()

    # --- statements -------------------------------------------------------------------

    def one(self, name: str, /, **params: Value) -> Row | None:
        """Run a named statement and return its first row, if any."""
        rows = self.all(name, **params)
        return rows[0] if rows else None

    def all(self, name: str, /, **params: Value) -> list[Row]:
        """Run a named statement and return all its rows."""
        found = self._execute(name, params).fetchall()
        if not found:
            return []
        statement = self._sql[name]
        if not statement.columns:
            statement.columns = tuple(one[0] for one in self._cursor.description)
        columns = statement.columns
        if columns[-1] == TOLD:
            return [whole(columns, values) for values in found]
        # Each row has a value for each column: to ask that again costs as much as half a row.
        return [dict(zip(columns, values, strict=False)) for values in found]

    def run(self, name: str, /, **params: Value) -> int:
        """Run a named statement and return how many rows it changed."""
        return self._execute(name, params).rowcount

    def each(self, name: str, params: Sequence[Mapping[str, Value]], /) -> int:
        """Run a named change for each set of parameters; return how many rows it changed."""
        statement = self._sql[name]
        together = self._sql.get(f"{name}.each") if len(params) > 1 else None
        joined = alike(params) if together is not None else params
        if together is not None and len(joined) <= len(params) / 2:
            statement, params = together, joined
        try:
            values = statement.bound_each(params)
            return self._cursor.executemany(statement.changing, values).rowcount
        except _BAD_VALUES as error:
            raise _told(error) from error

    def start(self, name: str, params: Sequence[Mapping[str, Value]], /) -> Callable[[], int]:
        """Run a named change for each set of parameters, at once; return what tells its rows."""
        count = self.each(name, params)
        return lambda: count

    def later(self, name: str, params: Sequence[Mapping[str, Value]], /) -> None:
        """Run a named change for each set of parameters, at once: nothing here takes its time."""
        self.each(name, params)

    def expect(self, name: str, /, **params: Value) -> None:
        """Take no notice: an answer takes no time here."""

    def expect_new(self, kind: str, count: int) -> None:
        """Take no notice: an insert takes no time here."""

    def insert(self, name: str, params: Sequence[Mapping[str, Value]], /) -> list[int]:
        """Run a named insert for each set of parameters; return the new rows' ids."""
        statement = self._sql[name]
        try:
            return self._insert(statement, list(statement.bound_each(params)))
        except _BAD_VALUES as error:
            raise _told(error) from error

    def _insert(self, statement: Statement, rows: Sequence[Bound]) -> list[int]:
        """Insert rows; nobody else writes meanwhile, so those of one run have ids in a row."""
        if len(rows) == 1:
            self._cursor.execute(statement.changing, rows[0])
            return [int(self._cursor.lastrowid or 0)]
        ids: list[int] = []
        for text, bound, count in statement.inserts(rows):
            self._cursor.execute(text, bound)
            last = int(self._cursor.lastrowid or 0)
            ids += range(last - count + 1, last + 1)
        return ids

    def audit_head(self) -> tuple[int, str] | None:
        """Return number and hash of the last row of the audit chain, if any."""
        if self._head is None:
            row = self.one("audit.head", writer=self.writer)
            self._head = (row["seq"], row["hash"]) if row else None
        return self._head

    def append_audit(self, rows: Sequence[tuple[Value, ...]], /) -> None:
        """Take rows of the audit; `end` stores them."""
        if rows:
            self._audit += rows
            self._head = int(rows[-1][1] or 0), str(rows[-1][-1])

    def _execute(self, name: str, params: dict[str, Value]) -> sqlite3.Cursor:
        statement = self._sql[name]
        try:
            return self._cursor.execute(statement.text, statement.bound(params))
        except _BAD_VALUES as error:
            raise _told(error) from error


def _told(error: Exception) -> Exception:
    """Return an error that tells in Operator's words what is wrong with a statement's values."""
    if isinstance(error, sqlite3.IntegrityError):
        return ConstraintError(str(error))
    return RequestError(f"A value cannot be stored: {error}.")


def begin(connection: sqlite3.Connection) -> None:
    """Begin a write transaction, waiting for other processes for a while."""
    try:
        connection.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError as error:
        if not _is_busy(error):
            raise
        patiently(lambda: connection.execute("BEGIN IMMEDIATE"))


def roll_back(connection: sqlite3.Connection) -> None:
    """Undo the transaction, unless SQLite has done so itself, as on a full disk."""
    if connection.in_transaction:
        connection.execute("ROLLBACK")


def patiently(call: Callable[[], object]) -> None:
    """Call again while another process holds the file, for at most `BUSY_SECONDS`."""
    try:
        call()
    except sqlite3.OperationalError as error:
        if not _is_busy(error):
            raise
        _call_again(call)


def _call_again(call: Callable[[], object]) -> None:
    from tenacity import (  # noqa: PLC0415 - slow to import, and seldom needed
        Retrying,
        retry_if_exception,
        stop_after_delay,
        wait_random_exponential,
    )

    for attempt in Retrying(
        retry=retry_if_exception(_is_busy),
        stop=stop_after_delay(BUSY_SECONDS),
        wait=wait_random_exponential(multiplier=0.01, max=0.25),
        sleep=block,
        reraise=True,
    ):
        with attempt:
            call()


def _is_busy(error: BaseException) -> bool:
    return isinstance(error, sqlite3.OperationalError) and "locked" in str(error)

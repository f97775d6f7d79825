"""Named statements on a connection, and SQLite's errors in Operator's words."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_random_exponential

from operator_core.db.engine import Row, Value
from operator_core.db.statements import statements
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

NAME = "sqlite"
BUSY_SECONDS = 5.0
"""How long a writer waits for another process before it says that the ledger is busy."""

_NOT_A_LEDGER = ("not a database", "malformed", "disk image", "no such table", "no such column")


def translate(error: sqlite3.Error, path: Path) -> LedgerError:
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
    if "is full" in text:
        return LedgerFullError(f"The disk under the ledger {path} is full. Free some space.")
    if any(sign in text for sign in _NOT_A_LEDGER):
        return LedgerCorruptError(
            f"{path} is not a ledger or is damaged ({text}). Restore a backup, or name another "
            "ledger with --db."
        )
    return LedgerUnavailableError(f"The ledger {path} cannot be used: {text}.")


class SqliteTx:
    """Named statements on one connection."""

    def __init__(self, connection: sqlite3.Connection, writer: str) -> None:
        """Take the connection and the name of its audit chain."""
        self.writer = writer
        self._cursor = connection.cursor()
        self._cursor.row_factory = None  # rows become dicts here, which is cheaper
        self._sql = statements(NAME)
        self._columns: dict[str, tuple[str, ...]] = {}
        self._head: Row | None = None
        self._audit: list[dict[str, Value]] = []

    # --- the life of a transaction ----------------------------------------------------

    def begin(self) -> None:
        """Note that a transaction begins: what was remembered may be old by now."""
        self._head = None
        self._audit.clear()

    def mark(self) -> tuple[Row | None, int]:
        """Return a place to which a failed piece of work is taken back."""
        return self._head, len(self._audit)

    def rewind(self, mark: tuple[Row | None, int]) -> None:
        """Forget what a failed piece of work wanted to tell the audit."""
        self._head, kept = mark
        del self._audit[kept:]

    def end(self) -> None:
        """Write the audit rows of the whole transaction; the commit comes next."""
        if self._audit:
            self._cursor.executemany(self._sql["audit.insert"], self._audit)
            self._audit.clear()

    # --- statements -------------------------------------------------------------------

    def one(self, name: str, /, **params: Value) -> Row | None:
        """Run a named statement and return its first row, if any."""
        rows = self.all(name, **params)
        return rows[0] if rows else None

    def all(self, name: str, /, **params: Value) -> list[Row]:
        """Run a named statement and return all its rows."""
        if name == "audit.head" and self._head is not None:
            return [self._head]
        found = self._execute(name, params).fetchall()
        if not found:
            return []
        columns = self._columns.get(name)
        if columns is None:
            columns = self._columns[name] = tuple(one[0] for one in self._cursor.description)
        return [dict(zip(columns, values, strict=True)) for values in found]

    def run(self, name: str, /, **params: Value) -> int:
        """Run a named statement and return how many rows it changed."""
        if name == "audit.insert":
            self._audit.append(params)
            self._head = {"seq": params["seq"], "hash": params["hash"]}
            return 1
        return self._execute(name, params).rowcount

    def _execute(self, name: str, params: dict[str, Value]) -> sqlite3.Cursor:
        try:
            return self._cursor.execute(self._sql[name], params)
        except sqlite3.IntegrityError as error:
            raise ConstraintError(str(error)) from error
        except (OverflowError, UnicodeEncodeError) as error:
            raise RequestError(f"A value cannot be stored: {error}.") from error


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
    for attempt in Retrying(
        retry=retry_if_exception(_is_busy),
        stop=stop_after_delay(BUSY_SECONDS),
        wait=wait_random_exponential(multiplier=0.01, max=0.25),
        reraise=True,
    ):
        with attempt:
            call()


def _is_busy(error: BaseException) -> bool:
    return isinstance(error, sqlite3.OperationalError) and "locked" in str(error)

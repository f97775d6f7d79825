"""A ledger file that is moved elsewhere: read under its write lock, and closed with a mark.

The mark is the one of a backup: who opens the file afterwards gets a ledger that begins anew,
with another id, in observe mode and with its pending work held.
"""

import sqlite3
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from operator_core.clock import from_text
from operator_core.db import changes, safety
from operator_core.db.changes import Stamp
from operator_core.db.engine import Value
from operator_core.db.sqlite import open_files
from operator_core.db.sqlite.connection import connect
from operator_core.db.sqlite.open_files import connected
from operator_core.db.sqlite.tx import SQLITE_ERRORS, SqliteTx, begin, roll_back, translate
from operator_core.db.sqlite.upgrade import WRITER
from operator_core.errors import ConflictError, LedgerCorruptError
from operator_core.types import RunMode

MOVED = "ledger_moved"
"""The event that tells where a ledger went; it is the last one of its chain in the file."""

_TABLES = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"


@dataclass(frozen=True)
class Moved:
    """A ledger that was moved away from a file."""

    ledger_id: str
    moved_at: str


def moved_away(path: Path) -> Moved | None:
    """Return what a file says of its ledger's move; None: it was not moved.

    Args:
        path: a file that exists; it is not changed.
    """
    try:
        with connected(path) as connection:
            marked = connection.execute(
                "SELECT ledger_id, backup_at FROM ledger WHERE backup_at IS NOT NULL"
            ).fetchone()
            last = connection.execute(
                "SELECT event_type FROM audit_log WHERE writer = ? ORDER BY seq DESC LIMIT 1",
                [WRITER],
            ).fetchone()
    except SQLITE_ERRORS:
        return None  # opening it as a ledger says in words what is wrong with it
    return Moved(*marked) if marked and last == (MOVED,) else None


class CopySource:
    """An open ledger file that nobody else can write to."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Take a connection in a write transaction."""
        self._connection = connection
        self._tx = SqliteTx(connection, WRITER)
        row = self._tx.one("ledger.get")
        if row is None:
            raise LedgerCorruptError("The ledger has no id. Restore a backup.")
        self.ledger_id = str(row["ledger_id"])

    def require_idle(self, now: str, is_dead: Callable[[str], bool]) -> None:
        """Return only where nobody works on the ledger.

        Args:
            now: the present moment as text.
            is_dead: tells of an owner whether it surely runs no more.

        Raises:
            ConflictError: somebody does.
        """
        acting = {row["owner"] for row in self._tx.all("proposal.owners", owner="", now=now)}
        watching = {row["holder"] for row in self._tx.all("lease.list") if row["expires_at"] > now}
        alive = sorted(owner for owner in acting | watching if not is_dead(owner))
        if alive:
            raise ConflictError(
                f"Operator works on this ledger ({', '.join(alive)}). Stop it, wait until it has "
                "ended, and copy again; nothing was copied."
            )

    def close_down(self, target: str, stamp: Stamp) -> None:
        """Mark the ledger as moved, once this is committed.

        Args:
            target: where it goes, as it may be shown.
            stamp: who and when.
        """
        self._tx.begin()
        safety.set_mode(self._tx, RunMode.OBSERVE, stamp)
        changes.note(self._tx, MOVED, {"to": target, "ledger_id": self.ledger_id}, stamp)
        self._tx.end()
        self._tx.run("ledger.mark_backup", now=stamp.text)

    # --- what is in it ----------------------------------------------------------------

    def columns(self) -> dict[str, tuple[str, ...]]:
        """Return the columns of each table."""
        names = [row["name"] for row in self._connection.execute(_TABLES)]
        return {name: self._columns_of(name) for name in names}

    def count(self, table: str) -> int:
        """Return how many rows a table has."""
        found = self._connection.execute(f'SELECT COUNT(*) AS n FROM "{table}"')  # noqa: S608 - of the schema
        return int(found.fetchone()["n"])

    def rows(self, table: str) -> Generator[tuple[Value | bytes, ...], None, None]:
        """Return the rows of a table in the order they were made."""
        cursor = self._connection.cursor()
        cursor.row_factory = None
        yield from cursor.execute(f'SELECT * FROM "{table}" ORDER BY rowid')  # noqa: S608 - of the schema

    def last_ids(self) -> dict[str, int]:
        """Return the highest id that each table ever gave; none is given again."""
        found = self._connection.execute("SELECT name, seq FROM sqlite_sequence")
        return {row["name"]: int(row["seq"]) for row in found}

    def _columns_of(self, table: str) -> tuple[str, ...]:
        found = self._connection.execute("SELECT name FROM pragma_table_info(?)", [table])
        return tuple(row["name"] for row in found)


@contextmanager
def open_source(path: Path, stamp: Stamp) -> Iterator[CopySource]:
    """Open a ledger file for a move: committed at the end, undone where anything is raised.

    Args:
        path: the file; it is brought up to date first.
        stamp: who and when.

    Raises:
        LedgerError: it cannot be used; the message says what to do.
    """
    try:
        connection = connect(path, stamp.text)
        try:
            begin(connection)
            yield CopySource(connection)
            connection.execute("COMMIT")
        except BaseException:
            roll_back(connection)
            raise
        finally:
            open_files.close(connection)
    except SQLITE_ERRORS as error:
        raise translate(error, path) from error


def moment_of(moved: Moved) -> str:
    """Return when a ledger was moved, for people."""
    return f"{from_text(moved.moved_at):%Y-%m-%d %H:%M:%S} UTC"

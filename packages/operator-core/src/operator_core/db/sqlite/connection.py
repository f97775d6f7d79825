"""Opening a ledger file, durable and up to date."""

import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from operator_core.db.sqlite.tx import patiently, translate
from operator_core.db.sqlite.upgrade import require_ledger, upgrade
from operator_core.errors import LedgerUnavailableError

_BUSY_HANDLER_SECONDS = 0.5
_STATEMENTS_CACHED = 256


def _row(cursor: sqlite3.Cursor, values: tuple[Any, ...]) -> Mapping[str, Any]:
    return {column[0]: value for column, value in zip(cursor.description, values, strict=True)}


def connect(path: Path, now: str) -> sqlite3.Connection:
    """Open a ledger file, durable and up to date.

    Args:
        path: the file; its folder is made where it is missing.
        now: the present moment as text, for the migration's own records.

    Raises:
        LedgerError: the file cannot be used; the message says what to do.
    """
    connection = _open(path)
    try:
        connection.row_factory = _row
        patiently(lambda: require_ledger(connection))  # before the first byte is written
        patiently(lambda: _pragma(connection, "journal_mode=WAL"))
        patiently(lambda: _pragma(connection, "synchronous=FULL"))
        upgrade(connection, now)
        _pragma(connection, "foreign_keys=ON")
    except sqlite3.Error as error:
        connection.close()
        raise translate(error, path) from error
    except BaseException:
        connection.close()
        raise
    return connection


def _open(path: Path) -> sqlite3.Connection:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return sqlite3.connect(
            path,
            timeout=_BUSY_HANDLER_SECONDS,
            isolation_level=None,
            cached_statements=_STATEMENTS_CACHED,
        )
    except (OSError, sqlite3.Error) as error:
        raise LedgerUnavailableError(
            f"The ledger {path} cannot be opened: {error}. Name another one with --db."
        ) from error


def _pragma(connection: sqlite3.Connection, text: str) -> None:
    connection.execute(f"PRAGMA {text}").fetchall()

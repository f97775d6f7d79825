"""The ledger files that this process has open: SQLite's locks belong to the process.

The system takes back all locks of a process on a file when the process closes any handle of it,
and to a child that was forked it gives none of those that SQLite believes to hold there
(sqlite.org/howtocorrupt, sections 2.2 and 2.6). Without its lock a process is nobody to others:
the last of them to leave removes the log, and what is written to it afterwards is lost.

So a file is looked at past SQLite only where this process does not have it open, and what was open
when a process was forked is not opened by the child.
"""

import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from operator_core.errors import LedgerUnavailableError

FileId = tuple[int, int]
"""What tells one file from another, whatever their names."""

_LOCK = threading.RLock()
_OPEN: dict[sqlite3.Connection, FileId | None] = {}
_INHERITED: set[FileId | None] = set()


def file_id(path: Path) -> FileId | None:
    """Return what tells the file at a path from others; None: there is none.

    Raises:
        OSError: nobody can tell, as where the folder may not be entered.
    """
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found.st_dev, found.st_ino


def connect(
    path: Path,
    *,
    look: Callable[[], None] = lambda: None,
    database: str | None = None,
    **options: Any,  # noqa: ANN401 - passed on
) -> sqlite3.Connection:
    """Open a file that may be a ledger which others have open too.

    Args:
        path: the file.
        look: looks at it past SQLite before that opens it; not called where this process has it
            open already.
        database: what SQLite opens, where that is not the path itself.
        options: as `sqlite3.connect` takes them.

    Raises:
        LedgerUnavailableError: this process was forked while the file was open.
        OSError, sqlite3.Error: it cannot be opened.
    """
    with _LOCK:
        file = file_id(path)
        if file is not None and file in _INHERITED:
            raise LedgerUnavailableError(
                f"The ledger {path} was open when this process was forked, and SQLite cannot open "
                "it here any more. Start processes by 'spawn' or 'forkserver', or fork before "
                "the ledger is opened."
            )
        if file not in _OPEN.values():
            look()
        connection: sqlite3.Connection = sqlite3.connect(database or path, **options)
        _OPEN[connection] = file_id(path)  # it may be there only now
    return connection


def close(connection: sqlite3.Connection) -> None:
    """Close what `connect` gave."""
    connection.close()
    with _LOCK:
        _OPEN.pop(connection, None)


@contextmanager
def connected(path: Path, database: str | None = None) -> Iterator[sqlite3.Connection]:
    """Open a file as `connect` does, and close it at the end."""
    uri = database is not None
    connection = connect(path, database=database, isolation_level=None, uri=uri)
    try:
        yield connection
    finally:
        close(connection)


def _in_child() -> None:
    _INHERITED.update(_OPEN.values())
    _LOCK.release()


os.register_at_fork(before=_LOCK.acquire, after_in_parent=_LOCK.release, after_in_child=_in_child)

"""Opening a ledger file, durable and up to date."""

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from operator_core.db.sqlite import open_files
from operator_core.db.sqlite.disk import trouble_of_names
from operator_core.db.sqlite.log_file import held_by
from operator_core.db.sqlite.place import settle
from operator_core.db.sqlite.tx import BUSY_HANDLER_SECONDS, SQLITE_ERRORS, patiently, translate
from operator_core.db.sqlite.upgrade import require_ledger, upgrade
from operator_core.errors import LedgerCorruptError, LedgerUnavailableError

_OPTIONS: dict[str, Any] = {
    "timeout": BUSY_HANDLER_SECONDS,
    "isolation_level": None,
    "cached_statements": 256,
    "check_same_thread": False,  # the engine says whose turn it is
}
_NO_LOG = b"\x01\x01"
"""What the header of a file says (read and write version) that has no write-ahead log."""
_LOOKS = 3
_OLDEST = (3, 35)
"""The first SQLite whose statements say what they have changed (RETURNING)."""
_MAGIC, _HEADER_BYTES, _SMALLEST_PAGE_BYTES = b"SQLite format 3\0", 100, 512


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
    with _closed_if_unfit(connection, path):
        _prepare(connection, now)
        settle(connection, path, now)
        _pragma(connection, "foreign_keys=ON")
    return connection


def connect_to_memory(now: str) -> sqlite3.Connection:
    """Make a ledger that is gone with its connection, and lies nowhere.

    Args:
        now: the present moment as text.

    Raises:
        LedgerError: it cannot be made.
    """
    _require_new_enough()
    connection: sqlite3.Connection = sqlite3.connect(":memory:", **_OPTIONS)
    with _closed_if_unfit(connection, Path(":memory:")):
        _prepare(connection, now)
        _pragma(connection, "foreign_keys=ON")
    return connection


@contextmanager
def _closed_if_unfit(connection: sqlite3.Connection, path: Path) -> Iterator[None]:
    try:
        yield
    except SQLITE_ERRORS as error:
        open_files.close(connection)
        raise translate(error, path) from error
    except BaseException:
        open_files.close(connection)
        raise


def _prepare(connection: sqlite3.Connection, now: str) -> None:
    connection.row_factory = _row
    patiently(lambda: require_ledger(connection))  # before the first byte is written
    patiently(lambda: _pragma(connection, "journal_mode=WAL"))
    patiently(lambda: _pragma(connection, "synchronous=FULL"))
    upgrade(connection, now)


def _require_one_name(path: Path) -> None:
    trouble = trouble_of_names(path)
    if trouble is not None:
        raise LedgerUnavailableError(f"The ledger {path} {trouble}; nothing was changed.")


def _require_usable(path: Path) -> None:
    """Refuse a file that SQLite would harm, before it gets to it.

    Raises:
        LedgerCorruptError: it would be; nothing was changed.
        OSError: the file may not be read.
    """
    _require_whole_pages(path)
    if path.is_file():
        _require_own_log(path)


def _require_whole_pages(path: Path) -> None:
    """Refuse a file whose tail is missing: SQLite would make it up.

    A loss of power may leave half of a page that was just brought from the log into the file. The
    log has it still (ADR 61). Where an older copy was put back beside a log, it may not have it.

    Raises:
        LedgerCorruptError: neither the file nor its log has a page.
    """
    # Others may write meanwhile: what they moved between two looks is there at the next one.
    if all(_lacks_pages(path) for _ in range(_LOOKS)):
        raise LedgerCorruptError(
            f"The ledger {path} is damaged: its end is cut off, or {path}-wal belongs to another "
            "one. Restore a backup, with no -wal and -shm beside it; nothing was changed."
        )


def _lacks_pages(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            header = file.read(_HEADER_BYTES)
    except OSError:
        return False  # it is not there, or may not be read: opening it says so in words
    page_bytes = int.from_bytes(header[16:18], "big")
    if not header.startswith(_MAGIC) or page_bytes < _SMALLEST_PAGE_BYTES:
        return False  # no SQLite file, or one with pages of 64 KiB, which is written as 1
    held = held_by(Path(f"{path}-wal"), page_bytes)  # before the file, which gets what leaves it
    whole, rest = divmod(path.stat().st_size, page_bytes)
    last = max(held.size_pages, whole + bool(rest))
    return any(page not in held.pages for page in range(whole + 1, last + 1))


def _require_own_log(path: Path) -> None:
    """A restored backup has no log yet: one beside it is another ledger's, and would destroy it.

    Raises:
        LedgerCorruptError: there is one; nothing was changed.
    """
    log = Path(f"{path}-wal")
    if not log.exists() or not log.stat().st_size:
        return
    with path.open("rb") as file:  # after the look for the log, which is made after this mark
        versions = file.read(20)[18:]
    if versions == _NO_LOG:
        raise LedgerCorruptError(
            f"{log} belongs to another ledger than {path}, as after restoring a backup. Move "
            f"{log} and {path}-shm away; nothing was changed."
        )


def _require_new_enough() -> None:
    if sqlite3.sqlite_version_info < _OLDEST:
        raise LedgerUnavailableError(
            f"This Python has SQLite {sqlite3.sqlite_version}, and a ledger needs "
            f"{'.'.join(map(str, _OLDEST))} or newer: use a Python with a newer one."
        )


def _open(path: Path) -> sqlite3.Connection:
    _require_new_enough()
    try:
        if path.is_file():
            _require_one_name(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        return open_files.connect(path, look=partial(_require_usable, path), **_OPTIONS)
    except (OSError, sqlite3.Error) as error:
        raise LedgerUnavailableError(
            f"The ledger {path} cannot be opened: {error}. Name another one with --db."
        ) from error


def _pragma(connection: sqlite3.Connection, text: str) -> None:
    connection.execute(f"PRAGMA {text}").fetchall()

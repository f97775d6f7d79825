"""Backups of a ledger file, made while others write."""

import os
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from operator_core.config import whole
from operator_core.db.sqlite.open_files import connected
from operator_core.db.sqlite.tx import SQLITE_ERRORS, SqliteTx, patiently, translate
from operator_core.db.sqlite.upgrade import WRITER
from operator_core.errors import LedgerUnavailableError, RequestError

_COMPANIONS = ("-wal", "-shm", "-journal")


def back_up(source: Path, target: Path, now: str, *, force: bool) -> int:
    """Copy a ledger file as it stands at one moment, and mark the copy as a backup.

    It is written under another name and renamed once it is durable. Who writes to the ledger
    is not kept waiting.

    Args:
        source: a ledger that is up to date.
        target: where the copy goes; its folder exists.
        now: the present moment as text.
        force: whether a file that is there may be replaced.

    Returns:
        The size of the copy in bytes.

    Raises:
        RequestError: a file is there, or it is in use as a ledger.
        LedgerError: one of the two cannot be read or written.
    """
    target = whole(target.parent) / target.name
    _require_free(source, target, force=force)
    try:
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    except OSError as error:
        raise LedgerUnavailableError(
            f"The backup {target} cannot be written: {error}. Name another file."
        ) from error
    os.close(handle)
    part = Path(name)
    try:
        _copy(source, part, now)
        _require_free(source, target, force=force)
        part.replace(target)
        _make_durable(target)
        return target.stat().st_size
    except SQLITE_ERRORS as error:
        raise translate(error, target) from error
    except OSError as error:
        raise LedgerUnavailableError(f"The backup {target} failed: {error}.") from error
    finally:
        for one in (name, *(name + suffix for suffix in _COMPANIONS)):
            Path(one).unlink(missing_ok=True)


def _require_free(source: Path, target: Path, *, force: bool) -> None:
    if not target.parent.is_dir():
        raise RequestError(f"The folder {target.parent} does not exist. Make it first.")
    if target.is_dir():
        raise RequestError(f"{target} is a folder. Name a file.")
    if target.exists() and target.samefile(source):
        raise RequestError(f"{target} is the ledger itself. Name another file.")
    if any(Path(f"{target}{suffix}").exists() for suffix in _COMPANIONS):
        raise RequestError(f"{target} is in use as a ledger. Name another file.")
    if target.exists() and not force:
        raise RequestError(f"{target} exists. Name another file, or replace it with --force.")


def _copy(source: Path, part: Path, now: str) -> None:
    """All pages in one step: a snapshot, which no writer makes begin again."""
    with (
        connected(source) as ledger,
        closing(sqlite3.connect(part, isolation_level=None)) as copy,
    ):
        patiently(lambda: ledger.backup(copy, pages=-1))
        copy.execute("PRAGMA journal_mode=DELETE").fetchall()  # one file, nothing beside it
        copy.execute("PRAGMA synchronous=FULL").fetchall()
        SqliteTx(copy, WRITER).run("ledger.mark_backup", now=now)


def _make_durable(target: Path) -> None:
    for path in (target, target.parent):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

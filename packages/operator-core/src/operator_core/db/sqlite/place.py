"""Where a ledger file lies, and how far it was seen there: a state of the past begins anew.

`operator ledger backup` marks its copies. What was copied by other means carries no mark, but the
ledger says where it lies, and a file beside it says how far it was seen (ADR 81).
"""

import json
import os
import sqlite3
import threading
import uuid
from contextlib import closing, suppress
from pathlib import Path
from typing import NamedTuple

from operator_core.clock import from_text, monotonic_seconds
from operator_core.db import restore
from operator_core.db.changes import Stamp
from operator_core.db.engine import Row
from operator_core.db.sqlite.open_files import connected
from operator_core.db.sqlite.tx import SQLITE_ERRORS, SqliteTx, begin, roll_back
from operator_core.db.sqlite.upgrade import WRITER
from operator_core.logs import get_logger

log = get_logger(__name__)

SEEN = "-seen"
"""What the name of the file ends with that says how far a ledger was seen."""

_NOTED_EACH_SECONDS = 1.0
_ACTOR = "restore"


def settle(connection: sqlite3.Connection, path: Path, now: str) -> None:
    """Note where a ledger lies; one that is a state of the past begins anew.

    That is a backup, a copy beside the ledger that it was made of, and a file that lacks what was
    seen at this place. Any other is written only where it was moved.

    Args:
        connection: to a file that is up to date.
        path: the file.
        now: the present moment as text.
    """
    tx = SqliteTx(connection, WRITER)
    ledger = tx.one("ledger.get")
    if ledger is None:
        return  # who asks for its id says so
    if not _is_past(tx, ledger, path):
        if ledger["place"] != _here(path):
            _note_place(connection, tx, path)
        return
    begin(connection)
    try:
        tx.begin()
        ledger = tx.one("ledger.get") or {}  # again, now that nobody else can write
        if _is_past(tx, ledger, path):
            _begin_anew(tx, ledger, path, now)
        tx.run("ledger.note_place", place=_here(path))
        tx.end()
        connection.execute("COMMIT")
    except BaseException:
        roll_back(connection)
        raise


def adopt_copy(path: Path) -> None:
    """Let a copy that is made to be read lie where it lies, so that it is no state of the past.

    A ledger that no Operator since version 0.3 has opened says nowhere where it lies.
    """
    with suppress(*SQLITE_ERRORS), closing(sqlite3.connect(path)) as copy:
        copy.execute("PRAGMA synchronous=OFF")
        with copy:
            copy.execute("UPDATE ledger SET place = ? WHERE id = 1", [_here(path)])


class Seen(NamedTuple):
    """How far a ledger was seen: the last row of its audit."""

    ledger_id: str
    row: int
    hash: str


class SeenFile:
    """Says beside a ledger how far it was seen; used by one thread at a time.

    What it says may be late, and is never ahead of what is durable. It cannot be relied on: where
    it cannot be written, nobody learns later that something is missing.
    """

    def __init__(self, path: Path) -> None:
        """Take the ledger's file."""
        self._path = path
        self._last = _read(path)
        self._noted_seconds = 0.0

    def note_seldom(self, connection: sqlite3.Connection) -> None:
        """Note how far the ledger goes, unless that was done a moment ago."""
        if monotonic_seconds() - self._noted_seconds >= _NOTED_EACH_SECONDS:
            self.note(connection)

    def note(self, connection: sqlite3.Connection) -> None:
        """Note how far the ledger goes, outside of a transaction."""
        self._noted_seconds = monotonic_seconds()
        with suppress(*SQLITE_ERRORS, OSError):
            seen = _seen(SqliteTx(connection, WRITER))
            if seen is not None and seen != self._last:
                _write(self._path, seen)
                self._last = seen


def _begin_anew(tx: SqliteTx, ledger: Row, path: Path, now: str) -> None:
    ledger_id = uuid.uuid4().hex
    if _is_template(tx, ledger, path):
        tx.run("ledger.restore", ledger_id=ledger_id)
        return
    restore.begin_anew(tx, ledger_id, Stamp(_ACTOR, from_text(now)))
    log.warning("ledger_restored", note="it is in observe mode, and its work is held")


def _is_template(tx: SqliteTx, ledger: Row, path: Path) -> bool:
    """Return whether nobody has worked with a copy yet: there is nothing to hold in it."""
    work = tx.one("ledger.is_used") or {}
    return not (_is_restored(tx, ledger, path) or work["is_used"])


def _is_past(tx: SqliteTx, ledger: Row, path: Path) -> bool:
    return _is_restored(tx, ledger, path) or _is_beside_its_origin(
        path, ledger["place"], ledger["ledger_id"]
    )


def _is_restored(tx: SqliteTx, ledger: Row, path: Path) -> bool:
    return ledger["backup_at"] is not None or _lacks_what_was_seen(tx, path, ledger["ledger_id"])


def _is_beside_its_origin(path: Path, noted: str | None, ledger_id: str) -> bool:
    """Return whether this is a copy; what was moved left nothing behind."""
    if noted is None or noted == _here(path):
        return False
    origin = Path(noted)
    try:
        return origin.is_file() and not origin.samefile(path) and _id_of(origin) == ledger_id
    except (OSError, ValueError, sqlite3.Error):
        return False  # what cannot be read is no ledger that goes on


def _id_of(path: Path) -> str:
    """Return the id of a ledger without leaving anything beside it, as SQLite does to read a log.

    Raises:
        sqlite3.Error: it cannot be read.
    """
    at_rest = "" if Path(f"{path}-wal").exists() else "&immutable=1"
    with connected(path, f"{path.as_uri()}?mode=ro{at_rest}") as connection:
        (found,) = connection.execute("SELECT ledger_id FROM ledger WHERE id = 1").fetchone() or "?"
    return str(found)


def _lacks_what_was_seen(tx: SqliteTx, path: Path, ledger_id: str) -> bool:
    """What is noted first is durable; so the ledger is asked afterwards."""
    noted = _read(path)
    if noted is None or noted.ledger_id != ledger_id:
        return False
    newest = tx.one("audit.newest")
    if newest is None or newest["id"] < noted.row:
        return True
    row = tx.one("audit.by_id", id=noted.row)
    return row is not None and row["hash"] != noted.hash


def _note_place(connection: sqlite3.Connection, tx: SqliteTx, path: Path) -> None:
    """A file that cannot be written now says it another time."""
    with suppress(sqlite3.OperationalError):
        connection.execute("BEGIN IMMEDIATE")
        tx.run("ledger.note_place", place=_here(path))
        connection.execute("COMMIT")
    roll_back(connection)


def _here(path: Path) -> str:
    return os.path.realpath(path)


def _seen(tx: SqliteTx) -> Seen | None:
    ledger, newest = tx.one("ledger.get"), tx.one("audit.newest")
    if ledger is None or newest is None:
        return None
    return Seen(ledger["ledger_id"], newest["id"], newest["hash"])


def _read(path: Path) -> Seen | None:
    try:
        ledger_id, row, text = json.loads(Path(f"{path}{SEEN}").read_bytes())
        return Seen(str(ledger_id), int(row), str(text))
    except (OSError, ValueError, TypeError):
        return None  # there is none, or a loss of power left half of it


def _write(path: Path, seen: Seen) -> None:
    part = Path(f"{path}{SEEN}.{threading.get_native_id()}")
    try:
        part.write_text(json.dumps(seen), encoding="utf-8")
        part.replace(f"{path}{SEEN}")
    finally:
        part.unlink(missing_ok=True)

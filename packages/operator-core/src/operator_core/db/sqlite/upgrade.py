"""Bringing a ledger file to the present schema: numbered steps, once each, under a lock."""

import sqlite3
import uuid
from collections.abc import Iterator

from operator_core.db.schema import Migration, migrations
from operator_core.db.sqlite import adopt
from operator_core.db.sqlite.statement import NAME
from operator_core.db.sqlite.tx import SqliteTx, begin, roll_back
from operator_core.errors import LedgerCorruptError, LedgerVersionError

WRITER = "ledger"
"""SQLite has one writer at a time, whatever the number of processes: one audit chain."""

_RECORD_TABLE = """
CREATE TABLE schema_migrations (
    version INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_at TEXT NOT NULL)
"""
_PRESENT = frozenset({"tickets", "action_proposals", "safety", "ledger", "audit_log", "policies"})


def require_ledger(connection: sqlite3.Connection) -> None:
    """Return only for an empty file or a ledger that this version knows; nothing is written.

    Raises:
        LedgerVersionError: the file was written by a newer version.
        LedgerCorruptError: the file is some other program's database.
    """
    if not _is_ours(connection):
        raise LedgerCorruptError(
            "The file is a database of another program, not a ledger. It was not changed. Name "
            "another with --db."
        )
    known, present = migrations(NAME)[-1].version, _version(connection)
    if present > known:
        raise LedgerVersionError(
            f"The ledger has schema version {present}, this Operator knows {known}. "
            "Upgrade Operator; the ledger was not changed."
        )


def _is_ours(connection: sqlite3.Connection) -> bool:
    """Other programs have tables named tickets or schema_migrations too."""
    tables = _tables(connection)
    if "tickets" in tables and "action_proposals" not in tables:
        columns = {row["name"] for row in connection.execute("PRAGMA table_info(tickets)")}
        return "violation_key" in columns or columns == {"id"}
    return not tables or "action_proposals" in tables


def upgrade(connection: sqlite3.Connection, now: str) -> None:
    """Apply what is missing, in one transaction; a file that is up to date is not written.

    Args:
        connection: with foreign keys off, as moving old tables needs it.
        now: the present moment as text.

    Raises:
        LedgerVersionError: the file was written by a newer version.
        LedgerCorruptError: the file is some other program's database.
    """
    require_ledger(connection)
    steps = migrations(NAME)
    if _version(connection) == steps[-1].version:
        return
    begin(connection)
    try:
        _upgrade(connection, steps, now)
        connection.execute("COMMIT")
    except BaseException:
        roll_back(connection)
        raise


def _upgrade(connection: sqlite3.Connection, steps: tuple[Migration, ...], now: str) -> None:
    require_ledger(connection)  # again, now that nobody else can write
    present = _version(connection)
    old = (
        adopt.set_aside(connection, steps) if present == 0 and _is_older_file(connection) else None
    )
    made_by_hand = present == 0 and _tables(connection) >= _PRESENT
    if present == 0:
        connection.execute(_RECORD_TABLE)
    for step in steps:
        if step.version > present:
            _apply(connection, step, now, recorded_only=made_by_hand)
    tx = SqliteTx(connection, WRITER)
    if tx.one("ledger.get") is None:
        tx.one("ledger.insert", ledger_id=uuid.uuid4().hex, now=now)
    if old is not None:
        adopt.bring_back(connection, tx, old, now)
    tx.end()


def _apply(
    connection: sqlite3.Connection, step: Migration, now: str, *, recorded_only: bool
) -> None:
    """Apply one step; a file made from the schema's own text only lacks the record of it."""
    for statement in split(step.sql) if not recorded_only else ():
        connection.execute(statement)
    connection.execute(
        "INSERT INTO schema_migrations VALUES (?, ?, ?)", (step.version, step.name, now)
    )


def _version(connection: sqlite3.Connection) -> int:
    if "schema_migrations" not in _tables(connection):
        return 0
    row = connection.execute("SELECT MAX(version) AS version FROM schema_migrations").fetchone()
    return int(row["version"] or 0)


def _is_older_file(connection: sqlite3.Connection) -> bool:
    tables = _tables(connection)
    return bool(tables) and not tables >= _PRESENT


def _tables(connection: sqlite3.Connection) -> frozenset[str]:
    rows = connection.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
    )
    return frozenset(row["name"] for row in rows)


def split(script: str) -> Iterator[str]:
    """Split a script into statements; a trigger's body stays whole."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""

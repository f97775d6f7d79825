"""Bringing a ledger's database to the present schema: numbered steps, once each, under a lock.

Operators of the version before work on while a newer one upgrades (a rolling upgrade), so a
step only adds: new tables, new columns with a default, new indexes. Its file says in a line
``-- needs: N`` the oldest schema version whose operators can still work on the ledger after
it; an older one that starts then is refused and changes nothing. A step that takes something
away names itself, and comes one release after the last operator that needed it.
"""

import re
import uuid

import psycopg

from operator_core.db.postgres.connection import SCHEMA, Address, unhurried
from operator_core.db.postgres.line import Connection
from operator_core.db.postgres.place import LOCK, lock_name, settle
from operator_core.db.postgres.troubles import translate
from operator_core.db.postgres.tx import PostgresTx
from operator_core.db.schema import Migration, migrations
from operator_core.errors import (
    LedgerCorruptError,
    LedgerUnavailableError,
    LedgerVersionError,
)

NAME = "postgres"
UPGRADE_WAIT_SECONDS = 60.0
"""How long one operator waits for another that upgrades the same ledger."""

_RECORD_TABLE = """
CREATE TABLE schema_migrations (
    version BIGINT PRIMARY KEY, name TEXT NOT NULL, needs BIGINT NOT NULL,
    applied_at TEXT NOT NULL)
"""
_NEEDS = re.compile(r"^-- needs: (\d+)$", re.MULTILINE)


def upgrade(address: Address, now: str, *, unfinished: bool = False) -> str:
    """Apply what is missing, in one transaction; a ledger that is up to date is not written.

    One that was restored from a server's dump begins anew then (ADR 69).

    Args:
        address: the database.
        now: the present moment as text.
        unfinished: whether a ledger may be there that was copied and is not usable yet.

    Returns:
        Which ledger it is, and where; empty for one that may be unfinished.

    Raises:
        LedgerVersionError: a newer Operator wrote it and this one cannot work on it.
        LedgerCorruptError: the tables there are some other program's.
        LedgerUnavailableError: a copy into the database has not come to its end.
        LedgerError: it cannot be reached or written.
    """
    connection = address.connect_once("operator upgrade", lock_seconds=UPGRADE_WAIT_SECONDS)
    try:
        with connection:
            if not _is_current(connection):
                unhurried(connection)
                with connection.transaction():
                    connection.execute(LOCK, [_lock(connection)])
                    _upgrade(connection, now)
            if unfinished:
                return ""
            _require_finished(connection)
            return settle(connection, _lock(connection), now)
    except psycopg.Error as error:
        raise translate(error, str(address)) from error


def _is_current(connection: Connection) -> bool:
    known = migrations(NAME)[-1].version
    present, needs = _versions(connection)
    if present > known and needs > known:
        raise LedgerVersionError(
            f"The ledger has schema version {present} and needs an Operator that knows {needs}; "
            f"this one knows {known}. Upgrade Operator; the ledger was not changed."
        )
    return present >= known


def _upgrade(connection: Connection, now: str) -> None:
    if _is_current(connection):
        return  # another operator was first
    present, _ = _versions(connection)
    if present == 0:
        _make_room(connection)
    for step in migrations(NAME):
        if step.version > present:
            connection.execute(step.sql, prepare=False)
            values = [step.version, step.name, needs_of(step), now]
            connection.execute("INSERT INTO schema_migrations VALUES ($1, $2, $3, $4)", values)
    tx = PostgresTx(connection)
    if tx.one("ledger.get") is None:
        tx.one("ledger.insert", ledger_id=uuid.uuid4().hex, now=now)


def _require_finished(connection: Connection) -> None:
    row = PostgresTx(connection).one("ledger.get")
    if row is not None and row["backup_at"] is not None:
        raise LedgerUnavailableError(
            "A copy into this ledger has not come to its end: use the ledger that is copied, or "
            "run `operator ledger copy` again."
        )


def _make_room(connection: Connection) -> None:
    if _tables(connection):
        raise LedgerCorruptError(
            "The schema has tables of another program, and no ledger. It was not changed. Name "
            "another database with --db, or another schema by search_path in the URL's options."
        )
    if connection.execute("SELECT current_schema()").fetchone() == (None,):
        # Only then: who was given a schema may have no right to make one, not even the same.
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
    connection.execute(_RECORD_TABLE)


def needs_of(step: Migration) -> int:
    """Return the oldest schema version whose operators can work on a ledger after a step."""
    match = _NEEDS.search(step.sql)
    return int(match[1]) if match else step.version


def _versions(connection: Connection) -> tuple[int, int]:
    """Return the ledger's version and the oldest that may work on it; 0: no ledger yet."""
    if "schema_migrations" not in _tables(connection):
        return 0, 0
    try:
        row = connection.execute("SELECT MAX(version), MAX(needs) FROM schema_migrations")
    except psycopg.errors.UndefinedColumn:
        raise LedgerCorruptError(
            "The schema belongs to another program. It was not changed. Name another with --db."
        ) from None
    version, needs = row.fetchone() or (0, 0)
    return int(version or 0), int(needs or 0)


def _lock(connection: Connection) -> str:
    return lock_name(_schema(connection))


def _schema(connection: Connection) -> str:
    """Return the schema that new tables go to, which may not exist yet."""
    row = connection.execute("SELECT COALESCE(current_schema(), $1)", [SCHEMA]).fetchone()
    return str(row[0]) if row else SCHEMA


def _tables(connection: Connection) -> frozenset[str]:
    rows = connection.execute(
        "SELECT tablename FROM pg_tables WHERE schemaname = $1", [_schema(connection)]
    )
    return frozenset(row[0] for row in rows)

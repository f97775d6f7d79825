"""Where a ledger's database lies: a ledger that was restored in another place begins anew.

A server's dump carries no mark, as the backup of a file does. But each ledger says where it lies,
and what is restored from a dump says where it was dumped (ADR 69).

A standby that takes over is the same place. Where it had not received all that was acknowledged, a
process that has seen more finds its own last commit missing, and that ledger begins anew likewise.
"""

import uuid

import psycopg

from operator_core.clock import from_text, to_text, utc_now
from operator_core.db import restore
from operator_core.db.changes import Stamp
from operator_core.db.postgres.line import Connection
from operator_core.db.postgres.write_tx import WriteTx
from operator_core.errors import LedgerGoneError
from operator_core.logs import get_logger

log = get_logger(__name__)

LOCK = "SELECT pg_advisory_xact_lock(hashtext($1), 0)"
"""Held by who changes a ledger as a whole."""

_ACTOR = "restore"
_NOTED = "SELECT place FROM ledger WHERE id = 1"
_NOTE = "UPDATE ledger SET place = $1 WHERE id = 1"
_ID = "SELECT ledger_id FROM ledger WHERE id = 1"
_END_OTHERS = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND usename = current_user AND pid <> pg_backend_pid()
  AND application_name LIKE 'operator %'
"""
_RENAME = "UPDATE ledger SET ledger_id = $1 WHERE id = 1"
_IS_USED = "SELECT EXISTS (SELECT FROM audit_log)"
_OBJECTS = """
SELECT d.oid || '/' || COALESCE(to_regclass('ledger')::oid::text, 'none')
FROM pg_database d WHERE d.datname = current_database()
"""
_SERVER = "SELECT system_identifier::text FROM pg_control_system()"


def settle(connection: Connection, lock: str, now: str) -> str:
    """Note where a ledger lies; one that says that it lies elsewhere begins anew.

    Args:
        connection: to a ledger that is up to date.
        lock: what is locked by who changes this ledger as a whole.
        now: the present moment as text.

    Returns:
        Which ledger it is, as `require_same` asks.
    """
    here = place(connection)
    if _noted(connection) == here:
        return _identity(connection, here)
    with connection.transaction():
        connection.execute(LOCK, [lock])
        noted = _noted(connection)  # again, now that nobody else does so
        if noted not in {None, here}:
            _begin_anew(connection, uuid.uuid4().hex, now)
        connection.execute(_NOTE, [here])
    return _identity(connection, here)


def lock_name(schema: str) -> str:
    """Return what is locked by who changes the ledger of a schema as a whole."""
    return f"operator upgrade {schema}"


def place(connection: Connection) -> str:
    """Return what no other ledger's table has: its server's, its database's and its own number.

    A standby has the same ones, so that one which takes over is no other place.
    """
    objects = _value(connection, _OBJECTS)
    try:
        return f"{_value(connection, _SERVER)}/{objects}"
    except psycopg.errors.InsufficientPrivilege:
        return f"/{objects}"  # some who rent out servers let nobody ask


def require_same(connection: Connection, known: str, where: str) -> None:
    """Return only where a connection that was made anew leads to the same ledger.

    Args:
        connection: the connection.
        known: which ledger it was.
        where: how its address may be shown.

    Raises:
        LedgerGoneError: another one lies there now.
    """
    here = place(connection)
    if not known.startswith(f"{here} ") or _identity(connection, here) != known:
        raise LedgerGoneError(
            f"The ledger {where} was replaced while it was in use, as by restoring a dump, or has "
            "begun anew. Start this process again."
        )


def begin_anew_after_loss(connection: Connection, known: str | None, where: str) -> LedgerGoneError:
    """Let a ledger begin anew that lacks what it had acknowledged; return what ends who saw it.

    What is there is a state of the past, as in a backup. Every other process that works on it has
    to connect again, and finds that it is another ledger now.

    Args:
        connection: to the server that has taken over.
        known: which ledger it was; None: nobody looks.
        where: how its address may be shown.
    """
    with connection.transaction():
        connection.execute(LOCK, [lock_name(_value(connection, "SELECT current_schema()"))])
        if _identity(connection, place(connection)) == known:
            _begin_anew(connection, uuid.uuid4().hex, to_text(utc_now()))
    connection.execute(_END_OTHERS)
    return LedgerGoneError(
        f"The server of the ledger {where} lacks what it had acknowledged, as a standby does that "
        "took over before it had received all. The ledger begins anew: in observe mode, its "
        "pending work held. Look at what was done since, and start this process again. Only "
        "synchronous replication (synchronous_standby_names) loses nothing."
    )


def _identity(connection: Connection, here: str) -> str:
    return f"{here} {_value(connection, _ID)}"


def _begin_anew(connection: Connection, ledger_id: str, now: str) -> None:
    """In a template, which nobody has used, there is nothing to hold."""
    if _value(connection, _IS_USED) == "False":
        connection.execute(_RENAME, [ledger_id])
        return
    tx = WriteTx(connection, f"{uuid.uuid4().hex}.{_ACTOR}")
    tx.begin()
    restore.begin_anew(tx, ledger_id, Stamp(_ACTOR, from_text(now)))
    tx.end()
    tx.fetch()
    log.warning("ledger_restored", note="it is in observe mode, and its pending work is held")


def _noted(connection: Connection) -> str | None:
    row = connection.execute(_NOTED).fetchone()
    return row[0] if row else None


def _value(connection: Connection, question: str) -> str:
    row = connection.execute(question.encode()).fetchone()
    return str(row[0]) if row else ""

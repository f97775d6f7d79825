"""Files of earlier shapes: their rows are moved into the present tables, and none is lost.

Earlier files have no record of migrations, and their tables lack columns. Links to rows that
are gone become NULL, records of proposals that are gone are set aside; both are audited.
"""

import json
import re
import sqlite3
from collections.abc import Iterable
from typing import NamedTuple

from operator_core.clock import from_text
from operator_core.db import changes
from operator_core.db.changes import Stamp
from operator_core.db.engine import Row, Tx
from operator_core.db.schema import Migration
from operator_core.db.sqlite import old_rows

_MOVED = ("tickets", "workflows", "action_proposals", "action_records")
_LINKS = {
    "tickets": {},
    "workflows": {"ticket_id": "tickets"},
    "action_proposals": {
        "ticket_id": "tickets",
        "workflow_id": "workflows",
        "depends_on_proposal_id": "action_proposals",
    },
    "action_records": {},
}


class OldTables(NamedTuple):
    """The rows of an older file, and the highest ids it ever gave."""

    rows: dict[str, list[Row]]
    highest_ids: dict[str, int]


def set_aside(connection: sqlite3.Connection, steps: Iterable[Migration]) -> OldTables:
    """Read the tables of an older file and drop them, to make room for the present ones.

    A table that only happens to have a name which is ours now is kept under another name.
    """
    for table in re.findall(r"CREATE TABLE (\w+)", "".join(step.sql for step in steps)):
        if table not in _MOVED:
            _rename(connection, table)
    rows: dict[str, list[Row]] = {}
    highest: dict[str, int] = {}
    for table in _MOVED:
        rows[table] = _read(connection, table)
        highest[table] = _highest_id(connection, table)
        connection.execute(f"DROP TABLE IF EXISTS {table}")
    return OldTables(rows, highest)


def _rename(connection: sqlite3.Connection, table: str) -> None:
    named = "SELECT type, name FROM sqlite_master WHERE tbl_name = ? AND sql IS NOT NULL"
    for part in connection.execute(named, (table,)).fetchall():
        if part["type"] == "table":
            connection.execute(f"ALTER TABLE {table} RENAME TO older_{table}")
        else:
            connection.execute(f'DROP {part["type"]} "{part["name"]}"')


def bring_back(connection: sqlite3.Connection, tx: Tx, old: OldTables, now: str) -> None:
    """Write the rows of an older file into the present tables."""
    ids = {table: {row["id"] for row in rows} for table, rows in old.rows.items()}
    for table in _MOVED:
        before = {row["id"]: row for row in old.rows[table]}
        for row in _converted(table, old.rows[table], now):
            _tell_unknown(tx, table, before[row["id"]], row, now)
            if table == "action_records" and row["proposal_id"] not in ids["action_proposals"]:
                _keep_orphan(connection, tx, row, now)
                continue
            _unlink(tx, table, row, ids, now)
            _insert(connection, table, row)
        _keep_sequence(connection, table, old.highest_ids[table])
    counts = {table: len(rows) for table, rows in old.rows.items()}
    _tell(tx, "ledger_upgraded", counts, now)


def _converted(table: str, rows: list[Row], now: str) -> Iterable[Row]:
    if table == "tickets":
        return old_rows.tickets(rows, now)
    convert = {
        "workflows": old_rows.workflow,
        "action_proposals": old_rows.proposal,
        "action_records": old_rows.record,
    }[table]
    return [convert(row, now) for row in rows]


def _read(connection: sqlite3.Connection, table: str) -> list[Row]:
    known = connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (table,)).fetchone()
    if known is None:
        return []
    return connection.execute(f"SELECT * FROM {table} ORDER BY id").fetchall()  # noqa: S608 - our own table names


def _highest_id(connection: sqlite3.Connection, table: str) -> int:
    counted = connection.execute(
        "SELECT 1 FROM sqlite_master WHERE name = 'sqlite_sequence'"
    ).fetchone()
    if counted is None:
        return 0
    row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = ?", (table,)).fetchone()
    return int(row["seq"]) if row else 0


def _insert(connection: sqlite3.Connection, table: str, row: Row) -> None:
    columns = ", ".join(row)
    values = ", ".join(f":{name}" for name in row)
    connection.execute(f"INSERT INTO {table} ({columns}) VALUES ({values})", row)  # noqa: S608 - columns are those of old_rows


def _keep_sequence(connection: sqlite3.Connection, table: str, highest: int) -> None:
    """An id that was given once is never given again, even if its row is gone."""
    connection.execute("DELETE FROM sqlite_sequence WHERE name = ? AND seq < ?", (table, highest))
    if _highest_id(connection, table) < highest:
        connection.execute("INSERT INTO sqlite_sequence VALUES (?, ?)", (table, highest))


def _tell_unknown(tx: Tx, table: str, before: Row, row: Row, now: str) -> None:
    """Keep in the audit what an older row said in columns that nobody knows any more."""
    unknown = {
        name: value for name, value in before.items() if name not in row and value is not None
    }
    if unknown and table != "tickets":  # those have a column for it
        data = {"table": table, "id": row["id"], "columns": unknown}
        _tell(tx, "older_columns_kept", data, now)


def _unlink(tx: Tx, table: str, row: Row, ids: dict[str, set[int]], now: str) -> None:
    for column, target in _LINKS[table].items():
        if row[column] is not None and row[column] not in ids[target]:
            data = {"table": table, "id": row["id"], "column": column, "was": row[column]}
            _tell(tx, "orphaned_link_cleared", data, now)
            row[column] = None


def _keep_orphan(connection: sqlite3.Connection, tx: Tx, row: Row, now: str) -> None:
    connection.execute(
        "INSERT INTO orphaned_records VALUES (?, ?, ?)", (row["id"], json.dumps(row), now)
    )
    data = {"record_id": row["id"], "proposal_id": row["proposal_id"]}
    _tell(tx, "orphaned_record_set_aside", data, now)


def _tell(tx: Tx, event_type: str, data: Row, now: str) -> None:
    changes.note(tx, event_type, data, Stamp("upgrade", from_text(now)))

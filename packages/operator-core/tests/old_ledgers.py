"""Ledger files of earlier shapes, made by hand as the seeds describe them."""

import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

BARE_TICKETS = "CREATE TABLE tickets (id INTEGER PRIMARY KEY);"
OTHER_TICKETS = """
CREATE TABLE tickets (
    id INTEGER PRIMARY KEY AUTOINCREMENT, violation_key TEXT, invariant_name TEXT, message TEXT,
    severity TEXT, status TEXT, held INTEGER, first_seen_at TEXT, resolved_at TEXT,
    metric_snapshot TEXT, diagnosis TEXT, batch_key TEXT);
"""

PHASE_12 = """
CREATE TABLE action_proposals (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    ticket_id INTEGER,                    -- Optional link to ticket
    action_name TEXT NOT NULL,
    action_type TEXT NOT NULL DEFAULT 'subject',
    parameters TEXT NOT NULL,             -- JSON blob
    reason TEXT NOT NULL,
    status TEXT NOT NULL DEFAULT 'proposed',
    proposed_at TEXT NOT NULL,
    proposed_by TEXT NOT NULL DEFAULT 'agent',
    validated_at TEXT,
    cancelled_at TEXT,
    created_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP,
    FOREIGN KEY (ticket_id) REFERENCES tickets(id)
);
CREATE TABLE action_records (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    proposal_id INTEGER NOT NULL,
    started_at TEXT,
    completed_at TEXT,
    success INTEGER,                       -- 1=success, 0=failure, NULL=executing
    error_message TEXT,
    result_data TEXT,                      -- JSON blob
    created_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP,
    FOREIGN KEY (proposal_id) REFERENCES action_proposals(id)
);
CREATE INDEX idx_action_proposals_status ON action_proposals(status);
CREATE INDEX idx_action_proposals_ticket ON action_proposals(ticket_id);
CREATE INDEX idx_action_records_proposal ON action_records(proposal_id);
CREATE TRIGGER action_proposals_updated_at AFTER UPDATE ON action_proposals
BEGIN
    UPDATE action_proposals SET updated_at = CURRENT_TIMESTAMP WHERE id = NEW.id;
END;
"""
APPROVAL_COLUMNS = ("approved_at", "approved_by", "rejected_at", "rejected_by", "rejection_reason")
PHASE_14 = PHASE_12 + "".join(
    f"ALTER TABLE action_proposals ADD COLUMN {name} TEXT;\n" for name in APPROVAL_COLUMNS
)
_PHASE_15 = """
ALTER TABLE action_proposals ADD COLUMN workflow_id INTEGER;
ALTER TABLE action_proposals ADD COLUMN execution_order INTEGER DEFAULT 0;
ALTER TABLE action_proposals ADD COLUMN depends_on_proposal_id INTEGER;
ALTER TABLE action_proposals ADD COLUMN scheduled_at TEXT;
ALTER TABLE action_proposals ADD COLUMN retry_count INTEGER DEFAULT 0;
ALTER TABLE action_proposals ADD COLUMN max_retries INTEGER DEFAULT 3;
ALTER TABLE action_proposals ADD COLUMN next_retry_at TEXT;
ALTER TABLE action_proposals ADD COLUMN last_error TEXT;
CREATE TABLE workflows (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    description TEXT,
    ticket_id INTEGER,
    status TEXT NOT NULL DEFAULT 'pending',
    created_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP,
    FOREIGN KEY (ticket_id) REFERENCES tickets(id)
);
CREATE INDEX idx_action_proposals_workflow
ON action_proposals(workflow_id) WHERE workflow_id IS NOT NULL;
CREATE INDEX idx_action_proposals_scheduled
ON action_proposals(scheduled_at) WHERE scheduled_at IS NOT NULL;
CREATE INDEX idx_action_proposals_retry
ON action_proposals(next_retry_at) WHERE next_retry_at IS NOT NULL;
CREATE TRIGGER workflows_updated_at AFTER UPDATE ON workflows
BEGIN
    UPDATE workflows SET updated_at = CURRENT_TIMESTAMP WHERE id = NEW.id;
END;
"""
PHASE_15 = PHASE_14 + _PHASE_15
SHAPES = {"phase 12": PHASE_12, "phase 14": PHASE_14, "phase 15": PHASE_15}


def make(path: Path, *scripts: str) -> None:
    """Make a database file from scripts."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA synchronous=OFF")
        for script in scripts:
            connection.executescript(script)
        connection.commit()


def insert(path: Path, table: str, **columns: Any) -> None:  # noqa: ANN401 - any value
    """Insert one row."""
    names, places = ", ".join(columns), ", ".join("?" * len(columns))
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(
            f"INSERT INTO {table} ({names}) VALUES ({places})",  # noqa: S608 - a test's own names
            list(columns.values()),
        )
        connection.commit()


def insert_proposal(path: Path, **columns: Any) -> None:  # noqa: ANN401 - any value
    """Insert a proposal as the earlier code did, in naive local time."""
    usual: Mapping[str, Any] = {
        "action_name": "transfer_leader",
        "parameters": '{"region_id": 1}',
        "reason": "it is ill",
        "proposed_at": "2026-01-26T15:02:43.123456",
    }
    insert(path, "action_proposals", **{**usual, **columns})


def query(path: Path, sql: str) -> list[tuple[Any, ...]]:
    """Return the rows of a query."""
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql).fetchall()


def execute(path: Path, statements: Iterable[str]) -> None:
    """Run statements and commit."""
    with closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


def dump(path: Path) -> list[str]:
    """Return everything in a file as text."""
    with closing(sqlite3.connect(path)) as connection:
        return list(connection.iterdump())

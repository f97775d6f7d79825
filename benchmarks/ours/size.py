"""What a ledger's size costs: due queries and dispatch beside a million rows."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path
from statistics import median
from time import perf_counter

from benchmarks.model import Job, Metrics
from benchmarks.ours.agent import agent
from benchmarks.ours.dispatch import Arrivals, latencies
from benchmarks.ours.engine import opened
from benchmarks.ours.still import Still
from operator_core.db.engine import Tx

SIZES = {"1k": 1_000, "100k": 100_000, "1m": 1_000_000}
DUE = 10
_REPEATS = 200
_NOW = "2026-01-02T00:00:00.000000+00:00"

_FILL = """
WITH RECURSIVE n(i) AS (SELECT :first UNION ALL SELECT i + 1 FROM n WHERE i + 1 < :last)
INSERT INTO action_proposals (
    subject, action_name, parameters, reason, status, proposed_at, validated_at, approved_at,
    approved_by, scheduled_at)
SELECT 'bench', 'touch', '{"value": 1}', 'bench', :status, :then, :then, :then, 'bench',
       CASE WHEN :status = 'validated' THEN printf('%04d-01-01T00:00:00.%06d+00:00',
            2100 + i / 1000000, i % 1000000) END
FROM n
"""
_FILL_RECORDS = """
INSERT INTO action_records (proposal_id, started_at, completed_at, success, outcome)
SELECT id, proposed_at, proposed_at, 1, 'succeeded' FROM action_proposals
WHERE id > :after AND status = 'completed'
"""
_FILL_DUE = """
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :count)
INSERT INTO action_proposals (
    subject, action_name, parameters, reason, status, proposed_at, approved_at, approved_by,
    scheduled_at)
SELECT 'due', 'touch', '{"value": 1}', 'bench', 'validated', :then, :then, 'bench', :then FROM n
"""

_RENEW_DUE = """
UPDATE action_proposals
SET status = 'validated', approved_at = :then, approved_by = 'bench', held = 0
WHERE subject = 'due'
"""
"""A policy that comes into force takes away approvals which nobody's word stands behind."""


def history(job: Job) -> Metrics:
    """Measure beside rows that are completed, with their records."""
    return asyncio.run(_sizes(job, "completed"))


def future(job: Job) -> Metrics:
    """Measure beside rows that are approved and due in a century."""
    return asyncio.run(_sizes(job, "validated"))


async def _sizes(job: Job, status: str) -> Metrics:
    file = job.folder / "ledger.db"
    async with opened(file):
        pass  # makes the file
    _fill_due(file)
    metrics: Metrics = {}
    before = 0
    for name, rows in SIZES.items():
        if rows > int(job.options.get("most", "1000000")):
            break
        _fill(file, status, before, rows)
        _renew_due(file)
        before = rows
        metrics[f"due_{name}_us"], metrics[f"dispatch_{name}_ms"] = await _measure(file, job.tasks)
    return metrics


def _fill(file: Path, status: str, first: int, last: int) -> None:
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("PRAGMA synchronous=OFF")
        after = connection.execute("SELECT MAX(id) FROM action_proposals").fetchone()[0]
        values = {"first": first, "last": last, "status": status, "then": _NOW}
        connection.execute(_FILL, values)
        connection.execute(_FILL_RECORDS, {"after": after})


def _fill_due(file: Path) -> None:
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute(_FILL_DUE, {"count": DUE, "then": _NOW})


def _renew_due(file: Path) -> None:
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute(_RENEW_DUE, {"then": _NOW})


async def _measure(file: Path, count: int) -> tuple[float, float]:
    """Return the microseconds of the due queries and the milliseconds of a dispatch."""
    arrivals = Arrivals()
    subject = Still(arrivals.effect)
    async with opened(file, subject, approval_mode=True) as ours:
        now = ours.db.ledger.now_text()
        due = await ours.db.ledger.read(lambda tx: _due_microseconds(tx, now))
        async with agent(file, subject):
            return due, median(await latencies(ours, arrivals, count)) * 1e3


def _due_microseconds(tx: Tx, now: str) -> float:
    """Return what one look for all that is due costs in SQL alone, with ten rows due."""
    found = []
    for _ in range(_REPEATS):
        start = perf_counter()
        ready = tx.all("proposal.ready", now=now, subject="due", limit=100)
        tx.all("proposal.ready_scheduled", now=now)
        tx.all("proposal.retry_eligible", now=now)
        tx.all("proposal.expired", now=now)
        tx.one("proposal.next_due", now=now)
        found.append(perf_counter() - start)
        if len(ready) != DUE:
            raise RuntimeError(f"{len(ready)} rows are due, not {DUE}")
    return median(found) * 1e6

"""What a ledger's size costs: due queries and dispatch beside a million rows."""

import asyncio
import sqlite3
from collections.abc import Mapping
from contextlib import AsyncExitStack, closing
from functools import partial
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
_TURNS = 3
"""How often each size has its turn at dispatch. A machine's speed changes from moment to moment, so
each look has its turn."""
_NOW = "2026-01-02T00:00:00.000000+00:00"

_FILL = """
WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < :rows)
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
    most = int(job.options.get("most", "1000000"))
    files = {
        name: await _made(job.folder / f"{name}.db", status, rows)
        for name, rows in SIZES.items()
        if rows <= most
    }
    # The least of many: where the processor was as quick as it can be in the look of each size.
    due = {name: min(each) for name, each in (await _due_microseconds(files)).items()}
    dispatch: dict[str, list[float]] = {}
    for _ in range(_TURNS):
        for name, file in files.items():
            _renew_due(file)
            milliseconds = await _dispatch_milliseconds(file, -(-job.tasks // _TURNS))
            dispatch.setdefault(f"dispatch_{name}_ms", []).append(milliseconds)
    return due | {name: median(each) for name, each in dispatch.items()}


async def _made(file: Path, status: str, rows: int) -> Path:
    """Make a ledger with so many rows, and some that are due; return it."""
    async with opened(file):
        pass  # makes the file
    _fill_due(file)
    _fill(file, status, rows)
    return file


def _fill(file: Path, status: str, rows: int) -> None:
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("PRAGMA synchronous=OFF")
        after = connection.execute("SELECT MAX(id) FROM action_proposals").fetchone()[0]
        values = {"rows": rows, "status": status, "then": _NOW}
        connection.execute(_FILL, values)
        connection.execute(_FILL_RECORDS, {"after": after})


def _fill_due(file: Path) -> None:
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute(_FILL_DUE, {"count": DUE, "then": _NOW})


def _renew_due(file: Path) -> None:
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute(_RENEW_DUE, {"then": _NOW})


async def _dispatch_milliseconds(file: Path, count: int) -> float:
    arrivals = Arrivals()
    subject = Still(arrivals.effect)
    async with opened(file, subject, approval_mode=True) as ours, agent(file, subject):
        return median(await latencies(ours, arrivals, count)) * 1e3


async def _due_microseconds(files: Mapping[str, Path]) -> dict[str, list[float]]:
    """Return what each look for all that is due costs in SQL alone, with ten rows due."""
    found: dict[str, list[float]] = {}
    async with AsyncExitStack() as stack:
        ledgers = {
            name: (await stack.enter_async_context(opened(file))).db.ledger
            for name, file in files.items()
        }
        for _ in range(_REPEATS):
            for name, ledger in ledgers.items():
                seconds = await ledger.read(partial(_look_seconds, now=ledger.now_text()))
                found.setdefault(f"due_{name}_us", []).append(seconds * 1e6)
    return found


def _look_seconds(tx: Tx, now: str) -> float:
    start = perf_counter()
    ready = tx.all("proposal.ready", now=now, subject="due", limit=100)
    tx.all("proposal.ready_scheduled", now=now)
    tx.all("proposal.retry_eligible", now=now)
    tx.all("proposal.expired", now=now)
    tx.one("proposal.next_due", now=now)
    seconds = perf_counter() - start
    if len(ready) != DUE:
        raise RuntimeError(f"{len(ready)} rows are due, not {DUE}")
    return seconds

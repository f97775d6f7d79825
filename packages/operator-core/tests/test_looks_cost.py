"""What storing a look costs does not grow with what is kept, and sizes are measured."""

import json
import sqlite3
from collections.abc import Iterator

import pytest

from operator_core.db.schema import ACTIONS_SCHEMA_SQL, SCHEMA_SQL
from operator_core.db.statements import statements
from operator_core.monitor.retention import ROW_BYTES, KeptAs

SQL = statements("sqlite")
KEPT = 20_000
FEW = 10
PARAMS: dict[str, str | int] = {
    "subject": "fake",
    "kept_as": "minute",
    "before": "2026-01-01T00:00:09.000000+00:00",
    "since": "2026-01-01T00:00:00.000000+00:00",
    "until": "2026-01-02T00:00:00.000000+00:00",
    "limit": FEW,
    "ids": json.dumps(list(range(1, FEW))),
    "looks": 1,
    "size_bytes": 1,
}


@pytest.fixture(scope="module")
def history() -> Iterator[sqlite3.Connection]:
    """Make a ledger with many looks, and tickets and diagnoses that are not about them."""
    connection = sqlite3.connect(":memory:")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.executescript(SCHEMA_SQL + ACTIONS_SCHEMA_SQL)
    kinds = [kind.value for kind in KeptAs]
    connection.executemany(
        "INSERT INTO observations (subject, observed_at, complete, digest, content, size_bytes, "
        "kept_as) VALUES ('fake', ?, 1, 'd', '{}', 10, ?)",
        [
            (f"2026-01-01T{n // 3600:02}:{n // 60 % 60:02}:{n % 60:02}.000000+00:00", kinds[n % 5])
            for n in range(KEPT)
        ],
    )
    connection.executemany(
        "INSERT INTO tickets (subject, violation_key, invariant_name, message, status, "
        "first_seen_at, last_seen_at, resolved_at) "
        "VALUES ('fake', ?, 'i', 'm', 'resolved', ?, ?, ?)",
        [(f"i:{n}", *(["2025-01-01T00:00:00.000000+00:00"] * 3)) for n in range(5000)],
    )
    connection.executemany(
        "INSERT INTO diagnoses (ticket_id, observation_id, diagnoser, hypothesis, confidence, "
        "content, created_at) VALUES (1, ?, 'd', 'h', 0, '{}', '')",
        [(KEPT - n,) for n in range(5000)],
    )
    yield connection
    connection.close()


def steps_of(connection: sqlite3.Connection, name: str) -> int:
    counted = 0

    def count() -> int:
        nonlocal counted
        counted += 1
        return 0

    connection.set_progress_handler(count, 10)
    connection.execute(SQL[name], PARAMS).fetchall()
    connection.set_progress_handler(None, 0)
    return counted * 10


@pytest.mark.parametrize(
    "name",
    [
        "observation.due",
        "observation.last_kept",
        "observation.old",
        "observation.oldest",
        "observation.keep_as",
        "observation.drop",
        "ticket.spans",
        "looks.add",
        "looks.stored",
    ],
)
def test_a_statement_costs_what_it_drops_and_not_what_is_kept(
    history: sqlite3.Connection, name: str
) -> None:
    assert steps_of(history, name) < 100 * FEW


def pages_of(connection: sqlite3.Connection) -> int:
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    (size,) = connection.execute("PRAGMA page_size").fetchone()
    return int(pages) * int(size)


@pytest.mark.parametrize("length", [10, 600, 5_000, 40_000])
def test_the_size_that_is_counted_is_what_looks_take_in_the_file(length: int) -> None:
    connection = sqlite3.connect(":memory:")
    connection.executescript(SCHEMA_SQL + ACTIONS_SCHEMA_SQL)
    before, digest, looks = pages_of(connection), "d" * 64, 1000
    time = "2026-01-01T00:00:00.{:06}+00:00"
    connection.executemany(
        "INSERT INTO observations (subject, observed_at, complete, digest, content, created_at) "
        "VALUES ('tikv-prod', ?, 1, ?, ?, ?)",
        [(time.format(n), digest, "x" * length, time.format(n)) for n in range(looks)],
    )
    counted = looks * (length + ROW_BYTES)
    taken = pages_of(connection) - before
    connection.close()
    assert 0.7 * counted < taken < 1.2 * counted

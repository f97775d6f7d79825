"""The versions before this one and this one, on one ledger at the same time."""

import asyncio
import re
import signal
import sqlite3
import sys
from asyncio.subprocess import PIPE
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

import version_worker
from engine_bench import Bench, recommend
from old_version import OLD_VERSIONS, OldVersion, Unpacked
from operator_core import __version__
from operator_core.actions.types import ActionStatus, WorkflowStatus
from operator_core.agent.runner import MAX_RUNNING
from operator_core.clock import SYSTEM_CLOCK, to_text, utc_now
from operator_core.db.ledger import open_ledger
from operator_core.db.postgres import upgrade as upgrades
from operator_core.db.postgres.connection import Address
from operator_core.db.postgres.tx import numbered
from operator_core.db.postgres.upgrade import upgrade
from operator_core.db.schema import Migration, migrations
from operator_core.db.statements import parse
from operator_core.testing.clock import ManualClock
from operator_core.testing.fakes import FakeSubject

pytestmark = pytest.mark.real

NOW = to_text(utc_now())
OLDEST_SCHEMA = min(one.schema for one in OLD_VERSIONS)
ADDS = f"""-- needs: {OLDEST_SCHEMA}
ALTER TABLE action_proposals ADD COLUMN later TEXT COLLATE "C";
ALTER TABLE workflows ADD COLUMN later BIGINT NOT NULL DEFAULT 0;
CREATE TABLE later (id BIGINT PRIMARY KEY);
CREATE INDEX idx_later ON action_proposals(later);
"""
TAKES_AWAY = "ALTER TABLE action_proposals RENAME COLUMN reason TO why;"


@pytest.fixture(scope="session", params=OLD_VERSIONS, ids=lambda one: str(one.version))
def unpacked(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Unpacked:
    """Unpack an old version once."""
    old: OldVersion = request.param
    return old.unpacked(tmp_path_factory.mktemp("old"))


@pytest.fixture
def old(unpacked: Unpacked) -> OldVersion:
    """Return which one that is."""
    return unpacked.old


# --- both at work -------------------------------------------------------------------------


@asynccontextmanager
async def worker(
    version: str, *arguments: str, env: Mapping[str, str] | None = None
) -> AsyncIterator[int]:
    """Run a worker that is of this version; it is asked to stop in the end, and does so in peace.

    Gives its number as a process.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, version_worker.__file__, *arguments), stdout=PIPE, stderr=PIPE, env=env
    )
    assert process.stdout is not None
    try:
        assert (await process.stdout.readline()).decode().strip() == version
        telling = asyncio.create_task(process.communicate())  # what it logs must not fill a pipe
        yield process.pid
        process.send_signal(signal.SIGTERM)
        _, told = await telling
        assert process.returncode == 0, told.decode()
    finally:
        if process.returncode is None:
            process.kill()


def effects_in(file: Path) -> list[tuple[int, str]]:
    lines = file.read_text(encoding="ascii").splitlines() if file.exists() else []
    return [(int(line.split()[0]), line.split()[1]) for line in lines]


async def propose(one: Bench) -> None:
    """Propose more actions at once than two processes can run, and a workflow."""
    executor, many = one.executor(), 3 * MAX_RUNNING
    await asyncio.gather(*[executor.propose_action(recommend()) for _ in range(many)])
    await executor.propose_workflow("in order", "d", [recommend() for _ in range(3)])


async def waiting(one: Bench) -> int:
    """Return how many actions nobody has begun."""
    idle = (ActionStatus.PROPOSED, ActionStatus.VALIDATED)
    return sum([len(await one.db.list_proposals(status, limit=MAX_RUNNING)) for status in idle])


async def until_all_worked(one: Bench, file: Path, *pids: int) -> None:
    """Propose until each process has had another effect, and wait for the end of all work."""
    before = len(effects_in(file))
    while set(pids) - {pid for pid, _ in effects_in(file)[before:]}:
        if await waiting(one) < MAX_RUNNING:  # more would be a queue that a busy machine never ends
            await propose(one)
        await asyncio.sleep(0.1)
    for status in (ActionStatus.PROPOSED, ActionStatus.VALIDATED, ActionStatus.EXECUTING):
        while await one.db.list_proposals(status, limit=1):  # noqa: ASYNC110 - other processes
            await asyncio.sleep(0.1)


@pytest.mark.timeout(180)  # three programs start, which takes long on a busy machine
async def test_both_versions_work_on_one_ledger_while_the_new_one_upgrades_it(
    empty_database: str, unpacked: Unpacked, tmp_path: Path
) -> None:
    file, env, old = tmp_path / "effects", unpacked.environment, unpacked.old
    arguments = empty_database, str(file)
    async with worker(old.version, *arguments, env=env) as first:
        assert schema_of(empty_database) == old.schema
        async with worker(__version__, *arguments, ADDS) as second, on(empty_database) as one:
            assert schema_of(empty_database) == version_worker.LATER_VERSION
            await until_all_worked(one, file, first, second)
            async with worker(old.version, *arguments, env=env) as third:
                await until_all_worked(one, file, first, second, third)
            stored = await one.db.list_proposals()
            assert {row.status for row in stored} == {ActionStatus.COMPLETED}
            counts = Counter(key for _, key in effects_in(file))
            assert (len(counts), set(counts.values())) == (len(stored), {1})
            flows = await one.db.list_workflows()
            assert {flow.status for flow in flows} == {WorkflowStatus.COMPLETED}
            assert await one.control.first_broken_audit_row() is None


@asynccontextmanager
async def on(url: str) -> AsyncIterator[Bench]:
    ledger = await open_ledger(url)
    made = Bench(ledger, ManualClock(), FakeSubject())
    made.clock = SYSTEM_CLOCK  # type: ignore[assignment] # real processes, real time
    yield made
    await ledger.engine.close()


def schema_of(url: str) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT MAX(version) FROM operator.schema_migrations").fetchone()
    return int(row[0]) if row else 0


# --- an old one alone ---------------------------------------------------------------------


def test_an_old_one_is_refused_where_it_would_not_find_what_it_needs(
    empty_database: str, unpacked: Unpacked, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = Migration(version_worker.LATER_VERSION, "later", TAKES_AWAY)
    monkeypatch.setattr(upgrades, "migrations", lambda engine: (*migrations(engine), step))
    upgrade(Address(empty_database), NOW)
    done = unpacked.run_cli("actions", "list", "--db", empty_database)
    assert done.returncode == 5
    assert "needs an Operator that knows 9001" in done.stderr
    assert "Upgrade Operator; the ledger was not changed" in done.stderr


async def test_an_old_one_refuses_a_newer_file_and_leaves_it_alone(
    tmp_path: Path, unpacked: Unpacked
) -> None:
    path = tmp_path / "ledger.db"
    ledger = await open_ledger(path)
    await ledger.engine.close()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("INSERT INTO schema_migrations VALUES (9001, 'later', 'then')")
    before = path.read_bytes()
    done = await asyncio.to_thread(unpacked.run_cli, "actions", "list", "--db", str(path))
    assert done.returncode == 5
    knows = f"this Operator knows {unpacked.old.schema}"
    assert f"has schema version 9001, {knows}" in done.stderr
    assert "Upgrade Operator; the ledger was not changed" in done.stderr
    assert path.read_bytes() == before


# --- nothing that the old one uses is taken away --------------------------------------------

COLUMNS = """
SELECT table_name, column_name, data_type, is_nullable, column_default IS NOT NULL
FROM information_schema.columns WHERE table_schema = 'operator'
"""
RULES = """
SELECT conrelid::regclass::text, pg_get_constraintdef(oid), ARRAY(
    SELECT attname::text FROM pg_attribute
    WHERE contype IN ('c', 'f') AND attrelid = conrelid AND attnum = ANY (conkey))
FROM pg_constraint WHERE connamespace = 'operator'::regnamespace AND contype <> 'n'
UNION ALL
SELECT tablename, regexp_replace(indexdef, 'INDEX \\S+ ON', 'INDEX ON'), '{}' FROM pg_indexes
WHERE schemaname = 'operator' AND indexdef LIKE 'CREATE UNIQUE%'
"""


PLANTED = {
    "ALTER TABLE action_proposals DROP COLUMN held": "column .*'held'.* changed",
    "ALTER TABLE tickets ADD COLUMN x TEXT NOT NULL": "'x'.* must be given",
    "ALTER TABLE tickets ALTER subject SET NOT NULL": "'subject'.* changed",
    "ALTER TABLE leases ALTER fence TYPE INTEGER": "'fence'.* changed",
    "CREATE UNIQUE INDEX x ON tickets(target)": "rule .*target",
    "ALTER TABLE tickets ADD CHECK (target <> '')": "rule .*target",
    "ALTER TABLE leases DROP CONSTRAINT leases_pkey": "statement lease.acquire",
    "ALTER TABLE sightings RENAME TO seen": "statement sighting",
    "ALTER TABLE tickets ADD x TEXT DEFAULT '' UNIQUE": "rule .*UNIQUE",
    "ALTER TABLE tickets ADD x TEXT CHECK (x <> target)": "rule .*target",
    "DROP FUNCTION ledger_now CASCADE": "statement mark.put",
}
"""What no migration may do, and how it is found."""


@dataclass(frozen=True)
class Shape:
    """What a schema demands and offers."""

    columns: dict[tuple[str, str], tuple[str, str, bool]]
    rules: frozenset[tuple[str, str, tuple[str, ...]]]

    @property
    def tables(self) -> frozenset[str]:
        return frozenset(table for table, _ in self.columns)


def connected(url: str) -> "psycopg.Connection[tuple[Any, ...]]":
    return psycopg.connect(url, autocommit=True, options="-c search_path=operator")


def shape(connection: "psycopg.Connection[tuple[Any, ...]]") -> Shape:
    columns = {(row[0], row[1]): row[2:] for row in connection.execute(COLUMNS)}
    rules = frozenset((row[0], row[1], tuple(row[2])) for row in connection.execute(RULES))
    return Shape(columns, rules)


def faults(
    version: OldVersion, old: Shape, connection: "psycopg.Connection[tuple[Any, ...]]"
) -> list[str]:
    """Return what an old version would stumble over in a newer schema."""
    new = shape(connection)
    return [
        *(f"column {key} changed" for key, it in old.columns.items() if new.columns.get(key) != it),
        *(
            f"column {key} must be given"
            for key, (_, nullable, has_default) in new.columns.items()
            if key not in old.columns
            and key[0] in old.tables
            and nullable == "NO"
            and not has_default
        ),
        *(f"rule {rule}" for rule in new.rules - old.rules if _binds(rule, old)),
        *_broken_statements(version, connection),
    ]


def _binds(rule: tuple[str, str, tuple[str, ...]], old: Shape) -> bool:
    """Return whether a new rule may refuse what the old version writes.

    A check, or a reference, of nothing but new columns holds for their defaults.
    """
    table, _, columns = rule
    is_of_new_columns = bool(columns) and not any((table, one) in old.columns for one in columns)
    return table in old.tables and not is_of_new_columns


def _broken_statements(
    version: OldVersion, connection: "psycopg.Connection[tuple[Any, ...]]"
) -> list[str]:
    """Return each statement of an old version that cannot be planned."""
    texts = parse(version.sql("queries.sql")) | parse(version.sql("queries.postgres.sql"))
    found = []
    for name, text in texts.items():
        try:
            with connection.transaction(), psycopg.RawCursor(connection) as cursor:
                cursor.execute(f"EXPLAIN (GENERIC_PLAN) {numbered(text).text}".encode())
        except psycopg.Error as error:
            found.append(f"statement {name}: {error}")
    return found


def make_old_schema(version: OldVersion, url: str) -> None:
    with connected(url) as connection:
        connection.execute("CREATE SCHEMA operator")
        for step in version.migrations():
            connection.execute(step.encode())
        connection.execute(upgrades._RECORD_TABLE)


def test_no_migration_takes_away_what_an_old_one_uses(
    old: OldVersion, empty_database: str, postgres_url: str
) -> None:
    make_old_schema(old, empty_database)
    with connected(empty_database) as before, connected(postgres_url) as now:
        assert faults(old, shape(before), now) == []
    assert max(upgrades.needs_of(step) for step in migrations("postgres")) <= old.schema


def test_what_a_migration_takes_away_would_be_found(old: OldVersion, empty_database: str) -> None:
    make_old_schema(old, empty_database)
    with connected(empty_database) as connection:
        before = shape(connection)
        assert faults(old, before, connection) == []
        for statement, said in PLANTED.items():
            with connection.transaction(force_rollback=True):
                connection.execute(statement.encode())
                assert re.search(said, "\n".join(faults(old, before, connection))), statement

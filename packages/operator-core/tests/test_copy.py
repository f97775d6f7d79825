"""`operator ledger copy`: a ledger moves whole or not at all, and is used in one place."""

import asyncio
import sqlite3
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from copy_rows import MORE_ROWS
from engine_bench import Bench, bench, id_of, proposal
from operator_core.actions.types import ActionStatus, Outcome, Schedule
from operator_core.agent.diagnosis import Diagnosis
from operator_core.clock import SYSTEM_CLOCK
from operator_core.db.attempts import Ending
from operator_core.db.care import CareDB
from operator_core.db.control import ControlDB
from operator_core.db.copy import CopyReport, move_ledger
from operator_core.db.ledger import Ledger, open_ledger
from operator_core.db.postgres.copy_target import CopyTarget
from operator_core.db.schedules import ScheduleDB
from operator_core.db.verifications import VerifyDB
from operator_core.errors import (
    ApprovalRequiredError,
    ConflictError,
    LedgerCorruptError,
    LedgerUnavailableError,
    ObserveOnlyError,
    RequestError,
)
from operator_core.monitor.types import Observation, Violation
from operator_core.monitor.verification import Verification
from operator_core.owner import name_of
from operator_core.process import new_owner, this_process
from operator_core.testing.clock import ManualClock
from operator_core.testing.fakes import FakeSubject, Mode
from operator_core.types import RunMode
from shelves import shelf_of, tidying

pytestmark = pytest.mark.real

Rows = dict[str, list[dict[str, Any]]]
MANY = """
WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)
INSERT INTO action_proposals (id, {0}) SELECT i, {0} FROM n, action_proposals WHERE id = 1
"""
OF_ONE_ENGINE = {"schema_migrations", "commit_marks"}


async def copied(path: Path, url: str) -> CopyReport:
    return await move_ledger(path, url, actor="ann")


def sqlite_rows(path: Path) -> Rows:
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        tables = connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
        )
        return {
            name: [dict(row) for row in connection.execute(f"SELECT * FROM {name}")]  # noqa: S608 - our own tables
            for (name,) in tables.fetchall()
            if name not in OF_ONE_ENGINE
        }


def postgres_rows(url: str) -> Rows:
    with psycopg.connect(url, row_factory=dict_row, options="-c search_path=operator") as database:
        found = database.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'operator'")
        names = [row["tablename"] for row in found if row["tablename"] not in OF_ONE_ENGINE]
        query = "SELECT * FROM {}"
        return {name: database.execute(query.format(name).encode()).fetchall() for name in names}


def canonical(rows: Rows) -> Rows:
    """Return rows in one order, and without the one mark that tells the two ledgers apart."""
    ordered = {name: sorted(found, key=repr) for name, found in rows.items()}
    ordered["ledger"] = [{**row, "backup_at": None} for row in ordered["ledger"]]
    return {
        name: [dict(sorted(row.items())) for row in found]
        for name, found in sorted(ordered.items())
    }


@asynccontextmanager
async def lived_in(folder: Path) -> AsyncIterator[Bench]:
    """Open a ledger in a file with something in each of its tables."""
    async with bench(folder) as one:
        ticket = await one.tickets.report(
            Violation(invariant="up", target="s1", message="down\0 \u00e9 \\N \t"), subject="prod"
        )
        await one.tickets.comment(int(ticket.id or 0), author="ann", body="")
        seen = await one.tickets.record_look(Observation(subject="prod"), {}, subject="prod")
        await one.tickets.add_diagnosis(
            Diagnosis(ticket_id=ticket.id, observation_id=seen, cause="c", confidence=0.1 + 0.2)
        )
        now = one.clock.now()
        await VerifyDB(one.ledger).save(
            Verification(
                ticket_id=1, diagnosed_at=now, started_at=now, ended_at=now, baseline_id=1
            ),
            actor="monitor",
        )
        await one.control.connect_subject("prod", "fake", {"a": 1.5}, actor="ann")
        await _acted(one)
        await ScheduleDB(one.ledger).create(
            Schedule(name="n", cron="0 3 * * *", action_name="act", reason="r"), actor="ann"
        )
        with closing(sqlite3.connect(folder / "ledger.db")) as connection, connection:
            connection.executescript(MORE_ROWS)
        yield one


async def _acted(one: Bench) -> None:
    """Leave work behind in every state."""
    await one.run(await one.validated())
    one.subject.mode = Mode.FAIL
    await one.run(await one.validated())
    one.subject.mode = Mode.OK
    attempt = await one.executions.claim(await one.validated(), one.terms("gone"))
    await one.executions.finish(attempt, Ending(Outcome.UNKNOWN, "nobody knows"))
    await one.validated()
    shelf_of(one)
    await tidying(one, ("put", 1), ("put", 2))
    gone = id_of(await one.db.create_proposal(proposal()))
    with closing(sqlite3.connect(one.ledger.engine.path)) as connection, connection:  # type: ignore[attr-defined] # of a file
        connection.execute("DELETE FROM action_proposals WHERE id = ?", [gone])


# --- the whole of it ----------------------------------------------------------------------


async def test_every_row_of_every_table_is_there(tmp_path: Path, empty_database: str) -> None:
    path = tmp_path / "ledger.db"
    async with lived_in(tmp_path) as one:
        ledger_id = one.ledger.ledger_id
        last_id = (await one.db.list_proposals())[-1].id
    report = await copied(path, empty_database)
    there, here = canonical(postgres_rows(empty_database)), canonical(sqlite_rows(path))
    for rows in here.values():
        for row in rows:  # PostgreSQL stores no NUL
            row |= {key: v.replace("\0", "\ufffd") for key, v in row.items() if isinstance(v, str)}
    assert {name for name, rows in here.items() if not rows} == set()
    here["ledger"][0]["place"] = None  # it lies elsewhere, and says so when it is opened there
    assert there == here
    assert report == CopyReport(ledger_id, {name: len(rows) for name, rows in here.items()})
    async with CareDB(empty_database) as care:
        assert [found for found in await care.check() if not found.ok] == []
        assert care.ledger.ledger_id == ledger_id
        control = ControlDB(care.ledger)
        assert (await control.safety_state()).mode is RunMode.OBSERVE
        (told,) = await control.list_events(event_type="ledger_moved")
        assert told.actor == "ann"
        one = Bench(care.ledger, ManualClock(), FakeSubject())
        assert id_of(await one.db.create_proposal(proposal())) == int(last_id or 0) + 2
        assert await control.first_broken_audit_row() is None


async def test_pending_work_goes_on_there_and_only_there(
    tmp_path: Path, empty_database: str
) -> None:
    async with bench(tmp_path) as one:
        pending = await one.validated()
        still_open = one.ledger
        await copied(tmp_path / "ledger.db", empty_database)
        with pytest.raises(ObserveOnlyError):  # whoever has the file open still
            await one.executor(ledger=still_open).execute_proposal(pending, one.subject)
    async with at(empty_database) as there:
        with pytest.raises(ObserveOnlyError):
            await there.run(pending)
        await there.control.set_mode(RunMode.EXECUTE, actor="ann")
        await there.run(pending)
        (effect,) = there.subject.effects
        assert there.ledger.ledger_id in effect.idempotency_key
    async with bench(tmp_path) as left:
        assert left.ledger.ledger_id != there.ledger.ledger_id
        await left.control.set_mode(RunMode.EXECUTE, actor="ann")
        with pytest.raises(ApprovalRequiredError, match="held"):
            await left.run(pending)


@asynccontextmanager
async def at(url: str) -> AsyncIterator[Bench]:
    ledger: Ledger = await open_ledger(url)
    made = Bench(ledger, ManualClock(), FakeSubject())
    made.clock = SYSTEM_CLOCK  # type: ignore[assignment] # the server's time
    yield made
    await ledger.engine.close()


# --- interrupted --------------------------------------------------------------------------


async def test_a_copy_that_dies_on_its_way_leaves_nothing(
    tmp_path: Path, empty_database: str
) -> None:
    path = tmp_path / "ledger.db"
    async with lived_in(tmp_path) as one:
        before = canonical(sqlite_rows(path))
        ledger_id = one.ledger.ledger_id
    code = (
        "import asyncio, os, sys; from pathlib import Path;"
        "from operator_core.db.copy import move_ledger;"
        "die = lambda table, *_: os.kill(os.getpid(), 9) if table == 'audit_log' else None;"
        "asyncio.run(move_ledger(Path(sys.argv[1]), sys.argv[2], actor='a', tell=die))"
    )
    dying = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, str(path), empty_database
    )
    assert await dying.wait() == -9
    assert canonical(sqlite_rows(path)) == before
    rows = postgres_rows(empty_database)
    assert [name for name, found in rows.items() if found] == ["ledger"]
    assert (await copied(path, empty_database)).ledger_id == ledger_id


async def test_while_it_is_not_sure_that_the_file_is_closed_nobody_opens_the_copy(
    tmp_path: Path, empty_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "ledger.db"
    async with lived_in(tmp_path) as one:
        pending = await one.db.list_proposals(ActionStatus.VALIDATED)
    with monkeypatch.context() as patch:
        patch.setattr(CopyTarget, "finish", _die)
        with pytest.raises(MemoryError):
            await copied(path, empty_database)
    with pytest.raises(LedgerUnavailableError, match="not come to its end"):
        await open_ledger(empty_database)
    again = await copied(path, empty_database)
    assert again == CopyReport(one.ledger.ledger_id)
    async with at(empty_database) as there:
        assert there.ledger.ledger_id == one.ledger.ledger_id
        assert await there.db.list_proposals(ActionStatus.VALIDATED) == pending
    with pytest.raises(ConflictError, match="was moved away"):
        await copied(path, empty_database)


def _die(*_: object) -> None:
    raise MemoryError("died")


async def test_a_copy_whose_file_was_not_closed_is_replaced_by_the_next(
    tmp_path: Path, empty_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "ledger.db"
    async with lived_in(tmp_path):
        pass
    with dying_before_the_file_is_closed(monkeypatch), pytest.raises(MemoryError):
        await copied(path, empty_database)
    with pytest.raises(LedgerUnavailableError, match="not come to its end"):
        await open_ledger(empty_database)
    (tmp_path / "other").mkdir()
    async with bench(tmp_path / "other"):
        pass
    with pytest.raises(RequestError, match="holds another ledger"):
        await copied(tmp_path / "other" / "ledger.db", empty_database)
    async with bench(tmp_path) as one:  # it is as it was, and goes on
        await one.run(await one.validated())
        await one.control.set_mode(RunMode.EXECUTE, actor="ann")
    await copied(path, empty_database)
    assert len(postgres_rows(empty_database)["action_records"]) == 4


@contextmanager
def dying_before_the_file_is_closed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the process die after the one commit and before the other."""
    real = CopyTarget.filling

    @contextmanager
    def filling(self: CopyTarget, *args: Any) -> Iterator[None]:  # noqa: ANN401 - passed on
        with real(self, *args):
            yield
        raise MemoryError("died")

    with monkeypatch.context() as patch:
        patch.setattr(CopyTarget, "filling", filling)
        yield


async def test_a_copy_that_is_cancelled_stops_and_leaves_nothing(
    tmp_path: Path, empty_database: str
) -> None:
    path = tmp_path / "ledger.db"
    async with lived_in(tmp_path):
        before = canonical(sqlite_rows(path))
    loop, begun = asyncio.get_running_loop(), asyncio.Event()

    def tell(*_: object) -> None:
        loop.call_soon_threadsafe(begun.set)

    moving = asyncio.create_task(move_ledger(path, empty_database, actor="ann", tell=tell))
    await begun.wait()
    moving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await moving
    assert canonical(sqlite_rows(path)) == before


# --- refused ------------------------------------------------------------------------------


async def test_a_database_with_another_ledger_is_left_alone(
    tmp_path: Path, empty_database: str
) -> None:
    path = tmp_path / "ledger.db"
    async with at(empty_database) as there:
        await there.db.create_proposal(proposal())
    async with lived_in(tmp_path):
        before = canonical(sqlite_rows(path)), postgres_rows(empty_database)
    with pytest.raises(RequestError, match=r"another ledger already \(action_proposals"):
        await copied(path, empty_database)
    assert (canonical(sqlite_rows(path)), postgres_rows(empty_database)) == before


async def test_a_ledger_that_somebody_works_on_is_left_alone(
    tmp_path: Path, empty_database: str
) -> None:
    here = this_process()
    assert here is not None
    dead = name_of(here.__class__(here.host, here.pid, 1, here.place), "a")
    async with bench(tmp_path, clock=ManualClock(SYSTEM_CLOCK.now())) as one:
        target, other = await one.validated(), await one.validated()
        attempt = await one.executions.claim(target, one.terms(new_owner()))
        await one.executions.claim(other, one.terms(dead))
        with pytest.raises(ConflictError, match="Stop it"):
            await copied(tmp_path / "ledger.db", empty_database)
        await one.executions.finish(attempt, Ending(Outcome.SUCCEEDED))
    await copied(tmp_path / "ledger.db", empty_database)
    async with at(empty_database) as there:
        assert await there.status(other) is ActionStatus.EXECUTING


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE action_proposals SET workflow_id = 99 WHERE id = 1", "does not fit"),
        ("UPDATE diagnoses SET confidence = 'much'", "does not fit"),
        ("UPDATE tickets SET message = x'00ff'", "holds bytes"),
        ("UPDATE audit_log SET actor = 'a' || char(0) WHERE id = 1", "holds a NUL"),
    ],
)
async def test_a_damaged_row_stops_it_and_is_told(
    tmp_path: Path, empty_database: str, statement: str, said: str
) -> None:
    async with lived_in(tmp_path):
        pass
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as connection, connection:
        connection.execute(statement)
    with pytest.raises(RequestError, match=said):
        await copied(tmp_path / "ledger.db", empty_database)
    assert [name for name, found in postgres_rows(empty_database).items() if found] == ["ledger"]


async def test_a_file_that_is_no_ledger_is_told(tmp_path: Path, empty_database: str) -> None:
    with pytest.raises(RequestError, match="No ledger at"):
        await copied(tmp_path / "none.db", empty_database)
    (tmp_path / "text.db").write_text("no database " * 100, encoding="ascii")
    with pytest.raises(LedgerCorruptError):
        await copied(tmp_path / "text.db", empty_database)


async def test_a_backup_begins_anew_before_it_is_copied(
    tmp_path: Path, empty_database: str
) -> None:
    async with bench(tmp_path) as one:
        pending = await one.validated()
        await CareDB(one.ledger).backup(tmp_path / "backup.db")
    report = await copied(tmp_path / "backup.db", empty_database)
    assert report.ledger_id != one.ledger.ledger_id
    async with at(empty_database) as there:
        assert (await there.get(pending)).held


@pytest.mark.slow
async def test_a_hundred_thousand_rows_are_copied(tmp_path: Path, empty_database: str) -> None:
    async with bench(tmp_path) as one:
        await one.run(await one.validated())
    path = tmp_path / "ledger.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        columns = ", ".join(
            row[1] for row in connection.execute("PRAGMA table_info(action_proposals)")
        ).removeprefix("id, ")
        connection.execute(MANY.format(columns))
    report = await copied(path, empty_database)
    assert report.rows["action_proposals"] == 100_000
    ordered = f"SELECT {columns} FROM action_proposals ORDER BY id"  # noqa: S608 - of the schema
    with closing(sqlite3.connect(path)) as connection:
        here = connection.execute(ordered).fetchall()
    with psycopg.connect(empty_database, options="-c search_path=operator") as database:
        assert database.execute(ordered.encode()).fetchall() == here

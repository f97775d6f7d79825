"""Ledger files of each earlier shape open, keep their data, and are opened again unchanged."""

import json
import sqlite3
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import old_ledgers as old
from operator_core.actions.types import ActionProposal, ActionStatus, Outcome, WorkflowStatus
from operator_core.db.actions import ActionDB
from operator_core.db.control import ControlDB
from operator_core.db.executions import ExecutionDB
from operator_core.db.schema import ACTIONS_SCHEMA_SQL, SCHEMA_SQL, migrations
from operator_core.db.sqlite.upgrade import split
from operator_core.db.tickets import TicketDB
from operator_core.errors import LedgerError
from operator_core.monitor.types import TicketStatus


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "old.db"


@pytest.fixture(params=["America/Los_Angeles", "Asia/Kolkata"])
def zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield request.param
    monkeypatch.undo()
    time.tzset()


async def proposals(path: Path) -> list[ActionProposal]:
    async with ActionDB(path) as db:
        return await db.list_proposals()


async def events(path: Path, event_type: str) -> list[dict[str, Any]]:
    async with ControlDB(path) as db:
        assert await db.first_broken_audit_row() is None
        return [one.event_data for one in await db.list_events(event_type=event_type)]


@pytest.mark.parametrize("tickets", [old.BARE_TICKETS, old.OTHER_TICKETS], ids=["bare", "other"])
@pytest.mark.parametrize("shape", old.SHAPES)
async def test_each_shape_opens_and_keeps_its_data(file: Path, shape: str, tickets: str) -> None:
    old.make(file, tickets, old.SHAPES[shape])
    old.insert(file, "tickets", id=4)
    old.insert_proposal(file, id=7, ticket_id=4, status="completed", proposed_by="user")
    old.insert(file, "action_records", id=9, proposal_id=7, success=1, result_data='{"moved": 3}')
    async with ActionDB(file) as db:
        (kept,) = await db.list_proposals()
        (record,) = await db.list_records(7)
    assert (kept.id, kept.ticket_id, kept.status) == (7, 4, ActionStatus.COMPLETED)
    assert (kept.parameters, kept.proposed_by) == ({"region_id": 1}, "user")
    assert (record.id, record.success, record.result_data) == (9, True, {"moved": 3})
    assert record.outcome is Outcome.SUCCEEDED
    async with TicketDB(file) as stored:
        assert [ticket.id for ticket in await stored.list_tickets()] == [4]


@pytest.mark.parametrize("shape", old.SHAPES)
async def test_opening_twice_changes_nothing(file: Path, shape: str) -> None:
    old.make(file, old.BARE_TICKETS, old.SHAPES[shape])
    old.insert_proposal(file, ticket_id=99, status="executing")
    await proposals(file)
    first = old.dump(file)
    await proposals(file)
    assert old.dump(file) == first


async def test_approvals_of_phase_14_are_kept(file: Path) -> None:
    old.make(file, old.BARE_TICKETS, old.PHASE_14)
    when = "2026-01-26T15:10:00"
    old.insert_proposal(file, status="validated", approved_at=when, approved_by="alice")
    refused = {"rejected_at": when, "rejected_by": "bob", "rejection_reason": "no"}
    old.insert_proposal(file, status="cancelled", cancelled_at=when, **refused)
    approved, rejected = await proposals(file)
    assert (approved.approved_by, approved.is_approved) == ("alice", True)
    assert (rejected.rejected_by, rejected.rejection_reason) == ("bob", "no")
    assert rejected.rejected_at == rejected.cancelled_at == approved.approved_at


async def test_workflows_and_retries_of_phase_15_are_kept(file: Path) -> None:
    old.make(file, old.BARE_TICKETS, old.PHASE_15)
    old.insert(file, "tickets", id=1)
    old.insert(file, "workflows", id=3, name="drain", description="d", ticket_id=1)
    old.insert_proposal(file, workflow_id=3, execution_order=0, status="failed", retry_count=1)
    old.insert_proposal(file, workflow_id=3, execution_order=1, depends_on_proposal_id=1)
    async with ActionDB(file) as db:
        workflow = await db.get_workflow(3)
        steps = await db.list_workflow_actions(3)
    assert workflow is not None
    assert (workflow.name, workflow.status) == ("drain", WorkflowStatus.PENDING)
    assert [(step.execution_order, step.retry_count) for step in steps] == [(0, 1), (1, 0)]
    assert steps[1].depends_on_proposal_id == steps[0].id


async def test_zero_retries_stay_zero_and_missing_ones_become_three(file: Path) -> None:
    old.make(file, old.BARE_TICKETS, old.PHASE_15)
    for limit in (0, None, 5):
        old.insert_proposal(file, max_retries=limit)
    assert [one.max_retries for one in await proposals(file)] == [0, 3, 5]


async def test_an_executing_row_is_in_doubt_and_a_person_can_settle_it(file: Path) -> None:
    """Its owner is unknown, and it must neither run again nor be executing for ever."""
    old.make(file, old.BARE_TICKETS, old.PHASE_15)
    old.insert_proposal(file, id=1, status="executing")
    old.insert(file, "action_records", proposal_id=1, started_at="2026-01-26T15:02:43")
    old.insert_proposal(file, id=2, status="executing")
    for one in await proposals(file):
        assert (one.status, one.in_doubt) == (ActionStatus.EXECUTING, True)
    async with ExecutionDB(file) as db:
        assert await db.list_expired() == []
        done = await db.settle_by_person(1, happened=True, person="alice")
        undone = await db.settle_by_person(2, happened=False, person="alice")
    assert (done.success, undone.success) == (True, False)
    assert [one.status.value for one in await proposals(file)] == ["completed", "failed"]


async def test_orphaned_links_become_null_and_are_audited(file: Path) -> None:
    old.make(file, old.BARE_TICKETS, old.PHASE_15)
    old.insert_proposal(file, id=1, ticket_id=99, workflow_id=98, depends_on_proposal_id=97)
    old.insert(file, "workflows", id=2, name="w", ticket_id=96)
    (kept,) = await proposals(file)
    assert (kept.ticket_id, kept.workflow_id, kept.depends_on_proposal_id) == (None, None, None)
    told = await events(file, "orphaned_link_cleared")
    assert {(one["table"], one["column"], one["was"]) for one in told} == {
        ("action_proposals", "ticket_id", 99),
        ("action_proposals", "workflow_id", 98),
        ("action_proposals", "depends_on_proposal_id", 97),
        ("workflows", "ticket_id", 96),
    }


async def test_orphaned_records_are_set_aside_and_audited(file: Path) -> None:
    old.make(file, old.BARE_TICKETS, old.PHASE_12)
    old.insert(file, "action_records", id=5, proposal_id=77, error_message="no route", success=0)
    assert await proposals(file) == []
    assert await events(file, "orphaned_record_set_aside") == [{"record_id": 5, "proposal_id": 77}]
    ((number, content),) = old.query(file, "SELECT id, content FROM orphaned_records")
    assert (number, json.loads(content)["error_message"]) == (5, "no route")


async def test_naive_local_times_and_times_of_sqlite_become_utc(file: Path, zone: str) -> None:
    """The earlier code wrote local time; SQLite's own CURRENT_TIMESTAMP is UTC."""
    old.make(file, old.BARE_TICKETS, old.PHASE_15)
    local = datetime(2026, 1, 26, 15, 2, 43, 123456)  # noqa: DTZ001 - naive on purpose
    old.insert_proposal(file, proposed_at=local.isoformat(), created_at="2026-01-26 23:02:44")
    (kept,) = await proposals(file)
    assert kept.proposed_at == local.astimezone(UTC)
    assert kept.proposed_at.microsecond == 123456
    ((created,),) = old.query(file, "SELECT created_at FROM action_proposals")
    assert created == "2026-01-26T23:02:44.000000+00:00"


async def test_an_overdue_retry_of_an_older_file_is_due(file: Path, zone: str) -> None:
    """Pitfall 24: in Los Angeles a row that was an hour late was not seen."""
    old.make(file, old.BARE_TICKETS, old.PHASE_15)
    due = datetime.now().isoformat()  # noqa: DTZ005 - as the earlier code did
    old.insert_proposal(file, status="failed", next_retry_at=due, retry_count=1)
    async with ActionDB(file) as db:
        assert [one.id for one in await db.list_retry_eligible()] == [1]


async def test_of_two_open_tickets_for_one_problem_the_newest_stays_open(file: Path) -> None:
    old.make(file, old.OTHER_TICKETS, old.PHASE_15)
    for number in (1, 2, 3):
        old.insert(file, "tickets", id=number, violation_key="store_down:4", status="open")
    old.insert(file, "tickets", id=4, violation_key="store_down:5", status="diagnosed")
    async with TicketDB(file) as db:
        tickets = {ticket.id: ticket for ticket in await db.list_tickets()}
    states = [tickets[number].status for number in (1, 2, 3, 4)]
    resolved = TicketStatus.RESOLVED
    assert states == [resolved, resolved, TicketStatus.OPEN, TicketStatus.DIAGNOSED]
    assert tickets[1].resolution == "duplicate of ticket 2"


async def test_columns_that_nobody_knows_are_not_lost(file: Path) -> None:
    old.make(file, old.OTHER_TICKETS, old.PHASE_15)
    old.execute(file, ["ALTER TABLE action_proposals ADD COLUMN approval_token TEXT"])
    old.insert(file, "tickets", id=1, diagnosis="# The disk", batch_key="b", metric_snapshot="{}")
    old.insert_proposal(file, id=6, approval_token="abc")
    await proposals(file)
    ((kept,),) = old.query(file, "SELECT legacy_columns FROM tickets")
    assert json.loads(kept)["diagnosis"] == "# The disk"
    assert await events(file, "older_columns_kept") == [
        {"table": "action_proposals", "id": 6, "columns": {"approval_token": "abc"}}
    ]


async def test_states_that_nobody_knows_never_run(file: Path) -> None:
    old.make(file, old.BARE_TICKETS, old.PHASE_12)
    old.insert_proposal(file, status="denied", action_type="something")
    (kept,) = await proposals(file)
    assert kept.status is ActionStatus.CANCELLED
    assert kept.action_type.value == "subject"


async def test_garbage_in_text_columns_is_no_reason_not_to_open(file: Path) -> None:
    old.make(file, old.BARE_TICKETS, old.PHASE_15)
    times = dict.fromkeys(("validated_at", "scheduled_at", "next_retry_at"), "soon")
    old.insert_proposal(file, parameters="not json", proposed_at="", **times)
    old.insert_proposal(file, parameters='[1, "NaN", NaN]', proposed_at="0001-01-01T00:00:00")
    first, second = await proposals(file)
    assert first.parameters == {"value": "not json"}
    assert first.scheduled_at is None
    assert second.parameters == {"value": [1, "NaN", "NaN"]}


async def test_an_id_that_was_given_once_is_never_given_again(file: Path) -> None:
    old.make(file, old.OTHER_TICKETS, old.PHASE_15)
    for number in (5, 9):
        old.insert_proposal(file, id=number)
        old.insert(file, "tickets", id=number)
    old.execute(file, ["DELETE FROM action_proposals WHERE id = 9", "DELETE FROM tickets"])
    async with ActionDB(file) as db:
        fresh = await db.create_proposal(ActionProposal(action_name="a", reason="r"))
    assert fresh.id == 10
    assert old.query(file, "SELECT seq FROM sqlite_sequence WHERE name = 'tickets'") == [(9,)]


async def test_tables_of_others_in_the_file_are_left_alone(file: Path) -> None:
    old.make(file, old.BARE_TICKETS, old.PHASE_12, "CREATE TABLE notes (text TEXT);")
    old.insert(file, "notes", text="mine")
    old.execute(
        file,
        [
            "CREATE TABLE audit_log (id INTEGER PRIMARY KEY, said TEXT)",
            "CREATE INDEX idx_audit_log_proposal ON audit_log(said)",
            "INSERT INTO audit_log VALUES (1, 'kept')",
        ],
    )
    assert await proposals(file) == []
    assert old.query(file, "SELECT text FROM notes") == [("mine",)]
    assert old.query(file, "SELECT said FROM older_audit_log") == [("kept",)]


# --- a crash in the middle ---------------------------------------------------------------


class _Dying(sqlite3.Connection):
    """A connection whose process dies before a chosen statement."""

    at = 10**9
    count = 0

    def execute(self, *arguments: Any) -> sqlite3.Cursor:  # noqa: ANN401 - passed on
        type(self).count += 1
        if type(self).count >= type(self).at:
            raise sqlite3.OperationalError("the process died here")
        return super().execute(*arguments)


def _kill_before(monkeypatch: pytest.MonkeyPatch, statement: int) -> None:
    _Dying.at, _Dying.count = statement, 0
    real = sqlite3.connect

    def connect(*arguments: Any, **options: Any) -> sqlite3.Connection:  # noqa: ANN401 - passed on
        return real(*arguments, factory=_Dying, **options)

    monkeypatch.setattr(sqlite3, "connect", connect)


@pytest.mark.real
async def test_a_crash_at_any_statement_leaves_the_old_file_whole(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old.make(file, old.BARE_TICKETS, old.PHASE_15)
    old.insert_proposal(file, ticket_id=99, status="executing")
    old.insert(file, "action_records", proposal_id=55)
    before = old.dump(file)
    for statement in range(1, 500):
        with monkeypatch.context() as patch:
            _kill_before(patch, statement)
            try:
                await proposals(file)
            except LedgerError:
                pass
            else:
                break
        after = old.dump(file)
        assert after == before or any('INSERT INTO "schema_migrations"' in row for row in after)
    assert statement > 50
    (kept,) = await proposals(file)
    assert kept.in_doubt


# --- the schema --------------------------------------------------------------------------


def shape_of(*scripts: str) -> list[tuple[str, str, str]]:
    connection = sqlite3.connect(":memory:")
    for script in scripts:
        for statement in split(script):
            connection.execute(statement)
    rows = connection.execute("SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL")
    found = sorted((kind, name, _plain(sql)) for kind, name, sql in rows)
    connection.close()
    return found


def _plain(sql: str) -> str:
    """Return a statement on one line: a column that is added stands on no line of its own."""
    text = " ".join(sql.replace("IF NOT EXISTS ", "").split())
    return text.replace(" ,", ",").replace(" )", ")")


def test_the_schema_is_the_sum_of_the_migrations() -> None:
    summed = shape_of(*[step.sql for step in migrations("sqlite")])
    assert shape_of(SCHEMA_SQL, ACTIONS_SCHEMA_SQL) == summed


def test_migrations_are_numbered_once_each_and_alike_on_both_engines() -> None:
    versions = [step.version for step in migrations("sqlite")]
    assert versions == sorted(set(versions))
    assert versions == [step.version for step in migrations("postgres")]


@pytest.mark.parametrize("scripts", [(SCHEMA_SQL, ACTIONS_SCHEMA_SQL), (SCHEMA_SQL,)])
async def test_a_file_made_by_hand_from_the_schema_opens(
    file: Path, scripts: tuple[str, ...]
) -> None:
    old.make(file, *scripts)
    async with ActionDB(file) as db:
        fresh = await db.create_proposal(ActionProposal(action_name="a", reason="r"))
        assert await db.list_proposals() == [fresh]


async def test_an_empty_file_is_a_new_ledger(file: Path) -> None:
    file.touch()  # noqa: ASYNC240 - no disk to speak of
    assert await proposals(file) == []

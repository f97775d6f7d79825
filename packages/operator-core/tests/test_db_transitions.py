"""The SQL says what the life-cycle tables say, and a change never stands without its audit row."""

import re
import sqlite3
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest

import old_ledgers as old
from engine_bench import Bench, bench, id_of, proposal
from operator_core.actions.lifecycle import ACTION_MACHINE, WORKFLOW_MACHINE
from operator_core.actions.types import (
    ActionProposal,
    ActionStatus,
    ActionType,
    Outcome,
    WorkflowStatus,
)
from operator_core.db.engine import AUDIT_COLUMNS
from operator_core.db.postgres.tx import numbered
from operator_core.db.schema import ACTIONS_SCHEMA_SQL, SCHEMA_SQL
from operator_core.db.statements import parse, statements
from operator_core.lifecycle import Machine
from operator_core.monitor.lifecycle import TICKET_MACHINE
from operator_core.monitor.types import TicketPhase, TicketStatus
from operator_core.testing.faults import CrashError, CrashingEngine
from operator_core.types import RunMode, Severity

SQL = statements("sqlite")
ON_POSTGRES = statements("postgres")
MACHINES: dict[str, Machine[Any, Any]] = {
    "proposal": ACTION_MACHINE,
    "workflow": WORKFLOW_MACHINE,
    "ticket": TICKET_MACHINE,
}
EVENTS = [
    (kind, event)
    for kind, machine in MACHINES.items()
    for event in dict.fromkeys(event for _, event in machine.table)
]


def quoted(text: str) -> list[str]:
    return re.findall(r"'(\w+)'", text)


def of_many_rows(word: str) -> list[str]:
    """Return PostgreSQL's statements for many rows that begin with a word."""
    return [
        name for name, text in ON_POSTGRES.items() if name.endswith(".each") and word in text[:6]
    ]


# --- the SQL and the tables --------------------------------------------------------------


@pytest.mark.parametrize(("kind", "event"), EVENTS, ids=str)
def test_a_transition_leaves_and_enters_the_states_of_the_table(kind: str, event: StrEnum) -> None:
    sql = SQL[f"{kind}.{event.value}"]
    machine = MACHINES[kind]
    leaves = re.search(r"AND status IN \(([^)]*)\)", sql)
    assert leaves is not None
    assert set(quoted(leaves[1])) == {state.value for state in machine.sources(event)}
    enters = re.search(r"SET status = '(\w+)'", sql)
    assert enters is not None
    assert {machine.after(state, event).value for state in machine.sources(event)} == {enters[1]}


def test_no_other_statement_changes_a_state() -> None:
    """Rejecting is the one exception: it is cancelling, with a reason."""
    known = {f"{kind}.{event.value}" for kind, event in EVENTS} | {"proposal.reject"}
    changing = {
        name.removesuffix(".each")
        for name, sql in SQL.items()
        if re.search(r"UPDATE \w+\s+SET[^;]*\bstatus = '", sql.split("WHERE", maxsplit=1)[0])
    }
    assert changing == known
    rejects = re.search(r"AND status IN \(([^)]*)\)", SQL["proposal.reject"])
    assert rejects is not None
    assert quoted(rejects[1]) == ["proposed", "validated"]


@pytest.mark.parametrize("name", [name for name in SQL if name.endswith(".each")])
def test_a_statement_for_many_rows_does_what_the_one_for_a_row_does(name: str) -> None:
    many = SQL[name].replace("id IN (SELECT value FROM json_each(:ids))", "id = :id")
    one = SQL[name.removesuffix(".each")].removesuffix("RETURNING *")
    assert many.replace("+status", "status").split() == one.split()


@pytest.mark.parametrize("name", of_many_rows("UPDATE"))
def test_a_change_of_many_rows_on_postgresql_does_what_the_one_of_a_row_does(name: str) -> None:
    many = ON_POSTGRES[name].replace("id = ANY (translate(:ids, '[]', '{}')::bigint[])", "id = :id")
    one = ON_POSTGRES[name.removesuffix(".each")].removesuffix("RETURNING *")
    assert many.replace("status || ''", "status").split() == one.split()


@pytest.mark.parametrize("name", of_many_rows("INSERT"))
def test_an_insert_of_many_rows_on_postgresql_takes_what_the_one_of_a_row_takes(name: str) -> None:
    """A row comes as a list, so each place must mean what it means in the statement for one.

    The first place is the row's id, except in the audit, which numbers its rows itself.
    """
    one = ON_POSTGRES[name.removesuffix(".each")].removesuffix("RETURNING *").strip()
    numbers = [] if name == "audit.insert.each" else ["id"]
    places = {f":{key}": f"item->>{at}" for at, key in enumerate([*numbers, *numbered(one).names])}
    head, _, values = one.partition("VALUES")
    many = re.fullmatch(r"(.*)SELECT(.*)FROM jsonb_array_elements.*", ON_POSTGRES[name], re.DOTALL)
    assert many is not None
    columns = many[1].replace("OVERRIDING USER VALUE", "").replace("id, ", "", len(numbers))
    assert columns.split() == head.split()
    assert ("OVERRIDING USER VALUE" in many[1]) == bool(numbers)
    takes = re.sub(r"\((item->>\d+)\)::bigint", r"\1", many[2]).split(",")
    wanted = [key.strip() for key in values.strip("() \n").split(",")]
    found = [places.get(key, key) for key in wanted]
    assert [key.strip() for key in takes] == [*["item->>0"][: len(numbers)], *found]


def test_a_row_of_the_audit_is_in_the_order_of_its_insert() -> None:
    assert numbered(ON_POSTGRES["audit.insert"]).names == AUDIT_COLUMNS


@pytest.mark.parametrize(
    ("schema", "column", "words"),
    [
        (ACTIONS_SCHEMA_SQL, "action_type", ActionType),
        (ACTIONS_SCHEMA_SQL, "outcome", Outcome),
        (ACTIONS_SCHEMA_SQL, "mode", RunMode),
        (SCHEMA_SQL, "severity", Severity),
        (SCHEMA_SQL, "status", TicketStatus),
        (SCHEMA_SQL, "phase", TicketPhase),
    ],
)
def test_checks_name_the_words(schema: str, column: str, words: type[StrEnum]) -> None:
    (found,) = re.findall(rf"\b{column}\b TEXT[^,]*CHECK \({column} IN\s*\(([^)]*)\)", schema)
    assert quoted(found) == [word.value for word in words]


def test_checks_name_the_states_of_workflows_and_proposals() -> None:
    found = re.findall(r"CHECK \(status IN\s*\(([^)]*)\)", ACTIONS_SCHEMA_SQL)
    expected = [[state.value for state in words] for words in (WorkflowStatus, ActionStatus)]
    assert [quoted(text) for text in found] == expected


def test_a_statement_that_stands_twice_is_an_error() -> None:
    with pytest.raises(ValueError, match="twice"):
        parse("-- name: a\nSELECT 1\n-- name: a\nSELECT 2\n")


def test_every_statement_is_used() -> None:
    source = Path(__file__).parents[1] / "src" / "operator_core"
    text = "".join(path.read_text(encoding="utf-8") for path in source.rglob("*.py"))
    known = {f"{kind}.{event.value}" for kind, event in EVENTS}
    known |= {name for name in SQL if name.startswith("lease.")}  # their user is being written
    known |= {name for name in SQL if name.endswith(".each")}  # for many rows of what is used
    assert [name for name in SQL if name not in known and f'"{name}"' not in text] == []


# --- a change and its audit row are one transaction --------------------------------------


async def _failed(one: Bench, **columns: Any) -> int:  # noqa: ANN401 - any column
    row = proposal(status=ActionStatus.FAILED, **columns)
    return id_of(await one.db.create_proposal(row))


async def _proposed(one: Bench) -> int:
    return id_of(await one.db.create_proposal(proposal()))


CHANGES: dict[str, Callable[[Bench, int], Awaitable[object]]] = {
    "create": lambda one, _: one.db.create_proposal(proposal()),
    "validate": lambda one, n: one.executor().validate_proposal(n),
    "cancel": lambda one, n: one.db.cancel_proposal(n),
    "reject": lambda one, n: one.db.reject_proposal(n),
    "approve": lambda one, n: one.db.approve_proposal(n),
    "schedule": lambda one, n: one.db.update_scheduled_at(n, one.clock.now()),
    "status": lambda one, n: one.db.update_proposal_status(n, ActionStatus.CANCELLED),
    "cancel all": lambda one, _: one.db.cancel_all_pending(),
    "kill": lambda one, _: one.safety.kill(),
    "workflow": lambda one, _: one.db.create_workflow("w", "d", [proposal()]),
}
RETRY_CHANGES: dict[str, Callable[[Bench, int], Awaitable[object]]] = {
    "count": lambda one, n: one.db.increment_retry_count(n, "e"),
    "next": lambda one, n: one.db.update_next_retry(n, one.clock.now()),
    "reset": lambda one, n: one.db.reset_for_retry(n),
    "schedule retry": lambda one, n: one.executor().schedule_next_retry(n, "e"),
}
ALL_CHANGES = {**CHANGES, **RETRY_CHANGES}


@pytest.mark.parametrize("name", ALL_CHANGES)
async def test_a_crash_leaves_a_change_and_its_audit_row_or_neither(
    tmp_path: Path, name: str
) -> None:
    """Pitfall 50."""
    async with bench(tmp_path) as one:
        make = _failed if name in RETRY_CHANGES else _proposed
        target = await make(one)
        whole, path = one.ledger.engine, tmp_path / "ledger.db"
        before = old.dump(path)
        for place in range(1, 60):
            one.ledger.engine = CrashingEngine(whole, at_statement=place)
            try:
                await ALL_CHANGES[name](one, target)
            except CrashError:
                assert old.dump(path) == before
            else:
                break
        one.ledger.engine = whole
        assert place > 1
        assert await one.control.first_broken_audit_row() is None


@pytest.mark.parametrize(
    ("status", "event"),
    [
        (ActionStatus.VALIDATED, "proposal_validated"),
        (ActionStatus.CANCELLED, "proposal_cancelled"),
    ],
)
async def test_a_transition_writes_exactly_one_audit_row(
    tmp_path: Path, status: ActionStatus, event: str
) -> None:
    async with bench(tmp_path) as one:
        target = await _proposed(one)
        await one.db.update_proposal_status(target, status)
        assert await one.events(target) == ["proposal_created", event]


async def test_the_life_of_an_action_is_told_in_order(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        target = await one.validated()
        await one.run(target)
        assert await one.events(target) == [
            "proposal_created",
            "proposal_validated",
            "proposal_approved",
            "execution_started",
            "execution_completed",
        ]


async def test_approvals_name_the_person(tmp_path: Path) -> None:
    """Pitfall 51: who approved and who rejected stands in the audit."""
    async with bench(tmp_path) as one:
        first, second = await _proposed(one), await _proposed(one)
        await one.db.approve_proposal(first, approved_by="alice")
        await one.db.reject_proposal(second, rejected_by="bob", reason="not now")
        told = [(e.event_type, e.actor) for e in await one.auditor.list_events()]
        assert ("proposal_approved", "alice") in told
        assert ("proposal_rejected", "bob") in told


# --- due queries -------------------------------------------------------------------------

DUE = ["proposal.ready", "proposal.ready_scheduled", "proposal.retry_eligible"]
DUE += ["proposal.expired", "proposal.next_due", "proposal.executing", "proposal.pending"]
DUE += ["proposal.waiting_retry"]


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(tmp_path_factory.mktemp("history") / "h.db")
    connection.executescript(SCHEMA_SQL + ACTIONS_SCHEMA_SQL)
    row = "('a', '{}', 'r', ?, '2026-01-26T15:00:00.000000+00:00')"
    connection.executemany(
        "INSERT INTO action_proposals (action_name, parameters, reason, status, proposed_at) "  # noqa: S608 - our own text
        f"VALUES {row}",
        [(status,) for status in ("completed", "failed", "cancelled") for _ in range(3_334)],
    )
    yield connection
    connection.close()


NOW = "2026-01-26T15:00:00.000000+00:00"
PARAMS = {
    "now": NOW,
    "status": "proposed",
    "later": NOW,
    "limit": 100,
    "subject": None,
    "owner": "b",
}


@pytest.mark.parametrize(
    ("name", "index"),
    [
        ("proposal.ready", "due"),
        ("proposal.ready_scheduled", "due"),
        ("proposal.next_due", "due|retry_due|leases"),
        ("proposal.resend_due", "leases"),
        ("proposal.retry_eligible", "retry_due"),
        ("proposal.waiting_retry", "retry_due"),
        ("proposal.expired", "leases"),
        ("proposal.executing", "leases|status"),
        ("proposal.pending", "status"),
        ("proposal.pending_alone", "status"),
        ("proposal.leased", "leases|status"),
        ("proposal.waits_ahead", "retry_due|leases|workflow"),
    ],
)
def test_due_queries_walk_the_index_of_what_waits(
    history: sqlite3.Connection, name: str, index: str
) -> None:
    """Pitfall 55: not the whole table, nor all rows of a state that has a history."""
    plan = [row[3] for row in history.execute(f"EXPLAIN QUERY PLAN {SQL[name]}", PARAMS)]
    plan = [re.sub(r" TABLE (\w+ AS )?", " ", line) for line in plan]  # as before SQLite 3.36
    touched = [line for line in plan if re.match(r"(SEARCH|SCAN) (p|action_proposals)\b", line)]
    assert touched
    for line in touched:
        found = rf"SEARCH .* idx_action_proposals_({index}) \((status|workflow_id)=\?"
        assert re.search(found, line), plan


def steps_of(connection: sqlite3.Connection, sql: str, params: dict[str, Any]) -> int:
    counted = 0

    def count() -> int:
        nonlocal counted
        counted += 1
        return 0

    connection.set_progress_handler(count, 10)
    connection.execute(sql, params).fetchall()
    connection.set_progress_handler(None, 0)
    return counted * 10


@pytest.mark.parametrize("name", DUE)
def test_due_queries_cost_nothing_while_nothing_is_due(
    history: sqlite3.Connection, name: str
) -> None:
    assert steps_of(history, SQL[name], PARAMS) < 200


# --- the audit chain ---------------------------------------------------------------------


async def _audited(one: Bench) -> None:
    for _ in range(3):
        await one.run(await one.validated())
    assert await one.control.first_broken_audit_row() is None


TAMPERING = {
    "data": "UPDATE audit_log SET event_data = '{}' WHERE id = 4",
    "actor": "UPDATE audit_log SET actor = 'mallory' WHERE id = 4",
    "time": "UPDATE audit_log SET timestamp = '2020-01-01T00:00:00.000000+00:00' WHERE id = 4",
    "proposal": "UPDATE audit_log SET proposal_id = 3 WHERE id = 4",
    "hash": "UPDATE audit_log SET hash = prev_hash WHERE id = 4",
    "row gone": "DELETE FROM audit_log WHERE id = 4",
    "first row gone": "DELETE FROM audit_log WHERE id = 1",
    "order": "UPDATE audit_log SET seq = 1000 - seq WHERE id IN (4, 5)",
    "row added": "INSERT INTO audit_log (writer, seq, timestamp, event_type, actor, event_data, "
    "prev_hash, hash) SELECT writer, 999, timestamp, event_type, actor, '{}', hash, hash "
    "FROM audit_log ORDER BY id DESC LIMIT 1",
}


@pytest.mark.parametrize("how", TAMPERING)
async def test_tampering_with_the_audit_is_found(tmp_path: Path, how: str) -> None:
    async with bench(tmp_path) as one:
        await _audited(one)
        with closing(sqlite3.connect(tmp_path / "ledger.db")) as connection:
            connection.execute(TAMPERING[how])
            connection.commit()
        assert await one.control.first_broken_audit_row() is not None


async def test_the_chain_goes_on_over_restarts_and_other_processes(tmp_path: Path) -> None:
    for _ in range(3):
        async with bench(tmp_path) as one:
            await _audited(one)
    numbers = old.query(tmp_path / "ledger.db", "SELECT seq FROM audit_log ORDER BY id")
    assert [number for (number,) in numbers] == list(range(1, len(numbers) + 1))


async def test_what_is_no_json_is_told_in_words(tmp_path: Path) -> None:
    """The audit must not refuse a line because of what somebody put into it."""
    async with bench(tmp_path) as one:
        odd = {"when": one.clock.now(), "nan": float("nan"), "mixed": {1: "a", "b": 2}}
        await one.auditor.log_event(event_type="odd", event_data=odd)
        (event,) = await one.auditor.list_events(event_type="odd")
        assert event.event_data["nan"] == "nan"
        assert await one.control.first_broken_audit_row() is None


def test_a_model_has_no_field_that_the_ledger_lacks() -> None:
    columns = set(re.findall(r"^    (\w+) (?:TEXT|INTEGER)", ACTIONS_SCHEMA_SQL, re.MULTILINE))
    assert set(ActionProposal.model_fields) <= columns

"""Statements on PostgreSQL: how many messages work takes, and that rows are found by their ids."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator

import psycopg
import pytest

from engine_bench import Bench, id_of, proposal, recommend
from operator_core.actions.cage import asking
from operator_core.actions.policy import load
from operator_core.actions.types import ActionStatus, SafetyMode
from operator_core.clock import SYSTEM_CLOCK, to_text
from operator_core.db.engine import Row, Tx, Value
from operator_core.db.ledger import open_ledger
from operator_core.db.policy import PolicyDB
from operator_core.db.postgres.connection import Address
from operator_core.db.postgres.line import Connection, Line
from operator_core.db.postgres.tx import numbered
from operator_core.db.postgres.upgrade import upgrade
from operator_core.db.statements import statements
from operator_core.testing.clock import ManualClock
from operator_core.testing.fakes import FakeSubject

pytestmark = pytest.mark.real

NOW = "2026-01-01T00:00:00.000000+00:00"
MESSAGES_A_LIFE_CYCLE = 11
MESSAGES_A_CLAIM_UNDER_A_POLICY = 3


@pytest.fixture
def connection(postgres_url: str) -> Iterator[Connection]:
    upgrade(Address(postgres_url), to_text(SYSTEM_CLOCK.now()))
    with Address(postgres_url).connect("test") as connection:
        yield connection


def test_what_comes_after_a_failed_statement_is_not_run(connection: Connection) -> None:
    line = Line(connection)
    before = line.say("SELECT 1 AS one")
    line.say("SELECT 1 / $1::bigint", [b"0"])
    after = line.say("SELECT 2 AS two")
    with pytest.raises(psycopg.errors.DivisionByZero):
        line.fetch()
    assert (before.rows(), after.rows(), after.result) == ([{"one": 1}], [], None)
    again = line.say("SELECT 2 AS two")
    line.fetch()
    assert again.rows() == [{"two": 2}]


def test_statements_stay_prepared_when_a_transaction_is_taken_back(connection: Connection) -> None:
    line = Line(connection)
    for _ in range(3):
        line.command("BEGIN")
        answer = line.say("SELECT $1::text AS said, NULL AS nothing", ["é".encode()])
        line.fetch()
        connection.execute("ROLLBACK")
        assert answer.rows() == [{"said": "é", "nothing": None}]


def test_the_same_statement_twice_in_a_message_has_an_answer_each(connection: Connection) -> None:
    line = Line(connection)
    answers = [line.say("SELECT $1::bigint AS n", [b"%d" % n]) for n in range(300)]
    line.fetch()
    assert [answer.rows() for answer in answers] == [[{"n": n}] for n in range(300)]
    assert {answer.count for answer in answers} == {1}


def test_what_was_forgotten_is_not_said(connection: Connection) -> None:
    line = Line(connection)
    answer = line.command("BEGIN")
    line.forget()
    line.fetch()
    assert answer.done == ""


def counting(sent: Counter[str]) -> Callable[[Line], None]:
    """Return what counts the messages that are sent, and sends them."""
    fetch = Line.fetch

    def counted(line: Line) -> None:
        sent["messages"] += bool(line._waiting or line._sent)
        fetch(line)

    return counted


async def test_a_life_cycle_takes_few_messages(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: Counter[str] = Counter()
    counted = counting(sent)
    ledger = await open_ledger(postgres_url)
    one = Bench(ledger, ManualClock(), FakeSubject())
    await one.control.set_mode(SafetyMode.EXECUTE, actor="test")
    executor = one.executor()
    for is_counted in (False, True, True):  # the writers prepare their statements first
        if is_counted:
            monkeypatch.setattr(Line, "fetch", counted)
        proposal_id = id_of(await executor.propose_action(recommend()))
        await executor.validate_proposal(proposal_id)
        assert (await executor.execute_proposal(proposal_id, one.subject)).success
    await ledger.engine.close()
    assert sent["messages"] <= 2 * MESSAGES_A_LIFE_CYCLE + 4  # and what closing says


async def test_a_claim_under_a_policy_takes_few_messages(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: Counter[str] = Counter()
    monkeypatch.setattr(Line, "fetch", counting(sent))
    ledger, took = await open_ledger(postgres_url), []
    one = Bench(ledger, ManualClock(), FakeSubject())
    await one.control.set_mode(SafetyMode.EXECUTE, actor="test")
    await PolicyDB(ledger).enforce(load(asking(["ann"])), source="test", actor="ann")
    for _ in range(3):
        target = await one.validated()
        await one.db.approve_proposal(target, "ann")
        sent.clear()
        await one.executions.claim(target, one.terms("me"))
        took.append(sent["messages"])
    await ledger.engine.close()
    assert min(took) == MESSAGES_A_CLAIM_UNDER_A_POLICY
    assert max(took) <= MESSAGES_A_CLAIM_UNDER_A_POLICY + 1  # a writer asks once for its chain


async def test_many_claims_under_a_policy_take_no_more_messages_than_one(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each asked for its last decision and its words by itself, and waited."""
    sent: Counter[str] = Counter()
    monkeypatch.setattr(Line, "fetch", counting(sent))
    ledger = await open_ledger(postgres_url)
    one = Bench(ledger, ManualClock(), FakeSubject())
    await one.control.set_mode(SafetyMode.EXECUTE, actor="test")
    await PolicyDB(ledger).enforce(load(asking(["ann"])), source="test", actor="ann")
    targets = [await one.validated() for _ in range(10)]
    for target in targets:
        await one.db.approve_proposal(target, "ann")
    sent.clear()
    await asyncio.gather(*(one.executions.claim(target, one.terms("me")) for target in targets))
    await ledger.engine.close()
    assert sent["messages"] <= MESSAGES_A_CLAIM_UNDER_A_POLICY + 4  # and what closing says


async def test_an_answer_is_asked_again_where_a_decision_changed_it(postgres_url: str) -> None:
    ledger = await open_ledger(postgres_url)
    one = Bench(ledger, ManualClock(), FakeSubject())
    first, second = [id_of(await one.db.create_proposal(proposal())) for _ in range(2)]

    def work(tx: Tx) -> tuple[Row | None, Row | None]:
        for place in (first, second):
            tx.expect("decision.latest", proposal_id=place)
        tx.one("ledger.get")
        tx.later("decision.insert", [_decision(second)])
        found = [tx.one("decision.latest", proposal_id=place) for place in (first, second)]
        return found[0], found[1]

    none, latest = await ledger.write(work)
    await ledger.engine.close()
    assert none is None
    assert latest is not None
    assert latest["proposal_id"] == second


def _decision(proposal_id: int) -> dict[str, Value]:
    names = numbered(statements("postgres")["decision.insert"]).names
    known: dict[str, Value] = {"proposal_id": proposal_id, "stage": "claim", "effect": "auto"}
    return {**dict.fromkeys(names, "{}"), **known}


def plan_of(connection: Connection, name: str) -> str:
    """Return how the server runs a statement, whatever its values are."""
    text = numbered(statements("postgres")[name]).text
    found = connection.execute(f"EXPLAIN (GENERIC_PLAN) {text}".encode(), prepare=False)
    return "\n".join(row[0] for row in found)


@pytest.mark.parametrize(
    ("name", "found_by"),
    [
        ("proposal.claim.each", "action_proposals_pkey"),
        ("proposal.claimable", "action_proposals_pkey"),
        ("proposal.complete.each", "action_proposals_pkey"),
        ("proposal.get_each", "action_proposals_pkey"),
        ("proposal.validate.each", "action_proposals_pkey"),
        ("record.finish.each", "action_records_pkey"),
        ("workflow.complete.each", "workflows_pkey"),
        ("workflow.get_each", "workflows_pkey"),
        ("workflow.start.each", "workflows_pkey"),
    ],
)
def test_a_young_ledger_finds_rows_by_their_ids(
    connection: Connection, name: str, found_by: str
) -> None:
    """A plan lasts while the table grows, so it must be a good one before there are numbers."""
    plan = plan_of(connection, name)
    assert found_by in plan, plan
    assert "Index Cond: (id = ANY" in plan, plan


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("proposal.next_steps", "depends_on_proposal_id"),
        ("proposal.of_workflows", "workflow_id"),
        ("workflow.states_of_steps", "workflow_id"),
    ],
)
def test_steps_are_found_by_what_they_belong_to(
    connection: Connection, name: str, column: str
) -> None:
    """They were found among all steps that ever were, so each one cost more than the one before."""
    plan = plan_of(connection, name)
    assert f"Index Cond: ({column} = ANY" in plan, plan


async def test_what_is_asked_for_in_a_round_of_the_loop_is_one_transaction(
    postgres_url: str,
) -> None:
    ledger = await open_ledger(postgres_url)
    one = Bench(ledger, ManualClock(), FakeSubject())
    together = asyncio.gather(*(one.db.create_proposal(proposal()) for _ in range(100)))
    assert len(await together) == 100
    with psycopg.connect(postgres_url) as connection:
        marks = connection.execute("SELECT number FROM operator.commit_marks").fetchall()
    await ledger.engine.close()
    assert marks == [(1,)]


@pytest.mark.parametrize("apart", [False, True], ids=["alike", "each its own"])
async def test_only_rows_in_the_right_state_are_changed_and_counted(
    postgres_url: str, *, apart: bool
) -> None:
    """Rows that become alike share a statement, and those that do not share a message."""
    sent: Counter[str] = Counter()
    ledger = await open_ledger(postgres_url)
    one = Bench(ledger, ManualClock(), FakeSubject())
    ids = [id_of(await one.db.create_proposal(proposal())) for _ in range(6)]
    await one.db.cancel_proposal(ids[3])
    missing = 10**9
    names = [str(place) if apart else "policy" for place in ids]
    shared = {"parameters": None, "disruptive": None, "approved_at": None, "now": NOW}
    sets = [
        {**shared, "id": row_id, "approved_by": name}
        for row_id, name in zip([*ids, missing], [*names, "policy"], strict=True)
    ]

    def work(tx: Tx) -> int:
        tx.all("proposal.get_each", ids="[]")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Line, "fetch", counting(sent))
            return tx.each("proposal.validate", sets)

    assert await ledger.write(work) == len(ids) - 1
    found = {each.id: each for each in await one.db.list_proposals()}
    await ledger.engine.close()
    assert sent["messages"] == 1
    assert found.pop(ids[3]).status == ActionStatus.CANCELLED
    assert [each.approved_by for each in found.values()] == names[:3] + names[4:]


async def test_what_only_json_could_spoil_is_stored_as_it_is(postgres_url: str) -> None:
    ledger = await open_ledger(postgres_url)
    one = Bench(ledger, ManualClock(), FakeSubject())
    said = 'é "quoted" \\u0000 [1, null]\n\u2028 {}'
    made = proposal().model_copy(update={"reason": said})
    stored = await one.db.get_proposal(id_of(await one.db.create_proposal(made)))
    await ledger.engine.close()
    assert stored is not None
    assert stored.reason == said

"""Rows whose ids were asked for before, so that nobody waits for their insert."""

import asyncio
from collections.abc import Callable
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg
import pytest

from engine_bench import Bench, proposal, recommend
from operator_core.actions.types import ActionProposal, SafetyMode
from operator_core.clock import SYSTEM_CLOCK, to_text
from operator_core.db import rows
from operator_core.db.actions import ActionDB
from operator_core.db.control import ControlDB
from operator_core.db.engine import Tx, Value
from operator_core.db.ledger import open_ledger
from operator_core.errors import ConstraintError, LimitError
from operator_core.testing.clock import ManualClock
from operator_core.testing.fakes import FakeSubject

pytestmark = pytest.mark.real

MANY = 40


def params_of_insert(**other: Value) -> dict[str, Value]:
    return {**rows.proposal_params(proposal()), "now": to_text(SYSTEM_CLOCK.now()), **other}


def inserting(
    count: int, *, told: int, asks: bool = True, **other: Value
) -> Callable[[Tx], list[int]]:
    """Return work that inserts proposals, and tells so before."""

    def work(tx: Tx) -> list[int]:
        tx.expect_new("proposal", told)
        if asks:
            tx.one("ledger.get")
        return tx.insert("proposal.insert", [params_of_insert(**other)] * count)

    return work


def _id(one: ActionProposal) -> int:
    return int(one.id or 0)


async def beside_another(db: ActionDB, work: Callable[[Tx], list[int]]) -> list[int]:
    """Run work in one transaction with another piece: one that is alone waits for its inserts."""
    made, _ = await asyncio.gather(db.ledger.write(work), db.ledger.write(lambda _: None))
    return made


@pytest.mark.parametrize("asks", [True, False])
@pytest.mark.parametrize(("told", "count"), [(MANY, MANY), (MANY, 3), (8, 9), (1, 1), (0, MANY)])
async def test_rows_get_the_ids_that_were_told(
    postgres_url: str, told: int, count: int, *, asks: bool
) -> None:
    async with ActionDB(postgres_url) as db:
        made = await beside_another(db, inserting(count, told=told, asks=asks))
        assert len(made) == count
        assert made == sorted(made)
        assert sorted(map(_id, await db.list_proposals())) == made
        assert _id(await db.create_proposal(proposal())) > max(made[-1], told if told > 1 else 0)


@pytest.mark.parametrize("beside", [0, 3])
async def test_who_cannot_be_stored_is_told_and_keeps_nobody_from_it(
    postgres_url: str, beside: int
) -> None:
    async with ActionDB(postgres_url) as db:
        good = [asyncio.ensure_future(db.create_proposal(proposal())) for _ in range(beside)]
        bad = db.ledger.write(inserting(MANY, told=MANY, status="nonsense"))
        (found,) = await asyncio.gather(bad, return_exceptions=True)
        assert isinstance(found, ConstraintError)
        stored = await asyncio.gather(*good)
        assert sorted(await db.list_proposals(), key=_id) == sorted(stored, key=_id)
        assert await ControlDB(db.ledger).first_broken_audit_row() is None


async def test_who_may_not_ask_for_numbers_needs_none(empty_database: str) -> None:
    """The tables are enough where another user owns them."""
    await (await open_ledger(empty_database)).engine.close()
    parts, name = urlsplit(empty_database), f"poor_{uuid4().hex}"
    url = f"postgresql://{name}:secret@{parts.hostname}:{parts.port}{parts.path}"
    with psycopg.connect(empty_database, autocommit=True) as owner:
        owner.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'secret'")
        owner.execute(f"GRANT USAGE ON SCHEMA operator TO {name}")
        every = "SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA operator"
        owner.execute(f"GRANT {every} TO {name}")
        try:
            ledger = await open_ledger(url)
            one = Bench(ledger, ManualClock(), FakeSubject())
            await one.control.set_mode(SafetyMode.EXECUTE, actor="test")
            made = await asyncio.gather(*(one.validated() for _ in range(MANY)))
            assert all(run.success for run in await asyncio.gather(*map(one.run, made)))
            await ledger.engine.close()
        finally:
            owner.execute(f"DROP OWNED BY {name}")
            owner.execute(f"DROP ROLE {name}")


async def test_many_that_may_not_run_beside_another_are_told_so_each(postgres_url: str) -> None:
    """Whose row it was that the server refused is found out only behind all of them."""
    ledger = await open_ledger(postgres_url)
    one = Bench(ledger, ManualClock(), FakeSubject())
    await one.control.set_mode(SafetyMode.EXECUTE, actor="test")
    await one.executions.claim(await one.validated("act_alone"), one.terms("another"))
    executor = one.executor()
    wanted = [
        executor.run_action(recommend("act_alone" if number % 4 else "act"), one.subject)
        for number in range(MANY)
    ]
    runs = await asyncio.gather(*wanted)
    refused = [run.refused for run in runs if run.record is None]
    assert len(refused) == MANY * 3 // 4
    assert all(isinstance(error, LimitError) for error in refused)
    assert len(one.subject.effects) == MANY // 4
    await ledger.engine.close()

"""What is sent to PostgreSQL before its answer is needed, and what becomes of it then."""

import asyncio
from collections.abc import Iterator, Sequence

import psycopg
import pytest

from engine_bench import proposal
from operator_core.clock import SYSTEM_CLOCK, to_text
from operator_core.db import changes
from operator_core.db.actions import ActionDB
from operator_core.db.changes import Change, Stamp
from operator_core.db.control import ControlDB
from operator_core.db.engine import Row, Tx
from operator_core.db.ledger import Ledger, open_ledger
from operator_core.db.postgres.connection import Address
from operator_core.db.postgres.line import Answer, Connection, Line
from operator_core.db.postgres.upgrade import upgrade
from operator_core.errors import RequestError

pytestmark = pytest.mark.real

NOW = "2026-01-01T00:00:00.000000+00:00"
MANY = 40
_STATE = "SELECT state, backend_xmin IS NULL FROM pg_stat_activity WHERE pid = %s"


@pytest.fixture
def connection(postgres_url: str) -> Iterator[Connection]:
    upgrade(Address(postgres_url), to_text(SYSTEM_CLOCK.now()))
    with Address(postgres_url).connect("test") as connection:
        yield connection


def test_what_was_sent_runs_before_its_answer_is_asked_for(
    connection: Connection, postgres_url: str
) -> None:
    line = Line(connection)
    line.say("SELECT pg_advisory_lock(7)")
    line.send()
    with psycopg.connect(postgres_url, autocommit=True) as other:
        while _may_lock(other):
            pass  # until the server came to it
    after = line.say("SELECT 2 AS two")
    line.fetch()
    assert after.rows() == [{"two": 2}]


def _may_lock(other: psycopg.Connection) -> bool:
    row = other.execute("SELECT pg_try_advisory_lock(7), pg_advisory_unlock(7)").fetchone()
    return bool(row and row[0])


def test_a_failure_of_what_was_sent_comes_with_the_next_answer(connection: Connection) -> None:
    line = Line(connection)
    line.say("SELECT 1 / $1::bigint", [b"0"])
    line.send()
    after = line.say("SELECT 2 AS two")
    with pytest.raises(psycopg.errors.DivisionByZero):
        line.fetch()
    assert after.result is None


def test_what_was_sent_and_is_forgotten_is_in_nobodys_way(connection: Connection) -> None:
    line = Line(connection)
    line.command("BEGIN")
    line.say("SELECT 1 / $1::bigint", [b"0"])
    line.send()
    line.forget()
    connection.execute("ROLLBACK")
    assert _two(line).rows() == [{"two": 2}]


def _two(line: Line) -> Answer:
    answer = line.say("SELECT 2 AS two")
    line.fetch()
    return answer


def test_the_end_of_a_read_is_not_waited_for_and_leaves_nothing_open(
    connection: Connection, postgres_url: str
) -> None:
    line = Line(connection)
    for _ in range(3):
        line.command("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        assert _two(line).rows() == [{"two": 2}]
        line.leave("ROLLBACK")
        with psycopg.connect(postgres_url, autocommit=True) as other:
            while other.execute(_STATE, [connection.info.backend_pid]).fetchone() != ("idle", True):
                pass  # until the server came to it
    assert _two(line).rows() == [{"two": 2}]


async def test_a_read_that_asks_nothing_leaves_the_line_as_it_was(postgres_url: str) -> None:
    ledger = await open_ledger(postgres_url)
    row = await ledger.read(lambda tx: tx.one("ledger.get"))
    for _ in range(3):
        await ledger.read(lambda _: None)
        assert await ledger.read(lambda tx: tx.one("ledger.get")) == row
    await ledger.engine.close()


@pytest.fixture
def ids() -> range:
    return range(1, MANY + 1)


async def _filled(url: str, ids: Sequence[int]) -> Ledger:
    ledger = await open_ledger(url)
    db = ActionDB(ledger)
    made = await asyncio.gather(*(db.create_proposal(proposal()) for _ in ids))
    assert sorted(int(one.id or 0) for one in made) == list(ids)
    return ledger


def _sets(ids: Sequence[int]) -> list[dict[str, int | str]]:
    return [{"id": one, "now": NOW} for one in ids]


@pytest.mark.parametrize("count", [1, MANY])
async def test_a_change_that_was_begun_tells_how_many_rows_it_changed(
    postgres_url: str, ids: range, count: int
) -> None:
    ledger = await _filled(postgres_url, ids)

    def work(tx: Tx) -> int:
        changed = tx.start("proposal.cancel", _sets([*ids[:count], 10**9]))
        tx.one("ledger.get")
        return changed()

    assert await ledger.write(work) == count
    assert await ledger.write(work) == 0
    await ledger.engine.close()


def _cancelled(tx: Tx) -> list[Row]:
    return tx.all("audit.of_type", event_type="proposal_cancelled")


def _begin_and_fail(tx: Tx, items: Sequence[int]) -> Sequence[Exception]:
    """Begin a change and tell of it, and raise before it has ended."""
    tx.start("proposal.cancel", _sets(items))
    stamp = Stamp("test", SYSTEM_CLOCK.now())
    told = [({"id": one}, Change("", "proposal_cancelled"), stamp) for one in items]
    changes.tell_each(tx, "proposal", told)
    raise RequestError("no")


@pytest.mark.parametrize("beside", [0, 3])
async def test_work_that_raises_leaves_nothing_of_what_it_has_sent(
    postgres_url: str, ids: range, beside: int
) -> None:
    ledger = await _filled(postgres_url, ids)
    db, control = ActionDB(ledger), ControlDB(ledger)

    def fails(tx: Tx) -> None:
        _begin_and_fail(tx, ids)

    good = [db.create_proposal(proposal()) for _ in range(beside)]
    bad = [ledger.write(fails), *(ledger.engine.write_item(_begin_and_fail, one) for one in ids)]
    for found in (await asyncio.gather(*good, *bad, return_exceptions=True))[beside:]:
        assert isinstance(found, RequestError)
    stored = await db.list_proposals()
    assert [one.status for one in stored] == ["proposed"] * (MANY + beside)
    assert await ledger.read(_cancelled) == []
    await db.create_proposal(proposal())
    assert await control.first_broken_audit_row() is None
    await ledger.engine.close()

"""The server goes away in the middle of work: nothing is lost, nothing is done twice."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from cutting_proxy import cutting_proxy
from engine_bench import Bench, id_of, proposal, recommend
from operator_core.actions.types import ActionStatus, SafetyMode
from operator_core.clock import SYSTEM_CLOCK, to_text
from operator_core.db.actions import ActionDB
from operator_core.db.control import ControlDB
from operator_core.db.engine import Tx
from operator_core.db.ledger import Ledger, open_ledger
from operator_core.db.postgres.connection import Address
from operator_core.db.postgres.engine import PostgresEngine
from operator_core.db.postgres.tx import PostgresTx
from operator_core.db.postgres.upgrade import upgrade
from operator_core.db.postgres.write_tx import WriteTx
from operator_core.db.postgres.writer import Writer
from operator_core.errors import LedgerUnavailableError
from operator_core.testing.clock import ManualClock
from operator_core.testing.fakes import FakeSubject
from operator_core.testing.postgres import PostgresServer

pytestmark = pytest.mark.real
AWAY_SECONDS = 3.0


@pytest.fixture
def own_server() -> Iterator[PostgresServer]:
    """Run a server that a test may kill."""
    with PostgresServer() as server:
        yield server


def through(url: str, port: int) -> str:
    parts = urlsplit(url)
    return url.replace(f":{parts.port}/", f":{port}/")


def life_bench(ledger: Ledger) -> Bench:
    made = Bench(ledger, ManualClock(), FakeSubject())
    made.clock = SYSTEM_CLOCK  # type: ignore[assignment] # real processes, real time
    return made


async def live(one: Bench, count: int) -> int:
    """Take actions through their lives one after another; return the last one's id."""
    executor, last = one.executor(), 0
    for _ in range(count):
        last = id_of(await executor.propose_action(recommend()))
        await executor.validate_proposal(last)
        assert (await executor.execute_proposal(last, one.subject)).success
    return last


@pytest.mark.parametrize("how", ["killed", "paused"])
async def test_an_outage_in_the_middle_of_work_loses_nothing_and_runs_nothing_twice(
    own_server: PostgresServer, how: str
) -> None:
    ledger = await open_ledger(own_server.url)
    one = life_bench(ledger)
    await one.control.set_mode(SafetyMode.EXECUTE, actor="test")
    work = asyncio.gather(*[live(one, 25) for _ in range(16)])
    while len(one.subject.effects) < 100:  # noqa: ASYNC110 - the subject tells nobody
        await asyncio.sleep(0)
    assert not work.done()
    await asyncio.to_thread(own_server.pause if how == "paused" else own_server.kill)
    await asyncio.sleep(AWAY_SECONDS)
    await asyncio.to_thread(own_server.resume if how == "paused" else own_server.start)
    await work
    done = await one.db.list_proposals(ActionStatus.COMPLETED)
    counts = Counter(effect.idempotency_key for effect in one.subject.effects)
    assert len(await one.db.list_proposals()) == len(done) == 400
    assert (len(counts), set(counts.values())) == (400, {1})
    assert await one.control.first_broken_audit_row() is None
    await ledger.engine.close()


async def test_a_commit_whose_answer_is_lost_is_found_and_not_repeated(
    postgres_url: str, postgres_server: PostgresServer
) -> None:
    async with (
        cutting_proxy(urlsplit(postgres_url).port or 0) as proxy,
        ActionDB(through(postgres_url, proxy.port)) as db,
    ):
        for times in (1, 2, 3):
            proxy.lose_answer = 1
            stored = await db.create_proposal(proposal())
            assert (stored.id, proxy.cut) == (times, times)
        proxy.lose_answer = 3
        await asyncio.gather(*[db.create_proposal(proposal()) for _ in range(40)])
        assert len(await db.list_proposals()) == 43
        assert await ControlDB(db.ledger).first_broken_audit_row() is None


async def test_a_commit_that_never_arrived_is_done_again(
    postgres_url: str, postgres_server: PostgresServer
) -> None:
    async with (
        cutting_proxy(urlsplit(postgres_url).port or 0) as proxy,
        ActionDB(through(postgres_url, proxy.port)) as db,
    ):
        for times in (1, 2, 3):
            proxy.lose_request = 2
            await db.create_proposal(proposal())
            assert proxy.cut == 2 * times
        proxy.lose_request = 3
        await asyncio.gather(*[db.create_proposal(proposal()) for _ in range(40)])
        assert len(await db.list_proposals()) == 43
        assert await ControlDB(db.ledger).first_broken_audit_row() is None


async def test_work_waits_no_longer_than_its_patience(own_server: PostgresServer) -> None:
    url = own_server.url
    await asyncio.to_thread(upgrade, Address(url), to_text(SYSTEM_CLOCK.now()))
    engine = PostgresEngine(url, patience_seconds=0.5)
    assert await engine.read(lambda tx: tx.one("ledger.get")) is not None
    await asyncio.to_thread(own_server.kill)
    async with asyncio.timeout(10):
        for call in (engine.read, engine.write):
            with pytest.raises(LedgerUnavailableError, match="Check that the server runs"):
                await call(lambda tx: tx.one("ledger.get"))
    await asyncio.to_thread(own_server.restart)
    assert await engine.write(lambda tx: tx.one("ledger.get")) is not None
    await engine.close()


async def test_a_connection_that_the_server_ends_is_made_again(postgres_url: str) -> None:
    async with ActionDB(postgres_url) as db:
        await db.create_proposal(proposal())
        for _ in range(3):
            await db.ledger.read(_end_all)
            await db.create_proposal(proposal())
        assert len(await db.list_proposals()) == 4


async def test_what_is_stored_is_not_done_again_where_others_cannot_be_told(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(self: Writer, tx: WriteTx) -> None:
        tx.command("SELECT 1 / 0")

    monkeypatch.setattr(Writer, "_wake_others", fails)
    async with ActionDB(postgres_url) as db:
        await asyncio.gather(*[db.create_proposal(proposal()) for _ in range(10)])
        assert len(await db.list_proposals()) == 10


def _end_all(tx: Tx) -> None:
    assert isinstance(tx, PostgresTx)  # no statement of ours ends the others
    tx.command(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    tx.fetch()

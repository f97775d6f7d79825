"""A ledger on PostgreSQL that was restored from a dump begins anew, beside the one that lives."""

import asyncio
import subprocess
import uuid
from collections.abc import Iterator
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from engine_bench import proposal
from operator_core.actions.types import ActionStatus
from operator_core.clock import to_text, utc_now
from operator_core.db.actions import ActionDB
from operator_core.db.control import ControlDB
from operator_core.db.ledger import open_ledger
from operator_core.db.postgres.connection import Address
from operator_core.db.postgres.place import place
from operator_core.db.postgres.upgrade import upgrade
from operator_core.errors import LedgerGoneError
from operator_core.testing.postgres import PostgresServer, programs
from operator_core.types import RunMode

pytestmark = pytest.mark.real

NOW = to_text(utc_now())


def told(url: str, statement: str) -> list[tuple[object, ...]]:
    """Run a statement on a database, as its administrator does."""
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


@pytest.fixture
def restored(postgres_server: PostgresServer) -> Iterator[str]:
    """Make an empty database for what is restored, and return its URL."""
    name = f"restored_{uuid.uuid4().hex}"
    told(postgres_server.url, f"CREATE DATABASE {name}")
    yield postgres_server.url_of(name)
    told(postgres_server.url, f"DROP DATABASE {name} WITH (FORCE)")


def dump(source: str) -> bytes:
    """Return a dump as the server's own tool makes it."""
    command = [str(programs() / "pg_dump"), source]
    return subprocess.run(command, capture_output=True, check=True).stdout


def restore(made: bytes, target: str) -> None:
    """Restore a dump with the server's own tool."""
    command = [str(programs() / "psql"), "-q", "-v", "ON_ERROR_STOP=1", target]
    subprocess.run(command, input=made, stdout=subprocess.DEVNULL, check=True)


async def working(url: str) -> str:
    """Make a ledger that acts and has approved work; return its id."""
    approved = {"approved_at": utc_now(), "approved_by": "ann"}
    async with ActionDB(url) as db:
        await ControlDB(db.ledger).set_mode(RunMode.EXECUTE, actor="ann")
        await db.create_proposal(proposal(status=ActionStatus.VALIDATED, **approved))
        return db.ledger.ledger_id


async def test_a_restored_dump_comes_up_in_observe_with_its_pending_work_held(
    empty_database: str, restored: str
) -> None:
    """It had the same id and went on with what the living ledger was about to do."""
    first = await working(empty_database)
    restore(await asyncio.to_thread(dump, empty_database), restored)
    for _ in range(2):
        async with ActionDB(restored) as db:
            control = ControlDB(db.ledger)
            assert db.ledger.ledger_id != first
            assert (await control.safety_state()).mode is RunMode.OBSERVE
            assert [one.held for one in await db.list_proposals()] == [True]
            assert await db.list_ready() == []
            (event,) = await control.list_events(event_type="ledger_restored")
            assert (event.event_data["was"], event.event_data["held"]) == (first, [1])
            assert await control.first_broken_audit_row() is None
    async with ActionDB(empty_database) as db:
        assert db.ledger.ledger_id == first
        assert (await ControlDB(db.ledger).safety_state()).mode is RunMode.EXECUTE
        assert [one.held for one in await db.list_ready()] == [False]


async def test_a_restored_dump_begins_anew_once_however_many_open_it(
    empty_database: str, restored: str
) -> None:
    await working(empty_database)
    restore(await asyncio.to_thread(dump, empty_database), restored)
    opening = [asyncio.to_thread(upgrade, Address(restored), NOW) for _ in range(4)]
    assert len(set(await asyncio.gather(*opening))) == 1
    async with ControlDB(restored) as control:
        assert len(await control.list_events(event_type="ledger_restored")) == 1


async def test_a_copy_of_a_ledger_that_nobody_has_used_is_a_ledger_of_its_own(
    empty_database: str, restored: str
) -> None:
    """Such as a template that databases are made of: there is nothing to hold."""
    async with ActionDB(empty_database) as db:
        first = db.ledger.ledger_id
    restore(await asyncio.to_thread(dump, empty_database), restored)
    async with ActionDB(restored) as db:
        assert db.ledger.ledger_id != first
        assert not (await ControlDB(db.ledger).safety_state()).ever_set
        assert await ControlDB(db.ledger).list_events() == []


async def test_a_process_ends_whose_ledger_is_replaced_by_a_dump(
    empty_database: str, postgres_server: PostgresServer
) -> None:
    """It knows the ledger's id and mode from before, and what the dump calls pending was done."""
    await working(empty_database)
    made, name = await asyncio.to_thread(dump, empty_database), urlsplit(empty_database).path[1:]
    ledger = await open_ledger(empty_database)
    try:
        assert len(await ActionDB(ledger).list_proposals()) == 1
        told(postgres_server.url, f"DROP DATABASE {name} WITH (FORCE)")
        told(postgres_server.url, f"CREATE DATABASE {name}")
        await asyncio.to_thread(restore, made, empty_database)
        for _ in range(2):
            with pytest.raises(LedgerGoneError, match="replaced while it was in use"):
                await ActionDB(ledger).list_proposals()
            with pytest.raises(LedgerGoneError):
                await ControlDB(ledger).kill(actor="ann", reason="-")
    finally:
        await ledger.engine.close()


def test_a_server_that_lets_nobody_ask_for_its_number_has_one_place_all_the_same(
    empty_database: str,
) -> None:
    upgrade(Address(empty_database), NOW)
    user = f"poor_{uuid.uuid4().hex}"
    told(empty_database, f"CREATE ROLE {user} LOGIN PASSWORD 'x'")
    told(empty_database, f"GRANT USAGE ON SCHEMA operator TO {user}")
    told(empty_database, "REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC")
    parts = urlsplit(empty_database)
    netloc = f"{user}:x@{parts.hostname}:{parts.port}"
    connection = Address(urlunsplit(parts._replace(netloc=netloc))).connect("poor")
    with connection:
        number, database, table = place(connection).split("/")
    assert number == ""
    assert database.isdigit()
    assert table.isdigit()
    told(empty_database, f"DROP OWNED BY {user}")
    told(empty_database, f"DROP ROLE {user}")

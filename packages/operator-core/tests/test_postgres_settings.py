"""Whatever a server, a database or a role has set for all, a ledger works as it must."""

import asyncio
from collections.abc import Iterator
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from engine_bench import Bench, proposal
from operator_core.actions.types import SafetyMode
from operator_core.clock import SYSTEM_CLOCK, to_text
from operator_core.db.actions import ActionDB
from operator_core.db.ledger import open_ledger
from operator_core.db.postgres.connection import Address
from operator_core.db.postgres.upgrade import upgrade
from operator_core.errors import LedgerReadOnlyError
from operator_core.testing.clock import ManualClock
from operator_core.testing.fakes import FakeSubject

pytestmark = pytest.mark.real

OPERATORS = 4


def set_for_all(url: str, name: str, value: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        change = sql.SQL("ALTER DATABASE {} SET {} = {}")
        database = sql.Identifier(connection.info.dbname)
        connection.execute(change.format(database, sql.Identifier(name), sql.Literal(value)))


@pytest.mark.parametrize("level", ["serializable", "repeatable read"])
async def test_operators_that_start_together_make_one_ledger_at_any_level_of_isolation(
    empty_database: str, level: str
) -> None:
    set_for_all(empty_database, "default_transaction_isolation", level)
    now = to_text(SYSTEM_CLOCK.now())
    made = [asyncio.to_thread(upgrade, Address(empty_database), now) for _ in range(OPERATORS)]
    assert len(set(await asyncio.gather(*made))) == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("statement_timeout", "100ms"),
        ("idle_session_timeout", "100ms"),
        ("row_security", "off"),
        ("standard_conforming_strings", "off"),
        ("DateStyle", "SQL, DMY"),
        ("bytea_output", "escape"),
        ("transform_null_equals", "on"),
        ("work_mem", "64kB"),
    ],
)
async def test_what_is_set_for_all_is_in_nobodys_way(
    empty_database: str, name: str, value: str
) -> None:
    set_for_all(empty_database, name, value)
    async with ActionDB(empty_database) as db:
        stored = await db.create_proposal(proposal())
        assert await db.list_proposals() == [stored]


async def test_a_database_that_may_only_be_read_is_told(empty_database: str) -> None:
    set_for_all(empty_database, "default_transaction_read_only", "on")
    with pytest.raises(LedgerReadOnlyError, match="may only be read"):
        async with ActionDB(empty_database):
            pass


@pytest.fixture
def user(empty_database: str) -> Iterator[str]:
    """Make a user that may do nothing in a database but connect; yield its URL."""
    parts, name = urlsplit(empty_database), f"user_{uuid4().hex}"
    with psycopg.connect(empty_database, autocommit=True) as connection:
        connection.execute(f"REVOKE ALL ON DATABASE {parts.path[1:]} FROM PUBLIC")
        connection.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'secret'")
        connection.execute(f"GRANT CONNECT ON DATABASE {parts.path[1:]} TO {name}")
        yield f"postgresql://{name}:secret@{parts.hostname}:{parts.port}{parts.path}"
        connection.execute(f"DROP OWNED BY {name} CASCADE")
        connection.execute(f"DROP ROLE {name}")


async def test_a_schema_of_its_own_is_all_that_a_user_needs(empty_database: str, user: str) -> None:
    with psycopg.connect(empty_database, autocommit=True) as connection:
        owner = urlsplit(user).username
        connection.execute(f"CREATE SCHEMA operator AUTHORIZATION {owner}")
    ledger = await open_ledger(user)
    one = Bench(ledger, ManualClock(), FakeSubject())
    await one.control.set_mode(SafetyMode.EXECUTE, actor="test")
    assert (await one.run(await one.validated())).success
    await ledger.engine.close()


async def test_a_user_without_one_is_told_what_it_needs(user: str) -> None:
    with pytest.raises(LedgerReadOnlyError, match="CREATE SCHEMA operator AUTHORIZATION"):
        await open_ledger(user)

"""Ledgers for tests: the behaviour suite runs on both engines."""

import uuid
from collections.abc import Callable, Iterator

import psycopg
import pytest

import ledger_places
from operator_core.clock import to_text, utc_now
from operator_core.db.postgres.connection import Address
from operator_core.db.postgres.upgrade import upgrade
from operator_core.testing.postgres import PostgresServer

QUICK = {"fsync": "off", "full_page_writes": "off", "autovacuum": "off"}
"""A server that is killed loses nothing by these, only a machine would."""

KEPT = "'ledger', 'schema_migrations'"
EMPTY = f"""
DO $$ DECLARE name TEXT; filled BOOLEAN; names TEXT; BEGIN
    PERFORM pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid();
    FOR name IN SELECT format('%I.%I', schemaname, tablename)
    FROM pg_tables WHERE schemaname = 'operator' AND tablename NOT IN ({KEPT}) LOOP
        EXECUTE 'SELECT EXISTS (SELECT FROM ' || name || ')' INTO filled;
        IF filled THEN names := concat_ws(', ', names, name); END IF;
    END LOOP;
    IF names IS NOT NULL THEN EXECUTE 'TRUNCATE ' || names || ' CASCADE'; END IF;
    FOR name IN SELECT format('%I.%I', schemaname, sequencename)
    FROM pg_sequences WHERE schemaname = 'operator' AND last_value IS NOT NULL LOOP
        EXECUTE 'ALTER SEQUENCE ' || name || ' RESTART';
    END LOOP;
END $$
"""  # noqa: S608 - made of the names above
"""Most tests fill few tables, and to truncate one makes its files and those of its indexes anew."""


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """Run a real server for the tests of this process; do not stop it in a test."""
    with PostgresServer(QUICK) as server:
        _execute(server.url, "CREATE DATABASE ledger")
        upgrade(Address(server.url_of("ledger")), to_text(utc_now()))
        yield server


@pytest.fixture
def empty_database(postgres_server: PostgresServer) -> Iterator[str]:
    """Make a database with nothing in it and return its URL."""
    name = f"test_{uuid.uuid4().hex}"
    _execute(postgres_server.url, f"CREATE DATABASE {name}")
    yield postgres_server.url_of(name)
    _execute(postgres_server.url, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> str:
    """Empty the ledger on PostgreSQL and return its URL."""
    url = postgres_server.url_of("ledger")
    _execute(url, EMPTY)
    return url


@pytest.fixture
def empty_ledger(postgres_server: PostgresServer) -> Iterator[Callable[[], None]]:
    """Let the ledger lie on PostgreSQL, and return what empties it."""
    url = postgres_server.url_of("ledger")
    ledger_places.choose(url)
    yield lambda: _execute(url, EMPTY)
    ledger_places.forget()


@pytest.fixture(autouse=True)
def ledger_engine(request: pytest.FixtureRequest) -> Iterator[str]:
    """Let the ledger of the test lie on the engine that the parameter names."""
    engine = str(getattr(request, "param", ledger_places.SQLITE))
    if engine == ledger_places.POSTGRES:
        ledger_places.choose(request.getfixturevalue("postgres_url"))
    yield engine
    ledger_places.forget()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test of the behaviour suite on both engines."""
    module = metafunc.module.__name__.rpartition(".")[2]
    shared = module.startswith(ledger_places.SHARED) and "tmp_path" in metafunc.fixturenames
    if shared and metafunc.function.__name__ not in ledger_places.OF_THE_FILE:
        real = pytest.param(ledger_places.POSTGRES, marks=pytest.mark.real)
        metafunc.parametrize("ledger_engine", [ledger_places.SQLITE, real], indirect=True)


def _execute(url: str, statement: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement.encode())

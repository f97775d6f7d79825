"""A PostgreSQL server of the benchmark's own, and a fresh database for each contender."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg.sql import SQL, Identifier

from operator_core.testing.postgres import PostgresServer

SETTINGS = {"fsync": "on", "synchronous_commit": "on", "max_connections": "300"}
"""Durable, as it comes; connections for the greediest contender."""


@contextmanager
def started() -> Iterator[str]:
    """Start a server and give its address."""
    with PostgresServer(SETTINGS) as server:
        yield server.url


@contextmanager
def fresh_database(url: str) -> Iterator[str]:
    """Make a database on a server and give its address; it goes afterwards."""
    name = f"bench_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(SQL("CREATE DATABASE {}").format(Identifier(name)))
        try:
            yield urlunsplit(urlsplit(url)._replace(path=f"/{name}"))
        finally:
            drop = SQL("DROP DATABASE {} WITH (FORCE)")
            connection.execute(drop.format(Identifier(name)))

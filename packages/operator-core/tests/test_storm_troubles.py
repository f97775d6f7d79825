"""What troubles a ledger in a storm really does, and is over when it is over."""

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from operator_core.db.actions import ActionDB
from operator_core.testing.postgres import PostgresServer
from operator_core.testing.storm.troubles import (
    NOT_HELD,
    SmallDisk,
    cut_half,
    file_held,
    tables_held,
)

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with PostgresServer() as running:
        yield running


def works(connection: "psycopg.Connection[object]") -> bool:
    try:
        connection.execute("SELECT 1")
    except psycopg.OperationalError:
        connection.close()
        return False
    return True


def test_a_file_is_held_by_one_at_a_time(tmp_path: Path) -> None:
    file = tmp_path / "l.db"
    for _ in range(2):
        with file_held(file), pytest.raises(NOT_HELD), file_held(file):
            pass
    with closing(sqlite3.connect(file, timeout=0)) as connection:
        connection.execute("BEGIN IMMEDIATE")


async def test_tables_are_held_by_one_at_a_time(server: PostgresServer) -> None:
    with pytest.raises(NOT_HELD), tables_held(server):  # nobody has made a ledger yet
        pass
    async with ActionDB(server.url):
        pass
    for _ in range(2):
        with tables_held(server), pytest.raises(NOT_HELD), tables_held(server):
            pass


def test_connections_are_cut_and_new_ones_are_not(server: PostgresServer) -> None:
    one = psycopg.connect(server.url)
    while works(one):  # each cut ends it with an even chance
        cut_half(server)
    with psycopg.connect(server.url) as another:
        another.execute("SELECT 1")


def test_a_disk_is_full_for_as_long_as_it_is_told(tmp_path: Path) -> None:
    if not SmallDisk.can_be_made():
        pytest.skip("a disk is mounted by root only, and not in every container")
    folder = tmp_path / "disk"
    with SmallDisk(folder, mib=1) as disk:
        with disk.full(), pytest.raises(OSError, match="space") as full:
            (folder / "more").write_bytes(b"more")
        assert full.value.errno == errno.ENOSPC
        (folder / "more").write_bytes(b"more")
    assert list(folder.iterdir()) == []

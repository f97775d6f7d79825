"""A full disk: it is said, it harms nobody else, and nothing is half written."""

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

import pytest

import old_ledgers as old
from engine_bench import proposal
from operator_core.db.actions import ActionDB
from operator_core.db.sqlite.tx import SqliteTx
from operator_core.errors import LedgerFullError
from test_ledger_trouble import refusal


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "l.db"


def limit_pages(tx: object, pages: int) -> None:
    assert isinstance(tx, SqliteTx)
    tx._cursor.connection.execute(f"PRAGMA max_page_count={pages}")


async def test_a_full_disk_says_so_and_takes_only_what_did_not_fit(file: Path) -> None:
    async with ActionDB(file) as db:
        kept = await db.create_proposal(proposal())
        await db.ledger.read(lambda tx: limit_pages(tx, 1))
        big = [db.create_proposal(proposal(parameters={"x": "y" * 9_000})) for _ in range(3)]
        for result in await asyncio.gather(*big, return_exceptions=True):
            assert isinstance(result, LedgerFullError)
        assert await db.list_proposals() == [kept]
        await db.ledger.read(lambda tx: limit_pages(tx, 1_000_000))
        await db.create_proposal(proposal())


async def test_a_full_disk_during_an_upgrade_leaves_the_old_file(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old.make(file, old.BARE_TICKETS, old.PHASE_15)
    before = old.dump(file)

    class Small(sqlite3.Connection):
        def __init__(self, *arguments: object, **options: object) -> None:
            super().__init__(*arguments, **options)  # type: ignore[arg-type]  # passed on
            super().execute("PRAGMA max_page_count=15")

    real = sqlite3.connect
    with monkeypatch.context() as patch:
        patch.setattr(sqlite3, "connect", lambda *a, **b: real(*a, factory=Small, **b))
        async with refusal(file, LedgerFullError):
            pass
    assert old.dump(file) == before


class GivesUp(sqlite3.Connection):
    """SQLite itself ends the transaction when the disk is really full."""

    def execute(self, *arguments: Any) -> sqlite3.Cursor:  # noqa: ANN401 - passed on
        if "CREATE TABLE audit_log" in arguments[0]:
            super().execute("ROLLBACK")
            raise sqlite3.OperationalError("database or disk is full")
        return super().execute(*arguments)


async def test_an_upgrade_that_sqlite_ends_itself_is_told_as_what_it_was(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old.make(file, old.BARE_TICKETS, old.PHASE_15)
    before, real = old.dump(file), sqlite3.connect
    with monkeypatch.context() as patch:
        patch.setattr(sqlite3, "connect", lambda *a, **b: real(*a, factory=GivesUp, **b))
        async with refusal(file, LedgerFullError):
            pass
    assert old.dump(file) == before


async def test_a_group_that_sqlite_ends_itself_fails_as_a_whole(file: Path) -> None:
    """Nobody of the group may believe that his work was stored."""

    def give_up(tx: object) -> None:
        assert isinstance(tx, SqliteTx)
        tx._cursor.connection.execute("ROLLBACK")
        raise sqlite3.OperationalError("database or disk is full")

    async with ActionDB(file) as db:
        results = await asyncio.gather(
            db.create_proposal(proposal()), db.ledger.write(give_up), return_exceptions=True
        )
        stored = await db.list_proposals()
        assert isinstance(results[1], LedgerFullError)
        assert isinstance(results[0], LedgerFullError) is (stored == [])
        await db.create_proposal(proposal())

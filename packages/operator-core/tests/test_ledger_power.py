"""Power is lost while the log is brought into the file: nothing that was acknowledged is gone."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from engine_bench import proposal
from operator_core.db.actions import ActionDB
from operator_core.db.sqlite.log_file import Held, held_by
from operator_core.errors import LedgerCorruptError

PAGE_BYTES = 4096
SECTOR_BYTES = 512
ROWS = 60


async def lost(tmp_path: Path) -> Path:
    """Return a ledger as a loss of power leaves it, whose log holds more pages than the file."""
    path, left = tmp_path / "ledger.db", tmp_path / "left.db"
    async with ActionDB(path):
        pass  # the file has its first pages now, and no log
    async with ActionDB(path) as db:
        for _ in range(ROWS):
            await db.create_proposal(proposal(parameters={"x": "y" * 500}))
        for suffix in ("", "-wal"):
            shutil.copy(f"{path}{suffix}", f"{left}{suffix}")
    return left


def write_half_a_page(ledger: Path, number: int) -> None:
    """Let the end of a file be what the disk had of a page when power was lost."""
    at = (number - 1) * PAGE_BYTES
    with ledger.open("r+b") as file:
        assert file.seek(0, 2) <= at
        file.seek(at)
        file.write(b"\0" * SECTOR_BYTES)


async def test_half_a_page_at_the_end_is_written_again_from_the_log(tmp_path: Path) -> None:
    ledger = await lost(tmp_path)
    write_half_a_page(ledger, ledger.stat().st_size // PAGE_BYTES + 1)
    async with ActionDB(ledger) as db:
        assert len(await db.list_proposals()) == ROWS
    with closing(sqlite3.connect(ledger)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


async def test_an_end_that_the_log_does_not_hold_is_refused_unchanged(tmp_path: Path) -> None:
    ledger = await lost(tmp_path)
    write_half_a_page(ledger, 10_000)
    before = ledger.read_bytes()
    with pytest.raises(LedgerCorruptError, match="cut off"):
        async with ActionDB(ledger):
            pass
    assert ledger.read_bytes() == before


async def test_an_older_copy_beside_a_log_that_needs_more_is_refused_unchanged(
    tmp_path: Path,
) -> None:
    """SQLite joined the two, and what came of it was no ledger any more."""
    ledger, older = await lost(tmp_path), tmp_path / "older.db"
    shutil.copy(ledger, older)
    with closing(sqlite3.connect(ledger)) as connection:
        connection.execute("PRAGMA wal_checkpoint(RESTART)").fetchall()
        connection.execute("UPDATE ledger SET created_at = ''")  # in a log that begins anew
        connection.commit()
        shutil.copy(f"{ledger}-wal", f"{older}-wal")
    before = older.read_bytes()
    with pytest.raises(LedgerCorruptError, match="belongs to another"):
        async with ActionDB(older):
            pass
    assert older.read_bytes() == before


async def test_what_a_log_holds(tmp_path: Path) -> None:
    ledger = await lost(tmp_path)
    log = tmp_path / "left.db-wal"
    added = ledger.stat().st_size // PAGE_BYTES + 1
    held = held_by(log, PAGE_BYTES)
    assert added in held.pages
    assert held.size_pages == max(held.pages)
    assert held_by(tmp_path / "missing", PAGE_BYTES) == Held()
    frames = log.read_bytes()
    # A transaction that was not stored to its end, and frames of a log that was begun anew.
    first = frames[: 32 + 24 + PAGE_BYTES]
    log.write_bytes(first[:36] + b"\0" * 4 + first[40:])
    assert held_by(log, PAGE_BYTES) == Held()
    log.write_bytes(frames[:16] + b"\xff" * 8 + frames[24:])
    assert held_by(log, PAGE_BYTES) == Held()

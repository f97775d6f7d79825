"""Power is lost while the log is brought into the file: nothing that was acknowledged is gone."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from engine_bench import proposal
from operator_core.db.actions import ActionDB
from operator_core.db.sqlite.log_file import holds_page
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


async def test_what_a_log_holds(tmp_path: Path) -> None:
    ledger = await lost(tmp_path)
    log = tmp_path / "left.db-wal"
    added = ledger.stat().st_size // PAGE_BYTES + 1
    assert holds_page(log, added, PAGE_BYTES)
    assert not holds_page(log, 10_000, PAGE_BYTES)
    assert not holds_page(tmp_path / "missing", added, PAGE_BYTES)
    frames = log.read_bytes()
    # A transaction that was not stored to its end, and frames of a log that was begun anew.
    first = frames[: 32 + 24 + PAGE_BYTES]
    log.write_bytes(first[:36] + b"\0" * 4 + first[40:])
    assert not holds_page(log, int.from_bytes(first[32:36], "big"), PAGE_BYTES)
    log.write_bytes(frames[:16] + b"\xff" * 8 + frames[24:])
    assert not holds_page(log, added, PAGE_BYTES)

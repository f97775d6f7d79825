"""What a ledger needs of the machine under it, and what is said where that is missing."""

import sqlite3
import sys
from pathlib import Path

import pytest

from operator_core.db.copy import move_ledger
from operator_core.db.ledger import open_ledger, scratch_ledger
from operator_core.errors import LedgerUnavailableError

URL = "postgresql://me:hush@db/ledger"
NO_LIBRARY = """raise ImportError("no pq wrapper available.\\nAttempts made:\\n- no library")"""


@pytest.fixture(params=["missing", "without its library"])
def _no_driver(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delitem(sys.modules, "psycopg", raising=False)
    if request.param == "missing":
        monkeypatch.setitem(sys.modules, "psycopg", None)
        return
    (tmp_path / "psycopg.py").write_text(NO_LIBRARY, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.usefixtures("_no_driver")
async def test_a_driver_that_cannot_be_loaded_is_named(tmp_path: Path) -> None:
    words = r"the driver, which cannot be loaded \((no pq wrapper|import of psycopg).*\[postgres\]"
    with pytest.raises(LedgerUnavailableError, match=words):
        await open_ledger(URL)
    source = tmp_path / "a.db"
    source.touch()
    with pytest.raises(LedgerUnavailableError, match=words):
        await move_ledger(source, URL, actor="ann")


async def test_an_old_sqlite_is_told_and_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 34, 1))
    monkeypatch.setattr(sqlite3, "sqlite_version", "3.34.1")
    words = r"SQLite 3\.34\.1, and a ledger needs 3\.35 or newer"
    with pytest.raises(LedgerUnavailableError, match=words):
        await open_ledger(tmp_path / "folder" / "a.db")
    with pytest.raises(LedgerUnavailableError, match=words):
        async with scratch_ledger():
            pass
    assert not _in(tmp_path)


def _in(folder: Path) -> list[Path]:
    return list(folder.iterdir())

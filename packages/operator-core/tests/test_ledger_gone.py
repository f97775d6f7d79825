"""The ledger's file is deleted, moved or replaced under a process that works on it."""

import asyncio
import gc
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from cli_kit import install
from engine_bench import bench
from operator_core.actions.types import ActionProposal
from operator_core.db.actions import ActionDB
from operator_core.db.control import ControlDB
from operator_core.db.ledger import open_ledger
from operator_core.errors import LedgerGoneError
from operator_core.runtime.options import RunOptions
from operator_core.runtime.supervisor import run
from operator_core.testing.fakes import Mode
from operator_core.types import RunMode

PROPOSAL = ActionProposal(action_name="act", reason="-")


def delete(path: Path) -> None:
    """Delete a ledger with what belongs to it."""
    for one in path.parent.glob(f"{path.name}*"):
        one.unlink()


def move(path: Path) -> None:
    """Move a ledger with what belongs to it."""
    for one in list(path.parent.glob(f"{path.name}*")):
        one.rename(one.with_name(f"old-{one.name}"))


@pytest.mark.parametrize("away", [delete, move])
async def test_nothing_is_read_or_written_where_nobody_else_sees_it(
    tmp_path: Path, away: Callable[[Path], None]
) -> None:
    """The agent went on in a file without a name, where no kill switch reached it."""
    path = tmp_path / "ledger.db"
    async with ActionDB(path) as db:
        await db.create_proposal(PROPOSAL)
        away(path)
        with pytest.raises(LedgerGoneError, match="deleted or replaced"):
            await db.create_proposal(PROPOSAL)
        with pytest.raises(LedgerGoneError):
            await db.list_proposals()
    async with ActionDB(path) as db:
        assert await db.list_proposals() == []


@pytest.mark.parametrize("suffix", ["-wal", "-shm"])
async def test_without_its_log_a_ledger_is_not_written_any_more(
    tmp_path: Path, suffix: str
) -> None:
    """Who opens it next makes a new log, and the two know nothing of each other."""
    path = tmp_path / "ledger.db"
    async with ActionDB(path) as db:
        made = await db.create_proposal(PROPOSAL)
        path.with_name(f"ledger.db{suffix}").unlink()
        with pytest.raises(LedgerGoneError, match="the log beside it"):
            await db.create_proposal(PROPOSAL)
    async with ActionDB(path) as db:
        assert await db.list_proposals() == [made]  # the last to leave brought it into the file


async def test_letting_go_of_what_is_gone_is_no_error(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ledger = await open_ledger(tmp_path / "ledger.db")
    delete(tmp_path / "ledger.db")
    await ledger.engine.close()
    del ledger
    gc.collect()  # only then is it told of an error that nobody has asked for
    assert caplog.records == []


async def test_the_log_of_the_new_ledger_outlives_the_old_one(tmp_path: Path) -> None:
    """Closing the old file must not remove the log of its name: what was written last is in it."""
    path = tmp_path / "ledger.db"
    old = await open_ledger(path)
    await ActionDB(old).create_proposal(PROPOSAL)
    delete(path)
    new = await open_ledger(path)
    await ActionDB(new).create_proposal(PROPOSAL)
    await old.engine.close()
    assert path.with_name("ledger.db-wal").stat().st_size
    with sqlite3.connect(path) as other:
        assert other.execute("SELECT COUNT(*) FROM action_proposals").fetchone() == (1,)
    other.close()
    await new.engine.close()


async def test_a_running_call_is_stopped_where_no_kill_switch_reaches_it(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        one.subject.mode = Mode.HANG
        running = asyncio.create_task(one.run(await one.validated()))
        await one.subject.acting.wait()
        delete(tmp_path / "ledger.db")
        with pytest.raises(LedgerGoneError):
            await running
        assert one.subject.effects == []


@pytest.mark.timeout(20)
async def test_an_operator_whose_ledger_is_gone_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(monkeypatch)
    path = tmp_path / "ledger.db"
    async with ControlDB(path) as control:
        await control.connect_subject("fake", "fake", {"address": "x"}, actor="ann")
        await control.set_mode(RunMode.EXECUTE, actor="ann")
    watching = asyncio.Event()
    options = RunOptions(interval_seconds=0.1, on_event=lambda _: watching.set())
    working = asyncio.create_task(run(path, options))
    await watching.wait()
    delete(path)
    with pytest.raises(LedgerGoneError):
        await working

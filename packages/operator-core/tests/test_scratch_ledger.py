"""The guards' scratch ledger: the engine of ledger files, in memory and without a thread."""

import asyncio
import threading
from pathlib import Path

import pytest

from engine_bench import id_of, proposal
from operator_core.actions.cage import sweep
from operator_core.actions.canaries.canary import release_all
from operator_core.actions.canaries.table import CANARIES
from operator_core.actions.types import ActionStatus
from operator_core.db.actions import ActionDB
from operator_core.db.engine import Tx
from operator_core.db.ledger import scratch_ledger
from operator_core.errors import LedgerUnavailableError, NotFoundError
from operator_core.testing.clock import LeapingClock

FEW = tuple(one for one in CANARIES if one.name in {"observe mode", "held", "not due"})


async def test_it_lies_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards died, and Operator only looked on, where the folder it was started in was deleted."""
    folder = tmp_path / "release-1"
    folder.mkdir()
    monkeypatch.chdir(folder)
    folder.rmdir()
    async with scratch_ledger(LeapingClock()) as ledger:
        assert await ActionDB(ledger).list_proposals() == []


async def test_it_stores_and_finds_what_a_file_does_without_a_thread() -> None:
    before = threading.active_count()
    async with scratch_ledger(LeapingClock()) as ledger:
        db = ActionDB(ledger)
        stored = id_of(await db.create_proposal(proposal()))
        await db.cancel_proposal(stored, reason="enough")
        assert [one.status for one in await db.list_proposals()] == [ActionStatus.CANCELLED]
        assert threading.active_count() == before


async def test_work_that_raises_leaves_nothing_behind() -> None:
    def work(tx: Tx) -> None:
        assert tx.one("safety.insert", mode="execute", actor="alice", now="2026")
        raise NotFoundError("Proposal", 1)

    async with scratch_ledger(LeapingClock()) as ledger:
        with pytest.raises(NotFoundError):
            await ledger.write(work)
        assert await ledger.read(lambda tx: tx.one("safety.get")) is None


async def test_what_canaries_leave_waiting_is_swept_away() -> None:
    async with scratch_ledger(LeapingClock()) as ledger:
        db = ActionDB(ledger)
        stored = id_of(await db.create_proposal(proposal()))
        await sweep(ledger)
        found = await db.get_proposal(stored)
        assert found is not None
        assert found.status is ActionStatus.CANCELLED


async def test_others_have_their_turn_during_a_trial() -> None:
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    found = await release_all(FEW, LeapingClock())
    task.cancel()
    assert all(one.alive for one in found)
    assert turns >= len(FEW)


async def test_a_scratch_ledger_is_gone_when_it_is_closed() -> None:
    async with scratch_ledger(LeapingClock()) as ledger:
        pass
    with pytest.raises(LedgerUnavailableError):
        await ledger.read(lambda tx: tx.one("safety.get"))

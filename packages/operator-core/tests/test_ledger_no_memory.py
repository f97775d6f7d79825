"""What a ledger does where its process gets no more memory, in the middle of a group of work."""

import asyncio
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from operator_core.db import work
from operator_core.db.engine import Tx
from operator_core.db.ledger import Ledger, open_ledger
from operator_core.db.sqlite import pace
from operator_core.db.sqlite.connection import connect
from operator_core.db.sqlite.writer import Writer
from operator_core.db.work import Job, hand_out, insist
from operator_core.errors import LedgerUnavailableError
from planting import fail_once


def _count(_tx: Tx, items: Sequence[object], /) -> list[int]:
    return [len(items) for _ in items]


@pytest.fixture(params=["by the loop", "by the thread"])
def who_writes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "QUICK_SECONDS", 60.0 if request.param == "by the loop" else 0.0)


async def _write(ledger: Ledger, times: int = 3) -> list[object]:
    calls = [ledger.write_item(_count, None) for _ in range(times)]
    return [*await asyncio.gather(*calls, return_exceptions=True)]


@pytest.mark.usefixtures("who_writes")
@pytest.mark.parametrize("where", ["_commit", "_run_together", "missed"])
async def test_all_are_told_and_the_file_is_let_go_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    path = tmp_path / "ledger.db"
    ledger = await open_ledger(path)
    fail_once(monkeypatch, Writer, where, MemoryError())
    told = await _write(ledger)
    assert [type(each) for each in told] == [LedgerUnavailableError] * 3
    assert "no more memory" in str(told[0])
    with closing(connect(path, "2026-01-01T00:00:00.000000Z")) as other:
        other.execute("BEGIN IMMEDIATE")  # a transaction left open would be waited for
        other.execute("ROLLBACK")
    assert await _write(ledger) == [3, 3, 3]
    await ledger.engine.close()


@pytest.mark.usefixtures("who_writes")
async def test_an_error_that_nobody_thought_of_is_told_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = await open_ledger(tmp_path / "ledger.db")
    fail_once(monkeypatch, Writer, "missed", ZeroDivisionError("oh"))
    assert [str(each) for each in await _write(ledger)] == ["oh"] * 3
    assert await _write(ledger) == [3, 3, 3]
    await ledger.engine.close()


async def test_what_finds_no_memory_is_an_outage_for_who_asked_for_it(tmp_path: Path) -> None:
    def find_none(_tx: Tx) -> None:
        raise MemoryError

    ledger = await open_ledger(tmp_path / "ledger.db")
    with pytest.raises(LedgerUnavailableError, match="no more memory"):
        await ledger.write(find_none)
    with pytest.raises(LedgerUnavailableError, match="no more memory"):
        await ledger.read(find_none)
    await ledger.engine.close()


async def test_one_who_cannot_be_told_keeps_nobody_from_hearing() -> None:
    class Deaf(Job):
        def settle(self) -> None:
            raise MemoryError

    others = Job(), Job()
    with pytest.raises(MemoryError):
        hand_out([others[0], Deaf(), others[1]])
    assert [other.future.done() for other in others] == [True, True]


def test_what_others_wait_for_is_done_once_there_is_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(work, "block", pauses.append)
    errors: list[Exception] = [MemoryError(), MemoryError()]

    def call() -> None:
        if errors:
            raise errors.pop()

    insist(call)
    assert len(pauses) == 2

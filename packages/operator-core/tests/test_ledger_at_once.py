"""Transitions on a quick disk are written by the event loop's own thread; it never waits long."""

import asyncio
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from engine_bench import proposal
from operator_core.db.actions import ActionDB
from operator_core.db.audit import first_broken
from operator_core.db.engine import Tx
from operator_core.db.ledger import Ledger, open_ledger
from operator_core.db.sqlite import engine as engines
from operator_core.db.sqlite import pace
from operator_core.db.sqlite.engine import SqliteEngine
from operator_core.db.sqlite.pace import Pace
from operator_core.errors import RequestError


def threads(_tx: Tx, items: Sequence[object], /) -> list[int]:
    return [threading.get_ident() for _ in items]


def thread(_tx: Tx) -> int:
    return threading.get_ident()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trust any disk: the machine of a test may be busy."""
    monkeypatch.setattr(pace, "QUICK_SECONDS", 60.0)


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Ledger]:
    opened = await open_ledger(tmp_path / "ledger.db")
    yield opened
    await opened.engine.close()


async def _where(ledger: Ledger) -> int:
    return await ledger.write_item(threads, None)


@pytest.mark.usefixtures("quick")
async def test_transitions_are_written_here_and_what_may_take_long_is_not(ledger: Ledger) -> None:
    here = threading.get_ident()
    assert await _where(ledger) == here
    assert await ledger.read(thread) != here
    assert await ledger.write(thread) != here


@pytest.mark.usefixtures("quick")
async def test_those_of_one_round_of_the_loop_share_a_transaction(ledger: Ledger) -> None:
    sizes: list[int] = []

    def work(_tx: Tx, items: Sequence[object], /) -> list[None]:
        sizes.append(len(items))
        return [None for _ in items]

    await asyncio.gather(*(ledger.write_item(work, None) for _ in range(9)))
    assert sizes == [9]


@pytest.mark.usefixtures("quick")
async def test_the_log_is_brought_into_the_file_by_the_writers_thread(ledger: Ledger) -> None:
    where = [await _where(ledger) for _ in range(engines._AT_ONCE_IN_A_ROW + 1)]
    assert [one == threading.get_ident() for one in where[-2:]] == [True, False]
    assert min(_waits(ledger)) > 0


@pytest.mark.usefixtures("quick")
async def test_the_loop_neither_waits_for_a_lock_nor_brings_in_the_log(ledger: Ledger) -> None:
    await _where(ledger)
    assert _waits(ledger) == [0, 0]
    await ledger.write(thread)
    assert min(_waits(ledger)) > 0


def _waits(ledger: Ledger) -> list[int]:
    assert isinstance(ledger.engine, SqliteEngine)
    writer = ledger.engine._writer
    assert writer is not None
    asked = (f"PRAGMA {name}" for name in ("busy_timeout", "wal_autocheckpoint"))
    return [next(iter(writer._connection.execute(one).fetchone().values())) for one in asked]


def test_slow_is_believed_at_once_and_quick_only_after_a_while() -> None:
    disk = Pace()
    assert not disk.is_quick()  # nobody has waited for it yet
    for _ in range(10):
        disk.took(0.001)
    assert disk.is_quick()
    disk.took(1.0)
    for _ in range(40):
        assert not disk.is_quick()
        disk.took(0.001)
    for _ in range(10):
        disk.took(0.001)
    assert disk.is_quick()


class Stalls(sqlite3.Connection):
    """A connection whose commits take as long as somebody says."""

    seconds = 0.0

    def execute(self, text: str, values: object = ()) -> sqlite3.Cursor:
        if text == "COMMIT":
            time.sleep(self.seconds)
        return super().execute(text, values)  # type: ignore[arg-type]  # passed on


async def test_a_disk_that_stalls_stops_the_loop_once_and_not_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *a, **b: real(*a, factory=Stalls, **b))
    stalled = 0.05
    monkeypatch.setattr(pace, "QUICK_SECONDS", stalled / 2)  # of a busy machine's good commits
    ledger = await open_ledger(tmp_path / "ledger.db")
    try:
        async with asyncio.timeout(1.5):
            while await _where(ledger) != threading.get_ident():
                pass
        monkeypatch.setattr(Stalls, "seconds", stalled)
        where = [await _where(ledger) for _ in range(4)]
        assert sum(one == threading.get_ident() for one in where) <= 1
        _TAKEN["turns"] = 0
        turns = asyncio.create_task(_turns())
        await _where(ledger)
        turns.cancel()
        assert _TAKEN["turns"] > 1
    finally:
        monkeypatch.setattr(Stalls, "seconds", 0.0)
        await ledger.engine.close()


_TAKEN = {"turns": 0}


async def _turns() -> None:
    while True:
        _TAKEN["turns"] += 1
        await asyncio.sleep(0.001)


@pytest.mark.usefixtures("quick")
async def test_the_loop_goes_on_while_another_process_holds_the_lock(
    ledger: Ledger, tmp_path: Path
) -> None:
    other = sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    waiting = asyncio.create_task(ActionDB(ledger).create_proposal(proposal()))
    for _ in range(5):
        await asyncio.sleep(0.001)  # a loop that waits would not come back before the lock is free
    assert not waiting.done()
    other.execute("ROLLBACK")
    other.close()
    made = await waiting
    assert await ActionDB(ledger).list_proposals() == [made]


@pytest.mark.usefixtures("quick")
async def test_work_that_raises_takes_nobody_with_it(ledger: Ledger) -> None:
    def refuse(_tx: Tx, _items: Sequence[object], /) -> list[None]:
        raise RequestError("no")

    db = ActionDB(ledger)
    refused, made = await asyncio.gather(
        ledger.write_item(refuse, None), db.create_proposal(proposal()), return_exceptions=True
    )
    assert isinstance(refused, RequestError)
    assert await db.list_proposals() == [made]


@pytest.mark.usefixtures("quick")
async def test_what_is_interrupted_here_is_taken_back(ledger: Ledger) -> None:
    class StopItError(BaseException):
        pass

    def interrupted(tx: Tx, _items: Sequence[object], /) -> list[None]:
        tx.run("safety.insert", mode="execute", actor="x", now="x")
        raise StopItError

    engine = ledger.engine
    assert isinstance(engine, SqliteEngine)
    waiting = asyncio.ensure_future(ledger.write_item(interrupted, None))
    await asyncio.sleep(0)
    group, engine._waiting = engine._waiting, []
    with pytest.raises(StopItError):
        engine._served_at_once(group)
    waiting.cancel()
    assert await ledger.read(lambda tx: tx.one("safety.get")) is None
    assert await _where(ledger) == threading.get_ident()


@pytest.mark.usefixtures("quick")
async def test_both_threads_write_one_chain(ledger: Ledger, tmp_path: Path) -> None:
    db = ActionDB(ledger)
    for _ in range(10):
        await asyncio.gather(
            db.create_proposal(proposal()),
            ledger.read(thread),
            db.create_proposal(proposal()),
            ledger.write(thread),
        )
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as reader:
        reader.row_factory = sqlite3.Row
        told = [dict(row) for row in reader.execute("SELECT * FROM audit_log ORDER BY seq")]
    assert len(told) == 20
    assert first_broken(told, {}) is None

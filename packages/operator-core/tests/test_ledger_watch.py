"""Another process's commits to the same file are heard of, soon and only they."""

import asyncio
from functools import partial
from pathlib import Path

import pytest

from engine_bench import proposal, until
from operator_core.db.actions import ActionDB
from operator_core.db.ledger import open_ledger
from operator_core.db.sqlite import watch


@pytest.mark.parametrize("told", [True, False])
async def test_a_commit_of_another_process_is_heard_of_and_none_of_ones_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, told: bool
) -> None:
    if not told:
        monkeypatch.setattr(watch, "_told_of_writes", lambda _: None)
    own, other = [await open_ledger(tmp_path / "ledger.db") for _ in range(2)]
    heard: list[str] = []
    try:
        own.engine.on_change(lambda: heard.append("a change"))
        await until(lambda: len(heard) == 1)  # of what happened before it listened
        await ActionDB(own).create_proposal(proposal())
        await asyncio.sleep(2 * watch.LOOK_SECONDS)
        assert len(heard) == 1
        for count in (2, 3):
            await ActionDB(other).create_proposal(proposal())
            await until(partial(_has_heard, heard, count))
    finally:
        await own.engine.close()
        await other.engine.close()


def _has_heard(heard: list[str], count: int) -> bool:
    return len(heard) == count


async def test_a_ledger_that_is_closed_is_watched_no_more(tmp_path: Path) -> None:
    ledger = await open_ledger(tmp_path / "ledger.db")
    ledger.subscribe()
    await ledger.engine.close()
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_where_the_system_tells_nobody_looks_for_a_tenth_of_a_second(tmp_path: Path) -> None:
    log = tmp_path / "a-wal"
    log.touch()
    pauses = watch.FileWatch(log, _never, lambda: None)
    assert await pauses._pauses() == (0.0,)
    pauses._written.set()
    assert sum(await pauses._pauses()) < watch.LOOK_SECONDS


async def _never() -> int:
    return 0

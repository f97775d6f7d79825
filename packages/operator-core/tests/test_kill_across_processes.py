"""The kill switch from another terminal, and a person who settles what it left in doubt."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import engine_worker
from engine_bench import bench, until
from operator_core.actions.types import ActionStatus
from operator_core.clock import SYSTEM_CLOCK
from operator_core.db.actions import ActionDB
from operator_core.testing.clock import ManualClock
from operator_core.testing.fakes import Mode

OPERATOR = str(Path(sys.executable).parent / "operator")

pytestmark = pytest.mark.real


def operator(folder: Path, *words: str) -> Any:  # noqa: ANN401 - whatever the command prints
    """Run the installed command and return its JSON."""
    done = subprocess.run(
        [OPERATOR, *words, "--json"],
        env={**os.environ, "OPERATOR_DB": str(folder / "ledger.db")},
        capture_output=True,
        text=True,
        check=True,
        timeout=40,
    )
    return json.loads(done.stdout)


async def prepared(folder: Path) -> None:
    """Store an action that is ready, and one that waits for its hour."""
    async with bench(folder, clock=ManualClock(SYSTEM_CLOCK.now())) as one:
        await one.validated()
        later = await one.validated()
        await one.db.update_scheduled_at(later, one.in_seconds(3_600))


@contextmanager
def another_process(folder: Path, mode: Mode) -> Iterator[None]:
    """Let another process begin to execute what is ready."""
    command = [sys.executable, engine_worker.__file__, folder / "ledger.db", folder / "effects"]
    process = subprocess.Popen([*command, mode.value, "30"], stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.kill()
        process.wait()


async def test_a_kill_from_another_terminal_stops_a_call_and_lists_what_it_left_in_doubt(
    tmp_path: Path,
) -> None:
    """Pitfalls 7, 9 and 10: it acted on another file, on one object only, and returned 0."""
    await prepared(tmp_path)
    with another_process(tmp_path, Mode.HANG_AFTER_EFFECT):
        await until((tmp_path / "effects").exists, seconds=20)
        killed = operator(tmp_path, "kill", "--reason", "wrong cluster", "--wait", "20")
    assert (killed["report"]["running"], killed["report"]["cancelled"]) == ([1], [2])
    assert [(one["id"], one["in_doubt"]) for one in killed["not_stopped"]] == [(1, True)]
    assert operator(tmp_path, "mode")["kill_reason"] == "wrong cluster"
    operator(tmp_path, "actions", "settle", "1", "--done")
    operator(tmp_path, "mode", "execute")
    states = [one["status"] for one in operator(tmp_path, "actions", "list")]
    assert states == ["completed", "cancelled"]
    assert len((tmp_path / "effects").read_text(encoding="utf-8").splitlines()) == 1


async def test_a_call_that_does_not_listen_is_listed_as_not_stopped(tmp_path: Path) -> None:
    """Peer bug 10: "killed" while it was running."""
    await prepared(tmp_path)
    with another_process(tmp_path, Mode.STUBBORN):
        await is_running(tmp_path)
        killed = operator(tmp_path, "kill", "--wait", "0.5")
        (left,) = killed["not_stopped"]
        assert (left["id"], left["status"], left["in_doubt"]) == (1, "executing", False)
    assert operator(tmp_path, "actions", "show", "1")["proposal"]["status"] == "executing"


async def is_running(folder: Path) -> None:
    """Wait until the other process has claimed its action."""
    async with ActionDB(folder / "ledger.db") as db, asyncio.timeout(20):
        while not await db.list_proposals(ActionStatus.EXECUTING):  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.05)

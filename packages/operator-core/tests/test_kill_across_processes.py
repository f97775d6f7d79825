"""The kill switch from another terminal, and a person who settles what it left in doubt."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import engine_worker
from cli_kit import Cli, now_do
from engine_bench import bench
from operator_core.clock import SYSTEM_CLOCK
from operator_core.testing.clock import ManualClock
from operator_core.testing.fakes import Mode

OPERATOR = str(Path(sys.executable).parent / "operator")
PATIENCE_SECONDS = 60

pytestmark = [pytest.mark.real, pytest.mark.timeout(3 * PATIENCE_SECONDS)]


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """Store an action that is ready, and one that waits for its hour."""
    now_do(prepared(tmp_path))
    made = Cli(tmp_path)
    made.db_path = tmp_path / "ledger.db"
    return made


async def prepared(folder: Path) -> None:
    async with bench(folder, clock=ManualClock(SYSTEM_CLOCK.now())) as one:
        await one.validated()
        later = await one.validated()
        await one.db.update_scheduled_at(later, one.in_seconds(3_600))


@contextmanager
def another_process(folder: Path, mode: Mode) -> Iterator[None]:
    """Let another process begin to execute what is ready."""
    places = [str(folder / name) for name in ("ledger.db", "effects")]
    command = [sys.executable, engine_worker.__file__, *places, mode.value, "300"]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.kill()
        process.wait()


def kill_from_a_terminal(folder: Path, wait_seconds: str) -> Any:  # noqa: ANN401 - JSON
    """Run the installed command and return what it says."""
    done = subprocess.run(
        [OPERATOR, "kill", "--reason", "wrong cluster", "--wait", wait_seconds, "--json"],
        env={**os.environ, "OPERATOR_DB": str(folder / "ledger.db")},
        capture_output=True,
        check=True,
        timeout=2 * PATIENCE_SECONDS,
    )
    return json.loads(done.stdout)


def wait_until(condition: Callable[[], object]) -> None:
    for _ in range(PATIENCE_SECONDS * 20):
        if condition():
            return
        time.sleep(0.05)
    raise TimeoutError("it does not come to hold")


def test_a_kill_from_another_terminal_stops_a_call_and_lists_what_it_left_in_doubt(
    tmp_path: Path, cli: Cli
) -> None:
    """Pitfalls 7, 9 and 10: it acted on another file, on one object only, and returned 0."""
    with another_process(tmp_path, Mode.HANG_AFTER_EFFECT):
        wait_until((tmp_path / "effects").exists)
        killed = kill_from_a_terminal(tmp_path, str(PATIENCE_SECONDS))
    assert (killed["report"]["running"], killed["report"]["cancelled"]) == ([1], [2])
    assert [(one["id"], one["in_doubt"]) for one in killed["not_stopped"]] == [(1, True)]
    assert cli.json("mode")["kill_reason"] == "wrong cluster"
    cli.ok("actions", "settle", "1", "--done")
    cli.ok("mode", "execute")
    assert [one["status"] for one in cli.json("actions", "list")] == ["completed", "cancelled"]
    assert len((tmp_path / "effects").read_text(encoding="utf-8").splitlines()) == 1


def test_a_call_that_does_not_listen_is_listed_as_not_stopped(tmp_path: Path, cli: Cli) -> None:
    """Peer bug 10: "killed" while it was running."""
    with another_process(tmp_path, Mode.STUBBORN):
        wait_until(lambda: cli.json("actions", "list", "--status", "executing"))
        (left,) = kill_from_a_terminal(tmp_path, "0")["not_stopped"]
        assert (left["id"], left["status"], left["in_doubt"]) == (1, "executing", False)
    assert cli.json("actions", "show", "1")["proposal"]["status"] == "executing"

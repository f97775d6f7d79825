"""Several users of a ledger file in one process, and processes that are forked beside one."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from engine_bench import proposal, recommend
from operator_core.actions.audit import ActionAuditor
from operator_core.actions.executor import ActionExecutor
from operator_core.actions.registry import ActionRegistry
from operator_core.actions.safety import SafetyController
from operator_core.actions.types import SafetyMode
from operator_core.db.actions import ActionDB
from operator_core.db.ledger import open_ledger
from operator_core.db.sqlite import connection, disk
from operator_core.errors import LedgerUnavailableError
from operator_core.testing.fakes import FakeSubject

pytestmark = pytest.mark.real

THREADS, REQUESTS = 4, 20

_COUNT = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
print(connection.execute("SELECT COUNT(*) FROM action_proposals").fetchone()[0])
connection.close()
"""
_FORK = """
import asyncio, os, sys
from operator_core.db.actions import ActionDB
from operator_core.errors import LedgerUnavailableError

async def look(db):
    async with db:
        return len(await db.list_proposals())

def in_child(work):
    pid = os.fork()
    if not pid:
        try:
            work()
        except LedgerUnavailableError as error:
            print(error, flush=True)
        finally:
            os._exit(0)
    os.waitpid(pid, 0)

async def main():
    async with ActionDB(sys.argv[1]) as db:
        in_child(lambda: print(asyncio.run(look(ActionDB(sys.argv[1]))), flush=True))
        in_child(lambda: asyncio.run(db.list_proposals()))
        await db.list_proposals()  # the parent has what it had
    in_child(lambda: print(asyncio.run(look(ActionDB(sys.argv[1]))), flush=True))

asyncio.run(main())
"""


def in_a_process(script: str, path: Path | str) -> str:
    """Run a script with the ledger's address in a process of its own; return what it said."""
    command = [sys.executable, "-W", "ignore", "-c", script, str(path)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


async def in_another_loop(path: Path) -> None:
    """Open a ledger in a thread with an event loop of its own, and close it."""
    one = threading.Thread(target=asyncio.run, args=(in_this_loop(path),))
    one.start()
    await asyncio.to_thread(one.join)


async def in_this_loop(path: Path) -> None:
    """Open a ledger that others of the process may have open, and close it."""
    ledger = await open_ledger(path)
    await ledger.engine.close()


@pytest.mark.parametrize("open_beside", [in_another_loop, in_this_loop])
async def test_what_is_opened_twice_in_a_process_is_not_forgotten(
    tmp_path: Path, open_beside: Callable[[Path], Awaitable[None]]
) -> None:
    """The second opening took the first one's lock: another process removed the log, and with it
    all that was written from then on."""
    path = tmp_path / "ledger.db"
    async with ActionDB(path) as db:
        await db.create_proposal(proposal())
        await open_beside(path)
        assert in_a_process(_COUNT, path) == "1\n"
        await db.create_proposal(proposal())
        assert in_a_process(_COUNT, path) == "2\n"


def test_threads_with_loops_of_their_own_share_an_executor(tmp_path: Path) -> None:
    """As in a web server: each request runs its own loop, and commands come and go beside it."""
    path, subject = tmp_path / "ledger.db", FakeSubject()
    auditor = ActionAuditor(path)
    safety = SafetyController(path, auditor, SafetyMode.EXECUTE)
    executor = ActionExecutor(path, ActionRegistry(subject), safety, auditor, approval_mode=False)

    async def request() -> None:
        run = await executor.run_action(recommend(), subject)
        assert run.record is not None
        assert run.record.success

    def serve() -> None:
        for _ in range(REQUESTS):
            asyncio.run(request())

    asyncio.run(request())
    with ThreadPoolExecutor(THREADS) as pool:
        served = [pool.submit(serve) for _ in range(THREADS)]
        while not all(one.done() for one in served):
            in_a_process(_COUNT, path)
    for one in served:
        one.result()
    total = THREADS * REQUESTS + 1
    assert in_a_process(_COUNT, path) == f"{total}\n"
    assert len(subject.effects) == total


def test_a_forked_process_opens_no_file_that_was_open(tmp_path: Path) -> None:
    first, second, third = in_a_process(_FORK, tmp_path / "ledger.db").splitlines()
    assert "SQLite cannot open it here any more" in first
    assert "was opened before this process was forked" in second
    assert third == "0"


def test_a_forked_process_has_connections_of_its_own_to_a_server(empty_database: str) -> None:
    first, second, third = in_a_process(_FORK, empty_database).splitlines()
    assert "was opened before this process was forked" in second
    assert (first, third) == ("0", "0")


async def test_a_file_with_two_names_is_refused(tmp_path: Path) -> None:
    """Each name has a log of its own, and none of them knows what the other one holds."""
    path, other = tmp_path / "ledger.db", tmp_path / "other.db"
    await in_this_loop(path)
    other.hardlink_to(path)
    for name in (path, other):
        with pytest.raises(LedgerUnavailableError, match="2 names"):
            await open_ledger(name)
    other.unlink()
    await in_this_loop(path)


async def test_a_file_that_is_mounted_without_its_folder_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "ledger.db"
    await in_this_loop(path)
    (tmp_path / "mounts").write_text(f"/dev/vda {path} ext4 rw 0 0\n")
    look = partial(disk.trouble_of_names, mounts=tmp_path / "mounts")
    monkeypatch.setattr(connection, "trouble_of_names", look)
    with pytest.raises(LedgerUnavailableError, match="mount its folder"):
        await open_ledger(path)

"""A ledger that is named by its path stays open between calls, and not for longer than it must."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine_bench import recommend, until
from operator_core.actions.audit import ActionAuditor
from operator_core.actions.executor import ActionExecutor
from operator_core.actions.registry import ActionRegistry
from operator_core.actions.safety import SafetyController
from operator_core.actions.types import SafetyMode
from operator_core.clock import SYSTEM_CLOCK, Clock
from operator_core.db import sharing
from operator_core.db.actions import ActionDB
from operator_core.db.ledger import Ledger, LedgerAddress, open_ledger
from operator_core.errors import ConfigurationError
from operator_core.testing.fakes import FakeSubject


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[LedgerAddress]:
    """Return what was opened, as it is opened."""
    found: list[LedgerAddress] = []

    async def counted(address: LedgerAddress, clock: Clock = SYSTEM_CLOCK) -> Ledger:
        found.append(address)
        return await open_ledger(address, clock)

    monkeypatch.setattr(sharing, "open_ledger", counted)
    return found


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let ledgers be closed soon."""
    monkeypatch.setattr(sharing, "LINGER_SECONDS", 0.02)


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    """Return a path, whose ledger is closed in the end."""
    yield tmp_path / "ledger.db"
    assert not _threads()


def _threads() -> list[str]:
    return [one.name for one in threading.enumerate() if one.name.startswith("ledger ")]


def executor(path: Path | str) -> ActionExecutor:
    """Return an executor that knows where its ledger lies, and no more."""
    auditor = ActionAuditor(path)
    safety = SafetyController(path, auditor, SafetyMode.EXECUTE)
    return ActionExecutor(path, ActionRegistry(FakeSubject()), safety, auditor, approval_mode=False)


async def act(path: Path | str) -> None:
    """Take an action from its proposal to its end."""
    mine = executor(path)
    proposal = await mine.propose_action(recommend())
    await mine.validate_proposal(int(proposal.id or 0))
    record = await mine.execute_proposal(int(proposal.id or 0), FakeSubject())
    assert record.success


def test_calls_share_a_ledger_and_the_loop_closes_it_in_the_end(
    path: Path, opened: list[LedgerAddress]
) -> None:
    asyncio.run(act(path))
    assert opened == [path]
    assert not path.with_name("ledger.db-wal").exists(), "the log was brought into the file"


def test_calls_of_many_at_once_open_it_once(path: Path, opened: list[LedgerAddress]) -> None:
    async def main() -> None:
        await asyncio.gather(*(act(str(path)) for _ in range(5)))
        async with ActionDB(path) as db:
            assert len(await db.list_proposals()) == 5

    asyncio.run(main())
    assert opened == [path]


@pytest.mark.usefixtures("short")
def test_a_ledger_is_closed_a_while_after_the_last_call_and_opened_again(
    path: Path, opened: list[LedgerAddress]
) -> None:
    async def main() -> None:
        await act(path)
        await until(lambda: not _threads())
        await act(path)

    asyncio.run(main())
    assert opened == [path, path]


@pytest.mark.usefixtures("short")
def test_who_has_it_open_keeps_it_so_and_who_closes_it_does_so_at_once(
    path: Path, opened: list[LedgerAddress]
) -> None:
    async def main() -> None:
        async with ActionDB(path) as db:
            await act(path)
            (shared,) = sharing._LOOPS[asyncio.get_running_loop()].by_address.values()
            assert shared.closing is None
            assert len(await db.list_proposals()) == 1
        assert not _threads()

    asyncio.run(main())
    assert opened == [path]


def test_a_ledger_that_was_replaced_while_nobody_used_it_is_opened_anew(
    path: Path, opened: list[LedgerAddress]
) -> None:
    async def main() -> int:
        await act(path)
        for one in path.parent.iterdir():
            one.unlink()
        await act(path)
        async with ActionDB(path) as db:
            return len(await db.list_proposals())

    assert asyncio.run(main()) == 1
    assert opened == [path, path]


def test_two_loops_have_a_ledger_each(path: Path, opened: list[LedgerAddress]) -> None:
    for _ in range(2):
        asyncio.run(act(path))
    assert opened == [path, path]


def test_a_ledger_in_memory_is_refused_where_it_is_named() -> None:
    with pytest.raises(ConfigurationError, match="name a file"):
        executor(":memory:")

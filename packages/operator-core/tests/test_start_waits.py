"""A process that starts waits for a ledger that is away, busy or full for a while (ADR 54)."""

import asyncio
import errno
import math
import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path

import psycopg
import pytest

from engine_bench import until
from operator_core.db.ledger import Ledger
from operator_core.db.postgres.connection import Address
from operator_core.db.postgres.troubles import translate
from operator_core.db.sqlite import tx
from operator_core.errors import (
    ConfigurationError,
    LedgerAwayError,
    LedgerBusyError,
    LedgerCorruptError,
    LedgerFullError,
    LedgerReadOnlyError,
    LedgerUnavailableError,
    OperatorError,
)
from operator_core.runtime import loops, supervisor
from operator_core.runtime.loops import ended_by, once_usable
from operator_core.runtime.options import RunOptions


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loops, "TROUBLE_PAUSE_SECONDS", 0.001)


class Start:
    """A start that fails first."""

    def __init__(self, errors: Sequence[OperatorError]) -> None:
        """Take what is raised, in turn."""
        self.errors = list(errors)

    async def __call__(self) -> str:
        """Start."""
        if self.errors:
            raise self.errors.pop(0)
        return "started"


@pytest.mark.parametrize(
    "kind", [LedgerAwayError, LedgerBusyError, LedgerFullError, LedgerReadOnlyError]
)
async def test_what_passes_is_waited_for_and_told_once(kind: type[OperatorError]) -> None:
    told: list[str] = []
    start = Start([kind("Free some space.")] * 5)
    assert await once_usable(start, asyncio.Event(), told.append) == "started"
    assert told == ["waiting for the ledger: Free some space. It goes on by itself then."]


@pytest.mark.parametrize("kind", [LedgerUnavailableError, LedgerCorruptError, ConfigurationError])
async def test_what_waiting_does_not_mend_ends_the_process(kind: type[OperatorError]) -> None:
    told: list[str] = []
    with pytest.raises(kind):
        await once_usable(Start([kind("no")]), asyncio.Event(), told.append)
    assert told == []


async def test_a_request_to_stop_ends_the_wait() -> None:
    stop = asyncio.Event()
    start = Start([LedgerFullError("full")] * 1_000_000)
    assert await once_usable(start, stop, lambda _: stop.set()) is None


async def test_whatever_ends_first_asks_to_stop() -> None:
    stop, never = asyncio.Event(), asyncio.Event()

    async def forever() -> None:
        await never.wait()

    async with ended_by(stop, [forever(), asyncio.sleep(0)]):
        async with asyncio.timeout(1):
            await stop.wait()


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("connection refused", LedgerAwayError),
        ("timeout expired", LedgerAwayError),
        ("FATAL:  the database system is starting up", LedgerAwayError),
        ("FATAL:  the database system is shutting down", LedgerAwayError),
        ("FATAL:  sorry, too many clients already", LedgerBusyError),
        ('FATAL:  too many connections for role "x"', LedgerBusyError),
        ("FATAL:  remaining connection slots are reserved for roles with", LedgerBusyError),
        ('FATAL:  password authentication failed for user "x"', LedgerUnavailableError),
        ('FATAL:  database "x" does not exist', LedgerUnavailableError),
    ],
)
def test_a_server_that_refuses_is_not_away(words: str, kind: type[OperatorError]) -> None:
    assert type(translate(psycopg.OperationalError(words), "here")) is kind


async def test_a_process_that_starts_on_a_full_disk_goes_on_once_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk may be full only for what is written after opening; nothing stays open meanwhile."""
    tries: list[bool] = []

    async def full_first(ledger: Ledger, _: RunOptions) -> list[dict[str, object]]:
        tries.append(ledger in seen)
        seen.append(ledger)
        if len(tries) < 3:
            raise LedgerFullError("The disk is full. Free some space.")
        return []

    seen: list[Ledger] = []

    monkeypatch.setattr(supervisor, "_records", full_first)
    told: list[str] = []
    options = RunOptions(lifetime_seconds=30, on_event=told.append, require_approval=False)
    run = asyncio.create_task(supervisor.run(tmp_path / "ledger.db", options))
    await until(lambda: any(line.startswith("watching") for line in told))
    run.cancel()
    await asyncio.wait({run})
    assert tries == [False, False, False]  # each time it was opened anew
    assert told[0].startswith("waiting for the ledger: The disk is full.")


@pytest.mark.parametrize(
    ("left_bytes", "kind"), [(0, LedgerFullError), (10**9, LedgerUnavailableError)]
)
def test_a_disk_without_room_is_full_though_sqlite_says_less(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, left_bytes: int, kind: type[OperatorError]
) -> None:
    """Its shared memory finds no room, and it tells of an error of the disk."""
    monkeypatch.setattr(tx, "_room_bytes", lambda _: left_bytes)
    error = sqlite3.OperationalError("disk I/O error")
    assert type(tx.translate(error, tmp_path / "ledger.db")) is kind


def test_where_nobody_can_tell_there_is_room(tmp_path: Path) -> None:
    assert tx._room_bytes(tmp_path / "ledger.db") >= 0
    assert tx._room_bytes(tmp_path / "gone" / "ledger.db") == math.inf


@pytest.fixture
def moved(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `time.sleep` fail, as in a process whose clock libfaketime moves."""

    def fails(_: float) -> None:
        raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(time, "sleep", fails)


@pytest.mark.usefixtures("moved")
def test_a_busy_file_is_waited_for_also_where_a_clock_is_moved() -> None:
    errors: list[Exception] = [sqlite3.OperationalError("database is locked")]

    def call() -> None:
        if errors:
            raise errors.pop()

    tx._call_again(call)
    assert errors == []


@pytest.mark.usefixtures("moved")
def test_a_server_that_starts_is_waited_for_also_where_a_clock_is_moved(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    errors: list[Exception] = [psycopg.OperationalError("FATAL:  the database is starting up")]

    def connect(*_: object, **__: object) -> str:
        if errors:
            raise errors.pop()
        return "connected"

    monkeypatch.setattr(Address, "connect", connect)
    address = Address("postgresql://nobody@127.0.0.1:1/none")
    assert str(address.connect_once("test")) == "connected"

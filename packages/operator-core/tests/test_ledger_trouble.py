"""A ledger that cannot be used says so: the right error, nothing damaged, no thread left."""

import asyncio
import os
import sqlite3
import tempfile
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path

import pytest

import old_ledgers as old
from engine_bench import bench, id_of, proposal, until
from operator_core.actions.types import ActionProposal
from operator_core.db.actions import ActionDB
from operator_core.db.ledger import open_ledger
from operator_core.db.sqlite import connection as connecting
from operator_core.db.sqlite import tx as transactions
from operator_core.db.sqlite.engine import SqliteEngine
from operator_core.errors import (
    LedgerAwayError,
    LedgerBusyError,
    LedgerCorruptError,
    LedgerError,
    LedgerReadOnlyError,
    LedgerUnavailableError,
    LedgerVersionError,
    NotFoundError,
    OperatorError,
    RequestError,
)

NOBODY = 65534


def ledger_threads() -> list[str]:
    return [one.name for one in threading.enumerate() if one.name.startswith("ledger ")]


@asynccontextmanager
async def refusal(path: Path, kind: type[LedgerError]) -> AsyncIterator[list[str]]:
    """Expect that a ledger cannot be opened; the message names the file or what to do."""
    said: list[str] = []
    with pytest.raises(kind) as raised:
        await ActionDB(path).__aenter__()
    said.append(str(raised.value))
    assert said[0].endswith(".")
    yield said
    await until(lambda: not ledger_threads())


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "l.db"


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transactions, "BUSY_SECONDS", 0.1)
    monkeypatch.setattr(connecting, "BUSY_HANDLER_SECONDS", 0.01)


STRANGERS = {
    "helpdesk": "CREATE TABLE tickets (id INTEGER PRIMARY KEY, customer TEXT, body TEXT);"
    "INSERT INTO tickets VALUES (1, 'Ann', 'It is broken');",
    "rails": "CREATE TABLE schema_migrations (version TEXT); CREATE TABLE users (id INTEGER);"
    "INSERT INTO schema_migrations VALUES ('20260101000000');",
    "two steps": "CREATE TABLE schema_migrations (version INTEGER);"
    "INSERT INTO schema_migrations VALUES (2);",
    "odd": "CREATE TABLE schema_migrations (step TEXT); CREATE TABLE notes (text TEXT);",
}


@pytest.mark.parametrize("stranger", STRANGERS)
async def test_another_programs_database_is_refused_and_not_touched(
    file: Path, stranger: str
) -> None:
    """Not even its journal mode changes."""
    old.make(file, STRANGERS[stranger])
    before = file.read_bytes()  # noqa: ASYNC240 - a small file
    async with refusal(file, LedgerCorruptError) as said:
        assert "another program" in said[0]
    assert file.read_bytes() == before  # noqa: ASYNC240 - a small file


async def test_a_newer_ledger_is_refused_and_not_touched(file: Path) -> None:
    async with ActionDB(file):
        pass
    old.execute(file, ["INSERT INTO schema_migrations VALUES (99, 'future', 'now')"])
    before = old.dump(file)
    async with refusal(file, LedgerVersionError) as said:
        assert "Upgrade Operator" in said[0]
    assert old.dump(file) == before


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (lambda path: path.mkdir(), LedgerUnavailableError),
        (lambda path: path.write_text("hello, I am text. " * 100), LedgerCorruptError),
        (lambda path: path.write_bytes(b"SQLite format 3\0" + b"\xff" * 4000), LedgerCorruptError),
    ],
    ids=["directory", "text", "garbage"],
)
async def test_what_is_no_database_is_refused(
    file: Path, make: Callable[[Path], object], kind: type[LedgerError]
) -> None:
    make(file)
    async with refusal(file, kind) as said:
        assert str(file) in said[0]


async def test_a_path_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    async with refusal(tmp_path / "file" / "l.db", LedgerUnavailableError) as said:
        assert "--db" in said[0]


@pytest.mark.parametrize("keep_bytes", [50, 4_096, 20_000])
async def test_a_truncated_ledger_is_refused(file: Path, keep_bytes: int) -> None:
    async with ActionDB(file) as db:
        await db.create_proposal(proposal())
    with file.open("r+b") as opened:
        opened.truncate(keep_bytes)
    async with refusal(file, LedgerCorruptError):
        pass


def overwrite(file: Path, old_bytes: bytes, new_bytes: bytes) -> None:
    """Damage a file."""
    file.write_bytes(file.read_bytes().replace(old_bytes, new_bytes))


async def test_a_ledger_whose_schema_is_no_text_is_damaged(file: Path) -> None:
    async with ActionDB(file):
        pass
    overwrite(file, b"CREATE TABLE tickets", b"CREATE \xf4ABLE tickets")
    async with refusal(file, LedgerCorruptError):
        pass


@pytest.mark.parametrize("table", ["ledger", "safety"])
async def test_a_ledger_without_one_of_its_tables_is_damaged(file: Path, table: str) -> None:
    async with ActionDB(file):
        pass
    old.execute(file, [f"DROP TABLE {table}"])
    if table == "ledger":
        async with refusal(file, LedgerCorruptError):
            pass
        return
    async with bench_on(file) as db:
        with pytest.raises(LedgerCorruptError):
            await db.ledger.read(lambda tx: tx.one("safety.get"))


@asynccontextmanager
async def bench_on(file: Path) -> AsyncIterator[ActionDB]:
    async with ActionDB(file) as db:
        yield db


# --- permissions: tests may run as root, who may write everything ------------------------


@pytest.fixture
def open_to_all() -> Iterator[Path]:
    """Make a folder that nobody may enter: pytest's own lie below one that is private."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder
        folder.chmod(0o755)


@contextmanager
def as_nobody() -> Iterator[None]:
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if is_root:
            os.seteuid(0)


async def test_a_read_only_file_is_refused(open_to_all: Path) -> None:
    file = open_to_all / "l.db"
    async with ActionDB(file):
        pass
    before = old.dump(file)
    file.chmod(0o444)
    file.parent.chmod(0o555)
    with as_nobody():
        async with refusal(file, LedgerError) as said:
            assert str(file) in said[0]
    assert old.dump(file) == before


async def test_an_older_file_that_is_read_only_is_refused(open_to_all: Path) -> None:
    file = open_to_all / "l.db"
    old.make(file, old.BARE_TICKETS, old.PHASE_15)
    before = file.read_bytes()
    file.chmod(0o444)
    with as_nobody():
        async with refusal(file, LedgerReadOnlyError) as said:
            assert "permissions" in said[0]
    assert file.read_bytes() == before


async def test_a_folder_that_cannot_be_written_is_refused(open_to_all: Path) -> None:
    folder = open_to_all / "closed"
    folder.mkdir(mode=0o555)
    with as_nobody():
        async with refusal(folder / "l.db", LedgerUnavailableError):
            pass
        async with refusal(folder / "new" / "l.db", LedgerUnavailableError):
            pass


async def test_a_folder_that_may_not_be_entered_for_a_while_is_no_ledger_that_is_gone(
    open_to_all: Path,
) -> None:
    """Its process ended, and said that the file was deleted or replaced."""
    folder = open_to_all / "closed"
    folder.mkdir()
    os.chown(folder, NOBODY if os.geteuid() == 0 else -1, -1)
    async with ActionDB(folder.parent / "l.db"):
        pass  # what is imported late may not be readable for everybody
    with as_nobody():
        async with ActionDB(folder / "l.db") as db:
            folder.chmod(0o000)
            for work in (db.create_proposal(proposal()), db.list_proposals()):
                with pytest.raises(LedgerAwayError, match="cannot be looked at: Permission"):
                    await work
            folder.chmod(0o700)
            await db.create_proposal(proposal())
            assert len(await db.list_proposals()) == 1


# --- locks -------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", ["new", "old"])
@pytest.mark.usefixtures("impatient")
async def test_a_locked_ledger_is_busy(file: Path, shape: str) -> None:
    """Pitfall 33: nothing is skipped in silence."""
    if shape == "old":
        old.make(file, old.BARE_TICKETS, old.PHASE_15)
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        async with refusal(file, LedgerBusyError) as said:
            assert "another process" in said[0]
        other.execute("ROLLBACK")
    async with ActionDB(file) as db:
        assert await db.list_proposals() == []


@pytest.mark.usefixtures("impatient")
async def test_a_lock_while_it_is_open_loses_nothing(file: Path) -> None:
    async with ActionDB(file) as db:
        with closing(sqlite3.connect(file, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(LedgerBusyError):
                await db.create_proposal(proposal())
            assert await db.list_proposals() == []
            other.execute("ROLLBACK")
        await db.create_proposal(proposal())
        assert len(await db.list_proposals()) == 1


async def test_a_short_lock_is_waited_for(file: Path) -> None:
    async with ActionDB(file) as db:
        with closing(sqlite3.connect(file, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            waiting = asyncio.create_task(db.create_proposal(proposal()))
            await asyncio.sleep(0.05)
            other.execute("ROLLBACK")
            assert id_of(await waiting) == 1


# --- opening and closing -----------------------------------------------------------------


async def test_a_closed_store_says_so(file: Path) -> None:
    db = ActionDB(file)
    with pytest.raises(LedgerUnavailableError, match="async with"):
        await db.list_proposals()


async def test_the_same_path_shares_one_writer_which_its_last_user_closes(file: Path) -> None:
    async with ActionDB(file) as first:
        async with ActionDB(str(file)) as second:
            assert second.ledger.engine is first.ledger.engine
            assert len(ledger_threads()) == 1
        assert await first.list_proposals() == []
    assert ledger_threads() == []
    assert sorted(path.name for path in file.parent.iterdir()) == ["l.db"]


async def test_many_tasks_open_and_close_the_same_path(file: Path) -> None:
    async def one() -> ActionProposal:
        async with ActionDB(file) as db:
            return await db.create_proposal(proposal())

    made = await asyncio.gather(*[one() for _ in range(50)])
    assert len({each.id for each in made}) == 50
    assert ledger_threads() == []


@pytest.mark.usefixtures("impatient")
async def test_opening_that_is_cancelled_leaves_no_thread(file: Path) -> None:
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        opening = asyncio.create_task(ActionDB(file).__aenter__())
        await asyncio.sleep(0.02)
        opening.cancel()
        await asyncio.gather(opening, return_exceptions=True)
    await until(lambda: not ledger_threads())
    async with ActionDB(file) as db:
        assert await db.list_proposals() == []


async def test_opening_that_is_cancelled_and_then_succeeds_leaves_no_thread(file: Path) -> None:
    opening = asyncio.create_task(SqliteEngine.open(file, "2026-01-26T15:00:00.000000+00:00"))
    await asyncio.sleep(0)
    opening.cancel()
    await asyncio.gather(opening, return_exceptions=True)
    await until(lambda: not ledger_threads())


async def test_a_call_that_is_cancelled_harms_nobody(file: Path) -> None:
    async with ActionDB(file) as db:
        calls = [asyncio.create_task(db.create_proposal(proposal())) for _ in range(20)]
        await asyncio.sleep(0)
        for call in calls[::2]:
            call.cancel()
        results = await asyncio.gather(*calls, return_exceptions=True)
        assert sum(isinstance(result, ActionProposal) for result in results) >= 10
        await db.create_proposal(proposal())


async def test_work_that_fails_takes_nobody_of_its_group_with_it(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        results = await asyncio.gather(
            *[one.db.create_proposal(proposal(ticket_id=n % 2 or None)) for n in range(10)],
            return_exceptions=True,
        )
        assert [isinstance(each, NotFoundError) for each in results] == [False, True] * 5
        assert len(await one.db.list_proposals()) == 5


@pytest.mark.parametrize("number", [2**63, 2**200, -(2**63) - 1])
async def test_numbers_that_do_not_fit_are_refused_in_words(tmp_path: Path, number: int) -> None:
    async with bench(tmp_path) as one:
        for call in (
            one.db.get_proposal(number),
            one.db.create_proposal(proposal(max_retries=abs(number))),
            one.db.approve_proposal(number),
            one.executor().execute_proposal(number),
        ):
            with pytest.raises(OperatorError):
                await call


async def test_text_that_is_no_unicode_is_refused_in_words(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        stored = id_of(await one.db.create_proposal(proposal()))
        with pytest.raises(RequestError):
            await one.db.reject_proposal(stored, reason="a\ud800")
        assert (await one.get(stored)).rejected_at is None


async def test_an_open_ledger_is_not_closed_by_its_users(file: Path) -> None:
    ledger = await open_ledger(file)
    async with ActionDB(ledger) as db:
        await db.create_proposal(proposal())
    assert len(await ActionDB(ledger).list_proposals()) == 1
    await ledger.engine.close()
    with pytest.raises(LedgerUnavailableError):
        await ActionDB(ledger).list_proposals()

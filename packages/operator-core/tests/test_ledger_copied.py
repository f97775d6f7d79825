"""A ledger file that was copied by hand is a state of the past; one that was moved goes on."""

import asyncio
import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from engine_bench import Bench, bench, proposal
from ledger_places import names
from operator_core.db.control import ControlDB
from operator_core.db.sqlite import place
from operator_core.db.sqlite.place import SEEN
from operator_core.db.sqlite.reading import undisturbed
from operator_core.types import RunMode

Do = Callable[[Path, Path], object]


def overwrite(source: Path, target: Path) -> None:
    """Copy a file into another one, as `cp` does: it stays the same file."""
    target.write_bytes(source.read_bytes())


def back_up_by_sqlite(source: Path, target: Path) -> None:
    """Make a copy that is not the same bytes, as `sqlite3 ledger.db '.backup …'` does."""
    with closing(sqlite3.connect(source)) as one, closing(sqlite3.connect(target)) as two:
        one.backup(two)


async def used(folder: Path) -> str:
    """Use a ledger: one action was done, and one is approved and waits."""
    async with bench(folder) as one:
        await one.run(await one.validated())
        await one.validated()
        return one.ledger.ledger_id


async def is_anew(folder: Path, ledger_id: str) -> bool:
    """Open a ledger; return whether it has begun anew, with its work held."""
    async with bench(folder) as one:
        state, waiting = await one.control.safety_state(), await one.get(2)
        anew = one.ledger.ledger_id != ledger_id
        assert (state.mode is RunMode.OBSERVE) == anew
        assert (waiting.held, waiting.is_approved) == (anew, not anew)
        assert ("ledger_restored" in await one.events()) == anew
        return anew


# --- what begins anew ---------------------------------------------------------------------


@pytest.mark.parametrize("save", [shutil.copy, back_up_by_sqlite])
@pytest.mark.parametrize("restore", [shutil.copy, overwrite, os.replace])
async def test_a_copy_that_is_put_back_begins_anew(tmp_path: Path, save: Do, restore: Do) -> None:
    ledger_id = await used(tmp_path)
    save(tmp_path / "ledger.db", tmp_path / "saved.db")
    async with bench(tmp_path) as one:
        await one.run(2)
    restore(tmp_path / "saved.db", tmp_path / "ledger.db")
    assert await is_anew(tmp_path, ledger_id)


async def test_a_copy_that_went_on_elsewhere_begins_anew_when_it_is_brought_back(
    tmp_path: Path,
) -> None:
    """It lacks nothing by number, but what stands there is not what was seen here."""
    ledger_id, other = await used(tmp_path), tmp_path / "other"
    other.mkdir()
    (tmp_path / "ledger.db").rename(other / "ledger.db")
    shutil.copy(other / "ledger.db", tmp_path / "saved.db")
    async with bench(other) as one:
        for _ in range(3):
            await one.db.create_proposal(proposal())
    shutil.copy(other / "ledger.db", tmp_path / "ahead.db")
    (tmp_path / "saved.db").rename(tmp_path / "ledger.db")
    (other / "ledger.db").unlink()
    async with bench(tmp_path) as one:
        assert one.ledger.ledger_id == ledger_id
        await one.run(2)
    (tmp_path / "ahead.db").rename(tmp_path / "ledger.db")
    assert await is_anew(tmp_path, ledger_id)


@pytest.mark.parametrize("copy", [shutil.copy, back_up_by_sqlite])
async def test_a_copy_beside_its_origin_begins_anew_and_the_origin_goes_on(
    tmp_path: Path, copy: Do
) -> None:
    ledger_id, beside = await used(tmp_path), tmp_path / "beside"
    beside.mkdir()
    copy(tmp_path / "ledger.db", beside / "ledger.db")
    assert await is_anew(beside, ledger_id)
    assert names(tmp_path) == {"beside", "ledger.db", f"ledger.db{SEEN}"}
    assert not await is_anew(tmp_path, ledger_id)


async def test_a_copy_of_a_ledger_that_is_in_use_begins_anew(tmp_path: Path) -> None:
    """Also of one so young that all of it lies in its log still."""
    beside = tmp_path / "beside"
    beside.mkdir()
    async with bench(tmp_path) as one:
        await one.run(await one.validated())
        await one.validated()
        back_up_by_sqlite(tmp_path / "ledger.db", beside / "ledger.db")
        assert await is_anew(beside, one.ledger.ledger_id)


async def test_it_begins_anew_once(tmp_path: Path) -> None:
    first, beside = await used(tmp_path), tmp_path / "beside"
    beside.mkdir()
    shutil.copy(tmp_path / "ledger.db", beside / "ledger.db")
    ids = set()
    for _ in range(3):
        async with ControlDB(beside / "ledger.db") as db:
            ids.add(db.ledger.ledger_id)
    assert len(ids) == 1
    assert first not in ids


async def test_a_copy_of_a_template_gets_an_id_of_its_own_and_no_more(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        first = one.ledger.ledger_id
    ids = {first}
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        shutil.copy(tmp_path / "ledger.db", tmp_path / name / "ledger.db")
        async with bench(tmp_path / name) as other:
            ids.add(other.ledger.ledger_id)
            assert (await other.control.safety_state()).mode is RunMode.EXECUTE
            await other.run(await other.validated())
    assert len(ids) == 3
    async with bench(tmp_path) as one:
        assert one.ledger.ledger_id == first


async def test_an_unused_copy_that_is_put_back_over_what_was_done_begins_anew(
    tmp_path: Path,
) -> None:
    async with bench(tmp_path):
        pass
    shutil.copy(tmp_path / "ledger.db", tmp_path / "saved.db")
    await used(tmp_path)
    shutil.copy(tmp_path / "saved.db", tmp_path / "ledger.db")
    async with bench(tmp_path) as one:
        assert (await one.control.safety_state()).mode is RunMode.OBSERVE


# --- what goes on -------------------------------------------------------------------------


async def test_a_ledger_that_was_moved_goes_on(tmp_path: Path) -> None:
    ledger_id, elsewhere = await used(tmp_path), tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "ledger.db").rename(elsewhere / "ledger.db")
    assert not await is_anew(elsewhere, ledger_id)


async def test_a_ledger_of_which_only_a_copy_is_left_goes_on(tmp_path: Path) -> None:
    """As after a loss of power: it was brought to another machine, and opened there."""
    ledger_id, elsewhere = await used(tmp_path), tmp_path / "elsewhere"
    elsewhere.mkdir()
    shutil.copy(tmp_path / "ledger.db", elsewhere / "ledger.db")
    (tmp_path / "ledger.db").unlink()
    assert not await is_anew(elsewhere, ledger_id)


async def test_a_ledger_goes_on_beside_another_one_at_its_old_place(tmp_path: Path) -> None:
    ledger_id, elsewhere = await used(tmp_path), tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "ledger.db").rename(elsewhere / "ledger.db")
    await used(tmp_path)
    assert not await is_anew(elsewhere, ledger_id)


async def test_a_ledger_goes_on_by_a_link_that_leads_to_it(tmp_path: Path) -> None:
    ledger_id = await used(tmp_path)
    (tmp_path / "link").mkdir()
    (tmp_path / "link" / "ledger.db").symlink_to(tmp_path / "ledger.db")
    assert not await is_anew(tmp_path / "link", ledger_id)
    assert not await is_anew(tmp_path, ledger_id)


@pytest.mark.parametrize("text", ["", "[", '["x"]', '["x", "y", "z"]', "7", "\0"])
async def test_a_note_that_cannot_be_read_says_nothing(tmp_path: Path, text: str) -> None:
    ledger_id = await used(tmp_path)
    (tmp_path / f"ledger.db{SEEN}").write_text(text)
    assert not await is_anew(tmp_path, ledger_id)


async def test_a_note_that_cannot_be_written_keeps_nobody_from_working(tmp_path: Path) -> None:
    (tmp_path / f"ledger.db{SEEN}").mkdir()
    ledger_id = await used(tmp_path)
    assert not await is_anew(tmp_path, ledger_id)
    assert names(tmp_path) == {"ledger.db", f"ledger.db{SEEN}"}


async def test_a_new_ledger_in_the_place_of_a_deleted_one_is_new(tmp_path: Path) -> None:
    await used(tmp_path)
    (tmp_path / "ledger.db").unlink()
    ledger_id = await used(tmp_path)
    assert not await is_anew(tmp_path, ledger_id)


async def test_reading_a_ledger_at_rest_shows_it_as_it_is(tmp_path: Path) -> None:
    """It is read as a copy, which lies beside its origin."""
    ledger_id = await used(tmp_path)
    with undisturbed(tmp_path / "ledger.db") as copy:
        assert copy != tmp_path / "ledger.db"
        async with ControlDB(copy) as db:
            assert db.ledger.ledger_id == ledger_id
            assert (await db.safety_state()).mode is RunMode.EXECUTE


# --- when it is noted ---------------------------------------------------------------------


async def test_how_far_it_goes_is_noted_while_it_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that is killed has no time to do so at its end."""
    monkeypatch.setattr(place, "_NOTED_EACH_SECONDS", 0.0)
    async with bench(tmp_path) as one:
        target = await one.validated()
        await one.get(target)
        assert _noted_row(tmp_path) == await _last_row(one)


async def test_several_that_work_on_one_ledger_note_it_in_turn(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        async with bench(tmp_path) as two:
            await asyncio.gather(one.validated(), two.validated())
            last = await _last_row(one)
        assert _noted_row(tmp_path) == last
        await one.validated()
        last = await _last_row(one)
    assert _noted_row(tmp_path) == last


def _noted_row(folder: Path) -> int:
    noted = place._read(folder / "ledger.db")
    assert noted is not None
    return noted.row


async def _last_row(one: Bench) -> int:
    row = await one.ledger.read(lambda tx: tx.one("audit.newest"))
    assert row is not None
    return int(row["id"])

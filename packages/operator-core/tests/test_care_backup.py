"""A backup is made while others write; restored, it runs nothing again by itself."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

import old_ledgers as old
from engine_bench import Bench, bench, id_of, proposal
from ledger_places import names
from operator_core.actions.retry import RetryConfig
from operator_core.actions.types import ActionStatus, Outcome, Schedule
from operator_core.db.attempts import Ending
from operator_core.db.care import CareDB
from operator_core.db.ledger import open_ledger
from operator_core.db.schedules import ScheduleDB
from operator_core.errors import ApprovalRequiredError, LedgerCorruptError, RequestError
from operator_core.testing.fakes import Mode
from operator_core.types import RunMode
from shelves import go, shelf_of, tidying

S = ActionStatus


async def copy(one: Bench, folder: Path) -> Path:
    """Make a backup where a bench looks for its ledger, and return its folder."""
    made = folder / "restored"
    made.mkdir()
    await CareDB(one.ledger).backup(made / "ledger.db")
    return made


@asynccontextmanager
async def restored(one: Bench, folder: Path) -> AsyncIterator[Bench]:
    """Open a backup of a ledger as a ledger, and let it act."""
    async with bench(await copy(one, folder), clock=one.clock) as other:
        assert (await other.control.safety_state()).mode is RunMode.OBSERVE
        await other.control.set_mode(RunMode.EXECUTE, actor="ann")
        yield other


# --- the backup ---------------------------------------------------------------------------


async def test_a_backup_comes_up_in_observe_with_an_id_of_its_own(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        await one.run(await one.validated())
        folder = await copy(one, tmp_path)
        first = one.ledger.ledger_id
        assert (await one.control.safety_state()).mode is RunMode.EXECUTE
    async with bench(folder) as other:
        second = other.ledger.ledger_id
        assert await other.status(1) is S.COMPLETED
        assert (await other.control.safety_state()).mode is RunMode.OBSERVE
        assert await other.control.first_broken_audit_row() is None
        (event,) = await other.control.list_events(event_type="ledger_restored")
        assert (event.event_data["was"], event.event_data["ledger_id"]) == (first, second)
    async with bench(folder) as again, bench(tmp_path) as one:
        assert (one.ledger.ledger_id, again.ledger.ledger_id) == (first, second)
        assert len(await again.control.list_events(event_type="ledger_restored")) == 1
        assert await one.control.list_events(event_type="ledger_restored") == []


async def test_a_ledger_that_never_had_a_mode_stays_in_observe_once_restored(
    tmp_path: Path,
) -> None:
    ledger = await open_ledger(tmp_path / "ledger.db")
    await CareDB(ledger).backup(tmp_path / "copy.db")
    await ledger.engine.close()
    async with CareDB(tmp_path / "copy.db"):
        pass
    async with bench(tmp_path) as never:
        assert (await never.control.safety_state()).mode is RunMode.EXECUTE
    assert old.query(tmp_path / "copy.db", "SELECT mode FROM safety") == [("observe",)]


async def test_a_backup_is_whole_although_others_write(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:

        async def write() -> None:
            for _ in range(40):
                await one.db.create_proposal(proposal())

        async def back_up() -> None:
            for number in range(5):
                await CareDB(one.ledger).backup(tmp_path / f"{number}.db")

        await asyncio.gather(write(), write(), back_up())
        assert len(await one.db.list_proposals()) == 80
    for number in range(5):
        async with CareDB(tmp_path / f"{number}.db") as db:
            assert all(found.ok for found in await db.check())
    ledgers = ["ledger.db", *(f"{number}.db" for number in range(5))]
    assert names(tmp_path) == {*ledgers, *(f"{name}-seen" for name in ledgers)}


async def test_a_backup_is_one_file_that_says_what_it_is(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        folder = await copy(one, tmp_path)
        assert names(folder) == {"ledger.db"}
        told = old.query(folder / "ledger.db", "SELECT backup_at IS NOT NULL FROM ledger")
        assert told == [(1,)]
        assert await one.rows("ledger.get") != []
        assert (await one.rows("ledger.get"))[0]["backup_at"] is None


async def test_a_file_that_is_there_is_kept_unless_forced(tmp_path: Path) -> None:
    target = tmp_path / "copy.db"
    async with bench(tmp_path) as one:
        care = CareDB(one.ledger)
        target.write_text("precious")
        with pytest.raises(RequestError, match="--force"):
            await care.backup(target)
        assert target.read_text() == "precious"
        assert await care.backup(target, force=True) == target.stat().st_size
        assert target.read_bytes().startswith(b"SQLite format 3")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("ledger.db", "the ledger itself"),
        ("missing/copy.db", "does not exist"),
        ("folder", "is a folder"),
        ("used.db", "in use as a ledger"),
    ],
)
async def test_a_bad_target_is_refused_even_if_forced(tmp_path: Path, name: str, said: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "used.db-wal").touch()
    async with bench(tmp_path) as one:
        before = names(tmp_path)
        with pytest.raises(RequestError, match=said):
            await CareDB(one.ledger).backup(tmp_path / name, force=True)
        assert names(tmp_path) == before
        await one.run(await one.validated())


async def test_the_log_of_another_ledger_beside_a_backup_is_refused(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        await one.validated()
        folder = await copy(one, tmp_path)
        await one.validated()
        log = folder / "ledger.db-wal"
        log.write_bytes((tmp_path / "ledger.db-wal").read_bytes())
    before = (folder / "ledger.db").read_bytes()
    with pytest.raises(LedgerCorruptError, match="belongs to another ledger"):
        await open_ledger(folder / "ledger.db")
    assert (folder / "ledger.db").read_bytes() == before
    log.unlink()
    async with bench(folder) as other:
        assert len(await other.db.list_proposals()) == 1


# --- pending work is held -----------------------------------------------------------------


async def test_what_was_approved_before_is_not_run_again(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        pending = await one.validated()
        async with restored(one, tmp_path) as other:
            await one.run(pending)  # the ledger itself goes on after the backup
            assert await other.db.list_ready() == []
            with pytest.raises(ApprovalRequiredError, match="held"):
                await other.run(pending)
            assert other.subject.effects == []
            assert "approval_voided" in await other.events(pending)
            await other.db.approve_proposal(pending, approved_by="ann")
            assert [row.id for row in await other.db.list_ready()] == [pending]
            await other.run(pending)
            (effect,) = other.subject.effects
            assert other.ledger.ledger_id in effect.idempotency_key


async def test_the_policy_approves_nothing_that_a_backup_knew_of(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        proposed = id_of(await one.db.create_proposal(proposal()))
        async with restored(one, tmp_path) as other:
            checked = await other.executor().validate_proposal(proposed)
            assert (checked.held, checked.approved_by) == (True, None)
            with pytest.raises(ApprovalRequiredError, match="held"):
                await other.run(proposed)
            await other.run(await other.validated())  # what is proposed since then may run
            assert len(other.subject.effects) == 1


async def test_a_workflow_needs_its_approval_anew_and_then_goes_on(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        first, second = await one.workflow("act", "act")
        await one.run(first)
        async with restored(one, tmp_path) as other:
            assert await other.db.list_ready() == []
            with pytest.raises(ApprovalRequiredError, match="held"):
                await other.run(second)
            await other.db.approve_workflow(1, approved_by="ann")
            await other.run(second)
            assert await other.status(second) is S.COMPLETED
            assert not (await other.get(first)).held


async def test_what_ran_is_in_doubt_and_is_not_tried_again_unseen(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        running = await one.validated()
        await one.executions.claim(running, one.terms("gone"))
        async with restored(one, tmp_path) as other:
            assert (await other.get(running)).in_doubt
            other.clock.advance(3600)
            assert await other.executions.list_expired() == []
            await other.executions.settle_by_person(running, happened=False, person="ann")
            await other.db.reset_for_retry(running)
            assert await other.db.list_ready() == []
            with pytest.raises(ApprovalRequiredError, match="held"):
                await other.run(running)
            await other.db.approve_proposal(running, approved_by="ann")
            await other.run(running)
            assert await other.status(running) is S.COMPLETED


async def test_retries_are_dropped(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        one.retry = RetryConfig(jitter_fraction=0.0)
        failed = await one.validated()
        one.subject.mode = Mode.FAIL
        await one.run(failed)
        assert (await one.get(failed)).next_retry_at is not None
        async with restored(one, tmp_path) as other:
            other.clock.advance(3600)
            assert await other.db.list_retry_eligible() == []
            kept = await other.get(failed)
            assert (kept.status, kept.next_retry_at) == (S.FAILED, None)
            assert "retry_cleared" in await other.events(failed)


async def test_nothing_is_undone_without_a_new_approval(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        shelf_of(one)
        await tidying(one, ("put", 1), ("put", 2))
        await one.run(1)
        async with restored(one, tmp_path) as other:
            shelf = shelf_of(other)
            await other.db.cancel_workflow(1, reason="not any more", cancelled_by="ann")
            await go(other)
            (undo,) = [
                row for row in await other.db.list_proposals() if row.compensates_proposal_id
            ]
            assert (undo.held, undo.approved_by, shelf.done) == (True, None, [])
            await other.db.approve_proposal(id_of(undo), approved_by="ann")
            await go(other)
            assert shelf.done == [("take", 1)]


async def test_a_step_that_was_in_doubt_undoes_nothing_by_itself(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        shelf_of(one)
        await tidying(one, ("put", 1), ("put", 2))
        await one.run(1)
        attempt = await one.executions.claim(2, one.terms("one"))
        await one.db.cancel_workflow(1, reason="not any more", cancelled_by="ann")
        async with restored(one, tmp_path) as other:
            shelf = shelf_of(other)
            await other.executions.settle_by_person(2, happened=True, person="ann")
            await go(other)
            undoing = [
                row for row in await other.db.list_proposals() if row.compensates_proposal_id
            ]
            assert [row.held for row in undoing] == [True, True]
            assert shelf.done == []
        await one.executions.finish(attempt, Ending(Outcome.SUCCEEDED))


async def test_schedules_are_disabled(tmp_path: Path) -> None:
    nightly = Schedule(name="nightly", cron="0 3 * * *", action_name="act", reason="r")
    async with bench(tmp_path) as one:
        await ScheduleDB(one.ledger).create(nightly, actor="ann")
        async with restored(one, tmp_path) as other:
            other.clock.advance(3 * 86_400)
            (kept,) = await ScheduleDB(other.ledger).list_schedules()
            assert not kept.enabled
            assert "schedule_disabled" in await other.events()
        (own,) = await ScheduleDB(one.ledger).list_schedules()
        assert own.enabled

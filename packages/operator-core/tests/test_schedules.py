"""Schedules: each run is proposed once, through races, crashes, downtime and observe mode."""

import asyncio
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from engine_bench import Bench, bench, id_of, recommend
from ledger_places import address_of
from operator_core.actions.types import (
    ActionProposal,
    ActionStatus,
    MissedPolicy,
    SafetyMode,
    Schedule,
)
from operator_core.clock import from_text
from operator_core.db import firing
from operator_core.db.changes import Stamp
from operator_core.db.creation import create as create_proposal
from operator_core.db.engine import Tx
from operator_core.db.ledger import Ledger, open_ledger
from operator_core.db.schedules import ScheduleDB
from operator_core.errors import ConflictError, ConstraintError, NotFoundError, RequestError
from operator_core.runtime.acting import agent_round
from operator_core.runtime.wiring import WiringOptions, wire
from operator_core.testing.faults import CrashError, CrashingEngine

MINUTE = 60.0


def hourly(**columns: Any) -> Schedule:  # noqa: ANN401 - any column
    """Return a schedule that is due every full hour."""
    given = {"name": "hourly", "cron": "0 * * * *", "action_name": "act", "reason": "to be sure"}
    return Schedule(**{**given, "parameters": {"value": 1}, **columns})


async def scheduled(one: Bench, **columns: Any) -> Schedule:  # noqa: ANN401 - passed on
    return await ScheduleDB(one.ledger).create(hourly(**columns), actor="alice")


async def until_due(one: Bench, *, late_seconds: float = 0.0) -> None:
    """Let time pass until the schedule is due."""
    schedule, *_ = await ScheduleDB(one.ledger).list_schedules()
    assert schedule.next_due_at is not None
    one.clock.advance((schedule.next_due_at - one.clock.now()).total_seconds() + late_seconds)


# --- making them -------------------------------------------------------------------------


async def test_a_schedule_is_stored_with_its_next_run(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        stored = await scheduled(one, subject="fake", missed_policy=MissedPolicy.SKIP)
        assert stored.id == 1
        assert stored.next_due_at is not None
        assert one.clock.now() < stored.next_due_at <= one.in_seconds(3_600)
        assert (stored.created_by, stored.created_at) == ("alice", one.clock.now())
        assert await ScheduleDB(one.ledger).get("hourly") == stored
        assert "schedule_created" in await one.events()


async def test_a_name_is_taken_once(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        await scheduled(one)
        with pytest.raises(ConflictError, match="already"):
            await scheduled(one, cron="5 * * * *")


@pytest.mark.parametrize("columns", [{"cron": "x"}, {"time_zone": "x"}, {"parameters": {"a": {1}}}])
async def test_what_cannot_be_used_is_not_stored(tmp_path: Path, columns: dict[str, Any]) -> None:
    async with bench(tmp_path) as one:
        with pytest.raises(RequestError):
            await scheduled(one, **columns)
        assert await ScheduleDB(one.ledger).list_schedules() == []


async def test_a_disabled_schedule_proposes_nothing_and_nothing_of_it_counts_as_missed(
    tmp_path: Path,
) -> None:
    async with bench(tmp_path) as one:
        await scheduled(one)
        db = ScheduleDB(one.ledger)
        await db.disable("hourly", actor="bob")
        one.clock.advance(10 * 3_600)
        assert await db.fire_due() == []
        enabled = await db.enable("hourly", actor="bob")
        assert enabled.next_due_at is not None
        assert enabled.next_due_at > one.clock.now()
        assert await db.fire_due() == []
        with pytest.raises(ConflictError):
            await db.enable("hourly", actor="bob")


async def test_a_removed_schedule_leaves_its_proposals_behind(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        await scheduled(one)
        await until_due(one)
        db = ScheduleDB(one.ledger)
        (proposal,) = await db.fire_due()
        await db.delete("hourly", actor="bob")
        assert (await one.get(id_of(proposal))).schedule_id == 1
        again = await scheduled(one)
        assert again.id == 2
        for call in (db.get, lambda name: db.disable(name, actor="x")):
            with pytest.raises(NotFoundError):
                await call("other")


# --- firing ------------------------------------------------------------------------------


async def test_each_run_is_a_fresh_proposal(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        await scheduled(one, subject="fake")
        db = ScheduleDB(one.ledger)
        assert await db.fire_due() == []
        dues = []
        for _ in range(3):
            await until_due(one)
            (made,) = await db.fire_due(max_retries=7)
            assert await db.fire_due() == []
            dues.append(made.schedule_due_at)
            assert (made.status, made.proposed_by) == (ActionStatus.PROPOSED, "schedule:hourly")
            assert (made.subject, made.parameters, made.max_retries) == ("fake", {"value": 1}, 7)
            kept = await db.get("hourly")
            assert (kept.last_due_at, kept.last_proposal_id) == (made.schedule_due_at, made.id)
        assert len(set(dues)) == 3
        assert (await one.events()).count("schedule_fired") == 3


async def test_only_the_schedules_of_a_subject_are_fired_for_it(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        db = ScheduleDB(one.ledger)
        for name, subject in (("a", "one"), ("b", "two"), ("c", None)):
            await db.create(hourly(name=name, subject=subject), actor="alice")
        one.clock.advance(3_600)
        fired = await db.fire_due(subject="one")
        assert [proposal.proposed_by for proposal in fired] == ["schedule:a", "schedule:c"]


async def test_however_many_operators_there_are_a_run_is_proposed_once(tmp_path: Path) -> None:
    """Peer bug 9: two engines on one database fired a schedule twice."""
    async with bench(tmp_path) as one:
        await scheduled(one)
        other = await open_ledger(address_of(tmp_path), one.clock)
        try:
            for _ in range(5):
                await until_due(one)
                stores = [ScheduleDB(one.ledger), ScheduleDB(other)] * 5
                fired = await asyncio.gather(*(store.fire_due() for store in stores))
                assert sum(map(len, fired)) == 1
        finally:
            await other.engine.close()


async def test_who_saw_a_run_due_long_ago_does_not_propose_it_again(tmp_path: Path) -> None:
    """Peer bug 6: a stale reader."""
    async with bench(tmp_path) as one:
        await scheduled(one)
        await until_due(one)
        db = ScheduleDB(one.ledger)
        (seen,) = await one.rows("schedule.due", now=one.ledger.now_text(), subject=None)
        assert len(await db.fire_due()) == 1
        assert await db._fire(seen, db._stamp("late"), 3) is None
        await db.disable("hourly", actor="bob")
        (row,) = await one.rows("schedule.list", after_id=0, limit=1)
        one.clock.advance(7_200)
        assert await db._fire(row, db._stamp("late"), 3) is None


async def test_one_schedule_that_cannot_be_fired_does_not_stop_the_others(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        await scheduled(one, name="bad")
        await scheduled(one, name="good")
        with closing(sqlite3.connect(tmp_path / "ledger.db")) as file:
            file.execute("UPDATE schedules SET time_zone = 'Atlantis' WHERE name = 'bad'")
            file.commit()
        one.clock.advance(3_600)
        fired = await ScheduleDB(one.ledger).fire_due()
        assert [proposal.proposed_by for proposal in fired] == ["schedule:good"]


async def test_a_row_that_cannot_be_written_is_not_taken_for_a_run_of_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the ledger says what was proposed; another constraint moves nothing on."""
    async with bench(tmp_path) as one:
        await scheduled(one, name="bad")
        await scheduled(one, name="good")
        await until_due(one)

        def refuses_bad(tx: Tx, given: ActionProposal, stamp: Stamp) -> ActionProposal:
            if given.proposed_by == "schedule:bad":
                raise ConstraintError("a check of the ledger")
            return create_proposal(tx, given, stamp)

        monkeypatch.setattr(firing, "create_proposal", refuses_bad)
        db = ScheduleDB(one.ledger)
        assert [made.proposed_by for made in await db.fire_due()] == ["schedule:good"]
        assert "schedule_skipped" not in await one.events()
        monkeypatch.undo()
        assert [made.proposed_by for made in await db.fire_due()] == ["schedule:bad"]


# --- missed runs -------------------------------------------------------------------------


async def test_run_once_proposes_one_for_all_that_was_missed(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        await scheduled(one)
        await until_due(one, late_seconds=5 * 3_600)
        db = ScheduleDB(one.ledger)
        (made,) = await db.fire_due()
        assert "missed at" in made.reason
        assert await db.fire_due() == []


async def test_skip_proposes_nothing_that_is_late(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        await scheduled(one, missed_policy=MissedPolicy.SKIP)
        await until_due(one, late_seconds=MINUTE + 1)
        db = ScheduleDB(one.ledger)
        assert await db.fire_due() == []
        assert "schedule_skipped" in await one.events()
        await until_due(one, late_seconds=MINUTE)
        assert len(await db.fire_due()) == 1


@pytest.mark.parametrize("policy", MissedPolicy)
async def test_in_observe_mode_what_is_due_waits(tmp_path: Path, policy: MissedPolicy) -> None:
    async with bench(tmp_path) as one:
        await scheduled(one, missed_policy=policy)
        db = ScheduleDB(one.ledger)
        await one.safety.set_mode(SafetyMode.OBSERVE)
        await until_due(one)
        before = await db.get("hourly")
        assert await db.fire_due() == []
        assert await db.get("hourly") == before
        one.clock.advance(600)
        await one.safety.set_mode(SafetyMode.EXECUTE)
        assert len(await db.fire_due()) == (1 if policy is MissedPolicy.RUN_ONCE else 0)


async def test_after_a_kill_nothing_is_proposed(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        await scheduled(one)
        await until_due(one)
        (seen,) = await one.rows("schedule.due", now=one.ledger.now_text(), subject=None)
        await one.safety.kill(actor="alice")
        db = ScheduleDB(one.ledger)
        assert await db.fire_due() == []
        assert await db._fire(seen, db._stamp("late"), 3) is None


async def test_waiting_in_observe_mode_writes_nothing(tmp_path: Path) -> None:
    """A write wakes every loop, and one that waits must not keep itself awake."""
    async with bench(tmp_path) as one:
        await scheduled(one)
        await until_due(one)
        engine = CrashingEngine(one.ledger.engine)
        one.ledger.engine = engine
        await one.safety.set_mode(SafetyMode.OBSERVE)
        before = engine.commits
        assert await ScheduleDB(one.ledger).fire_due() == []
        assert engine.commits == before > 0


# --- crashes -----------------------------------------------------------------------------


async def test_a_crash_anywhere_in_firing_loses_no_run_and_doubles_none(tmp_path: Path) -> None:
    for place in range(1, 40):
        async with bench(tmp_path / str(place)) as one:
            await scheduled(one)
            await until_due(one)
            engine = CrashingEngine(one.ledger.engine, at_statement=place)
            dying = Ledger(engine, one.ledger.ledger_id, one.clock)
            try:
                await ScheduleDB(dying).fire_due()
            except CrashError:
                assert await one.db.list_proposals() == [], place
            await ScheduleDB(one.ledger).fire_due()
            assert len(await one.db.list_proposals()) == 1, place
            if not engine.dead:
                return
    raise AssertionError("never came to the end")


# --- the loop ----------------------------------------------------------------------------


async def test_the_agent_proposes_validates_and_executes_what_is_due(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        await scheduled(one, subject="fake", action_name="act")
        options = WiringOptions(require_approval=False, clock=one.clock, retry=one.retry)
        wired = wire(one.ledger, one.subject, options)
        await agent_round(wired)
        assert one.subject.effects == []
        await until_due(one)
        await agent_round(wired)
        await wired.agent.drain(1)
        assert len(one.subject.effects) == 1
        (done,) = await one.db.list_proposals()
        assert (done.status, done.approved_by) == (ActionStatus.COMPLETED, "policy")


async def test_what_is_due_waits_for_a_person_where_one_must_approve(tmp_path: Path) -> None:
    async with bench(tmp_path, approval_mode=True) as one:
        await scheduled(one, subject="fake")
        await until_due(one)
        wired = wire(one.ledger, one.subject, WiringOptions(require_approval=True, clock=one.clock))
        await agent_round(wired)
        (waiting,) = await one.db.list_proposals()
        assert (waiting.status, waiting.retry_count) == (ActionStatus.VALIDATED, 0)
        assert one.subject.effects == []


async def test_an_action_that_is_gone_is_cancelled_and_says_why(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        await scheduled(one, subject="fake", action_name="long_gone")
        await until_due(one)
        await agent_round(
            wire(one.ledger, one.subject, WiringOptions(require_approval=False, clock=one.clock))
        )
        (cancelled,) = await one.db.list_proposals()
        assert cancelled.status is ActionStatus.CANCELLED


async def test_the_next_run_sets_the_timer(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        assert await one.db.next_due_at() is None
        schedule = await scheduled(one)
        due = await one.db.next_due_at()
        assert due is not None
        assert from_text(due) == schedule.next_due_at
        await ScheduleDB(one.ledger).disable("hourly", actor="bob")
        assert await one.db.next_due_at() is None


async def test_check_again_in_five_minutes(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        executor = one.executor()
        due = one.clock.now() + timedelta(minutes=5)
        stored = await executor.propose_action(recommend(), scheduled_at=due)
        await executor.validate_proposal(id_of(stored))
        assert await one.db.list_ready() == []
        one.clock.advance(299)
        assert await one.db.list_ready() == []
        one.clock.advance(1)
        assert [ready.id for ready in await one.db.list_ready_scheduled()] == [stored.id]

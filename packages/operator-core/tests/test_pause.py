"""A paused workflow starts no step, loses nothing, and goes on where it stands."""

import asyncio
import random
from pathlib import Path

import pytest

from engine_bench import bench
from operator_core.actions.types import ActionStatus, Outcome, SafetyMode, WorkflowStatus
from operator_core.db.attempts import Ending
from operator_core.db.workflows import WorkflowDB
from operator_core.errors import (
    ConflictError,
    NotFoundError,
    NotReadyError,
    OperatorError,
    TransitionError,
)
from shelves import go, shelf_of, states, tidying

S = ActionStatus
STEPS = (("put", 1), ("put", 2), ("put", 3))


async def test_no_step_starts_while_its_workflow_is_paused(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        shelf = shelf_of(one)
        await tidying(one, *STEPS)
        await one.run(1)
        paused = await WorkflowDB(one.ledger).pause(1, paused_by="alice")
        assert (paused.paused_by, paused.paused_at) == ("alice", one.clock.now())
        assert await one.db.list_ready() == []
        with pytest.raises(NotReadyError, match="paused"):
            await one.run(2)
        kept = await one.get(2)
        assert (kept.status, kept.retry_count, shelf.done) == (S.VALIDATED, 0, [("put", 1)])


async def test_a_resumed_workflow_goes_on_where_it_stood(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        shelf = shelf_of(one)
        await tidying(one, *STEPS)
        await one.run(1)
        workflows = WorkflowDB(one.ledger)
        await workflows.pause(1, paused_by="alice")
        await go(one)
        resumed = await workflows.resume(1, resumed_by="bob")
        assert (resumed.paused_at, resumed.status) == (None, WorkflowStatus.IN_PROGRESS)
        await go(one)
        assert shelf.done == list(STEPS)
        events = [event.event_type for event in await one.control.list_events(workflow_id=1)]
        assert [event for event in events if event in ("workflow_paused", "workflow_resumed")] == [
            "workflow_paused",
            "workflow_resumed",
        ]


async def test_a_step_that_runs_is_not_stopped_by_a_pause(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        shelf_of(one)
        await tidying(one, *STEPS)
        attempt = await one.executions.claim(1, one.terms("one"))
        await WorkflowDB(one.ledger).pause(1, paused_by="alice")
        hold = await one.executions.look(attempt)
        assert (hold.owned, hold.why) == (True, "")
        await one.executions.finish(attempt, Ending(Outcome.SUCCEEDED))
        await go(one)
        assert await states(one) == [S.COMPLETED, S.VALIDATED, S.VALIDATED]


async def test_a_workflow_that_waits_for_its_start_can_be_paused(tmp_path: Path) -> None:
    async with bench(tmp_path, approval_mode=True) as one:
        shelf = shelf_of(one)
        await tidying(one, *STEPS)
        await WorkflowDB(one.ledger).pause(1, paused_by="alice")
        await go(one)
        assert shelf.done == []


async def test_a_pause_burns_no_retry_and_loses_none(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        shelf = shelf_of(one)
        shelf.flaky["put", 1] = 1
        await tidying(one, *STEPS)
        await one.run(1)
        workflows = WorkflowDB(one.ledger)
        await workflows.pause(1, paused_by="alice")
        one.clock.advance(60)
        await go(one)
        assert (await one.get(1)).retry_count == 1
        await workflows.resume(1, resumed_by="alice")
        await go(one)
        assert shelf.done == list(STEPS)


async def test_only_what_is_not_paused_is_paused_and_only_what_is_paused_resumed(
    tmp_path: Path,
) -> None:
    async with bench(tmp_path) as one:
        shelf_of(one)
        await tidying(one, *STEPS)
        workflows = WorkflowDB(one.ledger)
        with pytest.raises(TransitionError, match="resuming it is not possible"):
            await workflows.resume(1, resumed_by="alice")
        await workflows.pause(1, paused_by="alice")
        with pytest.raises(TransitionError, match="paused"):
            await workflows.pause(1, paused_by="alice")
        await workflows.resume(1, resumed_by="alice")
        await go(one)
        with pytest.raises(TransitionError, match="completed"):
            await workflows.pause(1, paused_by="alice")
        with pytest.raises(NotFoundError):
            await workflows.pause(99, paused_by="alice")


async def test_undoing_waits_too_while_a_workflow_is_paused(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        shelf = shelf_of(one)
        shelf.refused.add(("put", 2))
        await tidying(one, *STEPS)
        await one.run(1)
        attempt = await one.executions.claim(2, one.terms("one"))
        workflows = WorkflowDB(one.ledger)
        await workflows.pause(1, paused_by="alice")
        await one.executions.finish(attempt, Ending(Outcome.FAILED, "no"))
        await go(one)
        assert shelf.done == [("put", 1)]
        await workflows.resume(1, resumed_by="alice")
        await go(one)
        assert shelf.done == [("put", 1), ("take", 1)]


async def test_who_cancels_a_paused_workflow_does_not_have_to_resume_it(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        shelf = shelf_of(one)
        await tidying(one, *STEPS)
        await one.run(1)
        await WorkflowDB(one.ledger).pause(1, paused_by="alice")
        cancelled = await one.db.cancel_workflow(1, cancelled_by="alice")
        assert cancelled.paused_at is None
        await go(one)
        assert not shelf.things


async def test_a_paused_workflow_is_killed_like_any_other(tmp_path: Path) -> None:
    async with bench(tmp_path, approval_mode=True) as one:
        shelf_of(one)
        await tidying(one, *STEPS)
        await WorkflowDB(one.ledger).pause(1, paused_by="alice")
        one.clock.advance(1)
        await one.safety.kill(actor="alice")
        await one.safety.set_mode(SafetyMode.EXECUTE)
        (workflow,) = await one.db.list_workflows()
        assert workflow.status is WorkflowStatus.CANCELLED
        with pytest.raises(ConflictError):
            await WorkflowDB(one.ledger).resume(1, resumed_by="alice")


@pytest.mark.parametrize("seed", range(8))
async def test_pause_and_resume_race_with_claim_cancel_and_kill(tmp_path: Path, seed: int) -> None:
    """Whatever comes first: after a pause no step starts, and no step starts twice."""
    async with bench(tmp_path) as one:
        shelf = shelf_of(one)
        workflows = WorkflowDB(one.ledger)
        await tidying(one, *STEPS)
        calls = [
            one.run(1, owner="a"),
            one.run(1, owner="b"),
            workflows.pause(1, paused_by="alice"),
            workflows.resume(1, resumed_by="bob"),
            one.db.cancel_workflow(1, cancelled_by="carol") if seed % 2 else one.run(2),
            one.safety.kill(actor="dave") if seed % 3 == 0 else one.run(3),
        ]
        random.Random(seed).shuffle(calls)
        answers = await asyncio.gather(*calls, return_exceptions=True)
        odd = [one for one in answers if isinstance(one, BaseException)]
        assert all(isinstance(one, OperatorError) for one in odd), odd
        assert all(shelf.done.count(step) <= 1 for step in STEPS)
        (workflow,) = await one.db.list_workflows()
        done = list(shelf.done)
        if workflow.paused_at is not None:
            await go(one)
            assert shelf.done == done
        assert await one.control.first_broken_audit_row() is None

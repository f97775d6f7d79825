"""What a failed workflow has done is undone: in reverse, once, each with its own record."""

from pathlib import Path

import pytest

from engine_bench import Bench, bench, id_of
from operator_core.actions.compensation import compensation_of, may_begin, to_undo
from operator_core.actions.registry import ActionRegistry
from operator_core.actions.retry import Wait
from operator_core.actions.types import (
    ActionProposal,
    ActionRequest,
    ActionStatus,
    Compensation,
    Outcome,
    SafetyMode,
    WorkflowStatus,
)
from operator_core.agent.diagnosis import ActionRecommendation
from operator_core.db.attempts import Ending
from operator_core.errors import UnknownActionError, ValidationError
from shelves import Shelf, Step, go, recommended, shelf_of, states, tidying, undoing

S = ActionStatus
COMPLETED, FAILED, CANCELLED, VALIDATED = S.COMPLETED, S.FAILED, S.CANCELLED, S.VALIDATED
BROKEN: Step = ("put", 9)


async def broken(one: Bench, *steps: Step) -> Shelf:
    """Run a workflow whose last step never succeeds."""
    shelf = shelf_of(one)
    shelf.refused.add(BROKEN)
    await tidying(one, *(steps or (("put", 1), ("put", 2))), BROKEN)
    await go(one)
    return shelf


async def test_completed_steps_are_undone_last_first(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        shelf = await broken(one)
        assert shelf.done == [("put", 1), ("put", 2), ("take", 2), ("take", 1)]
        assert not shelf.things
        first, second = await undoing(one)
        assert (first.compensates_proposal_id, second.compensates_proposal_id) == (2, 1)
        assert second.depends_on_proposal_id == first.id
        assert (first.execution_order, second.execution_order) == (3, 4)
        for step in (first, second):
            assert step.workflow_id == 1
            assert step.subject == "fake"
            (record,) = await one.db.list_records(id_of(step))
            assert record.outcome is Outcome.SUCCEEDED
        (workflow,) = await one.db.list_workflows()
        assert workflow.status is WorkflowStatus.FAILED


async def test_nothing_is_undone_where_nothing_failed(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        shelf = shelf_of(one)
        await tidying(one, ("put", 1), ("put", 2))
        await go(one)
        assert (shelf.things, await undoing(one)) == ({1: 1, 2: 1}, [])


async def test_a_step_without_a_compensation_is_left_out(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        shelf = await broken(one, ("put", 1), ("look", 5), ("stamp", 6))
        assert shelf.done[-2:] == [("stamp", 6), ("take", 1)]


async def test_they_are_made_in_the_transaction_that_fails_the_workflow(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        shelf = shelf_of(one)
        shelf.refused.add(BROKEN)
        await tidying(one, ("put", 1), BROKEN, ("put", 3))
        await one.run(1)
        await one.run(2)
        assert await states(one) == [COMPLETED, FAILED, CANCELLED, VALIDATED]
        (undo,) = await undoing(one)
        assert undo.proposed_by == "workflow:1"
        assert "compensation_proposed" in await one.events(undo.id)


# --- what undoes a step ------------------------------------------------------------------


def undo_of(
    action: str, parameters: dict[str, object], asked: ActionRequest | None = None
) -> Compensation | None:
    registry = ActionRegistry(Shelf())
    definition = registry.require(action)
    return compensation_of(asked, definition, parameters, registry.require)


def test_the_inverse_undoes_a_step_where_its_arguments_are_known() -> None:
    undo = undo_of("put", {"value": 3})
    assert undo == Compensation(action_name="take", parameters={"value": 3})
    assert undo_of("stamp", {"value": 3}) is None
    assert undo_of("look", {"value": 3}) is None


def test_a_recommended_compensation_goes_before_the_inverse() -> None:
    asked = ActionRequest(action_name="scrub", parameters={"value": 3, "colour": "red"})
    undo = undo_of("put", {"value": 3}, asked)
    assert undo is not None
    assert (undo.action_name, undo.disruptive) == ("scrub", True)


def test_a_recommended_compensation_is_checked() -> None:
    with pytest.raises(UnknownActionError):
        undo_of("put", {"value": 3}, ActionRequest(action_name="burn"))
    with pytest.raises(ValidationError):
        undo_of("put", {"value": 3}, ActionRequest(action_name="take", parameters={"value": "x"}))


async def test_a_bad_compensation_stores_nothing(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        shelf_of(one)
        bad = recommended("put", 1)
        bad.compensation = ActionRequest(action_name="take", parameters={"value": "x"})
        with pytest.raises(ValidationError):
            await tidying(one, ("put", 1), bad)
        assert await one.db.list_proposals() == []


async def test_a_recommended_compensation_runs_with_its_own_arguments(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        shelf = shelf_of(one)
        shelf.refused.add(BROKEN)
        step = recommended("look", 1)
        step.compensation = recommended("take", 7)
        await tidying(one, step, BROKEN)
        await go(one)
        assert shelf.done == [("look", 1), ("take", 7)]


def test_a_recommendation_has_no_recursive_schema() -> None:
    """Structured outputs of models refuse schemas that contain themselves."""
    schema = ActionRecommendation.model_json_schema()
    assert list(schema["$defs"]) == ["ActionRequest"]
    assert "compensation" not in schema["$defs"]["ActionRequest"]["properties"]


def test_the_order_of_undoing_is_the_reverse_of_execution() -> None:
    undo = Compensation(action_name="take")
    steps = [
        ActionProposal(
            id=number, action_name="put", reason="r", status=COMPLETED, compensation=undo,
            execution_order=order,
        )
        for number, order in ((1, 2), (2, 0), (3, 1), (4, 1))
    ]  # fmt: skip
    assert [step.id for step in to_undo(steps)] == [1, 4, 3, 2]
    assert may_begin(steps)
    steps[0].status = S.EXECUTING
    assert not may_begin(steps)


# --- a compensation that fails -----------------------------------------------------------


async def test_a_compensation_that_fails_is_tried_again(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        shelf = shelf_of(one)
        shelf.flaky["take", 2] = 2
        shelf.refused.add(BROKEN)
        await tidying(one, ("put", 1), ("put", 2), BROKEN)
        await go(one)
        first, second = await undoing(one)
        assert (first.status, first.retry_count, second.status) == (COMPLETED, 2, COMPLETED)
        assert len(await one.db.list_records(id_of(first))) == 3


async def test_a_compensation_that_fails_for_good_stops_the_others(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        shelf = shelf_of(one)
        shelf.refused |= {BROKEN, ("take", 2)}
        await tidying(one, ("put", 1), ("put", 2), ("put", 3), BROKEN)
        await go(one)
        assert [step.status for step in await undoing(one)] == [COMPLETED, FAILED, CANCELLED]
        assert shelf.things == {1: 1, 2: 1}
        left = (await undoing(one))[-1]
        (event,) = [
            event
            for event in await one.control.list_events(proposal_id=left.id)
            if event.event_type == "proposal_cancelled"
        ]
        assert "nothing more is undone" in event.event_data["reason"]


async def test_a_compensation_in_doubt_is_followed_by_nothing(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        shelf = shelf_of(one)
        shelf.refused.add(BROKEN)
        shelf.lost.add(("take", 2))
        shelf.knows = False
        await tidying(one, ("put", 1), ("put", 2), BROKEN)
        await go(one)
        first, second = await undoing(one)
        assert (first.in_doubt, second.status) == (True, VALIDATED)
        await one.executions.settle_by_person(id_of(first), happened=True, person="alice")
        await go(one)
        assert not shelf.things


async def test_a_person_who_cancels_a_compensation_cancels_those_after_it(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        shelf = shelf_of(one)
        shelf.refused.add(BROKEN)
        await tidying(one, ("put", 1), ("put", 2), BROKEN)
        for step in (1, 2, 3):
            await one.run(step)
        first, _ = await undoing(one)
        await one.db.cancel_proposal(id_of(first), cancelled_by="alice")
        assert [step.status for step in await undoing(one)] == [CANCELLED, CANCELLED]


# --- cancelling --------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["cancel", "reject a step", "cancel a step", "status"])
async def test_a_workflow_that_is_cancelled_on_its_way_is_undone(tmp_path: Path, how: str) -> None:
    async with bench(tmp_path) as one:
        shelf = shelf_of(one)
        await tidying(one, ("put", 1), ("put", 2), ("put", 3))
        await one.run(1)
        if how == "cancel":
            await one.db.cancel_workflow(1, cancelled_by="alice")
        elif how == "status":
            await one.db.update_workflow_status(1, WorkflowStatus.FAILED)
        else:
            await (one.db.reject_proposal if how.startswith("reject") else one.db.cancel_proposal)(
                2
            )
        await go(one)
        assert shelf.done == [("put", 1), ("take", 1)]


async def test_a_workflow_that_never_started_has_nothing_to_undo(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        shelf_of(one)
        await tidying(one, ("put", 1), ("put", 2))
        await one.db.cancel_workflow(1)
        assert await undoing(one) == []


async def test_undoing_waits_for_a_step_that_still_runs(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        shelf = shelf_of(one)
        await tidying(one, ("put", 1), ("put", 2), ("put", 3))
        await one.run(1)
        attempt = await one.executions.claim(2, one.terms("one"))
        await one.db.cancel_workflow(1)
        assert await undoing(one) == []
        shelf.done.append(("put", 2))
        await one.executions.finish(attempt, Ending(Outcome.SUCCEEDED))
        await go(one)
        assert shelf.done == [("put", 1), ("put", 2), ("take", 2), ("take", 1)]


@pytest.mark.parametrize("happened", [True, False])
async def test_nothing_is_undone_before_what_is_in_doubt_is_settled(
    tmp_path: Path, happened: bool
) -> None:
    async with bench(tmp_path) as one:
        shelf = shelf_of(one)
        shelf.lost.add(("put", 2))
        shelf.knows = False
        await tidying(one, ("put", 1), ("put", 2), ("put", 3))
        await go(one)
        assert (await one.get(2)).in_doubt
        await one.db.cancel_workflow(1)
        await go(one)
        assert await undoing(one) == []
        await one.executions.settle_by_person(2, happened=happened, person="alice")
        await go(one)
        undone = [step.compensates_proposal_id for step in await undoing(one)]
        assert undone == ([2, 1] if happened else [1])


async def test_what_is_in_doubt_in_a_cancelled_workflow_is_not_sent_again(tmp_path: Path) -> None:
    """An idempotent step would be released for another try, and then be refused for ever."""
    async with bench(tmp_path) as one:
        shelf = shelf_of(one)
        shelf.knows = False
        await tidying(one, ("put", 1), ("sweep", 2))
        await one.run(1)
        attempt = await one.executions.claim(2, one.terms("one"))
        await one.db.cancel_workflow(1)
        await one.executions.await_resend(attempt, "no answer", one.in_seconds(1))
        assert (await one.get(2)).in_doubt
        assert await undoing(one) == []


async def test_a_step_that_fails_after_its_workflow_ended_is_not_tried_again(
    tmp_path: Path,
) -> None:
    async with bench(tmp_path) as one:
        shelf_of(one)
        await tidying(one, ("put", 1), ("put", 2))
        await one.run(1)
        attempt = await one.executions.claim(2, one.terms("one"))
        await one.db.cancel_workflow(1)
        ending = Ending(Outcome.FAILED, "no", retry_in=Wait(1.0, {}))
        await one.executions.finish(attempt, ending)
        assert (await one.get(2)).next_retry_at is None
        assert len(await undoing(one)) == 1


# --- kill switch -------------------------------------------------------------------------


async def test_the_kill_switch_undoes_nothing(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        shelf = shelf_of(one)
        await tidying(one, ("put", 1), ("put", 2))
        await one.run(1)
        await one.safety.kill(actor="alice", reason="stop")
        await one.safety.set_mode(SafetyMode.EXECUTE)
        await go(one)
        assert (shelf.done, await undoing(one)) == ([("put", 1)], [])


async def test_the_kill_switch_stops_undoing_that_is_due_or_under_way(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        shelf = shelf_of(one)
        shelf.refused.add(BROKEN)
        await tidying(one, ("put", 1), ("put", 2), BROKEN)
        for step in (1, 2, 3):
            await one.run(step)
        await tidying(one, ("put", 5), ("put", 6))
        await one.run(6)
        running = await one.executions.claim(7, one.terms("one"))
        await one.db.cancel_workflow(2)
        await one.safety.kill(actor="alice", reason="stop")
        assert {step.status for step in await undoing(one)} == {CANCELLED}
        await one.executions.finish(running, Ending(Outcome.FAILED, "stopped", stopped=True))
        await one.safety.set_mode(SafetyMode.EXECUTE)
        await go(one)
        assert await undoing(one, 2) == []
        assert shelf.things == {1: 1, 2: 1, 5: 1}

"""What lets a compensation through the gate, who approved it, and what becomes of the ticket."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from engine_bench import Bench, bench, id_of, proposal
from operator_core.actions.compensation import undo_of
from operator_core.actions.remedy import Remedy
from operator_core.actions.types import (
    ActionProposal,
    ActionRequest,
    ActionStatus,
    WorkflowStatus,
)
from operator_core.actions.verdict import GateFacts, refusal
from operator_core.agent.diagnosis import ActionRecommendation, Diagnosis
from operator_core.agent.follow import Next, next_step
from operator_core.errors import ConflictError, NotReadyError
from operator_core.monitor.types import Ticket, TicketPhase, TicketStatus, Violation
from operator_core.types import JsonObject, RunMode
from shelves import go, recommended, shelf_of, tidying, undoing

S = ActionStatus
NOW = datetime(2031, 5, 4, tzinfo=UTC)
FACTS = GateFacts(
    mode=RunMode.EXECUTE,
    killed=False,
    now=NOW,
    workflow=WorkflowStatus.FAILED,
    undone=ActionStatus.COMPLETED,
)
UNDO = proposal(id=5, status=S.VALIDATED, workflow_id=1, compensates_proposal_id=2, approved_at=NOW)


def refused(facts: GateFacts, one: ActionProposal = UNDO) -> object:
    return refusal(one, facts, require_approval=True)


@pytest.mark.parametrize("state", [WorkflowStatus.FAILED, WorkflowStatus.CANCELLED])
def test_a_compensation_runs_although_its_workflow_has_ended(state: WorkflowStatus) -> None:
    assert refused(FACTS._replace(workflow=state)) is None


@pytest.mark.parametrize(
    "state", [WorkflowStatus.PENDING, WorkflowStatus.IN_PROGRESS, WorkflowStatus.COMPLETED]
)
def test_nothing_of_any_other_workflow_is_undone(state: WorkflowStatus) -> None:
    assert isinstance(refused(FACTS._replace(workflow=state)), ConflictError)


@pytest.mark.parametrize("state", [one for one in S if one is not S.COMPLETED])
def test_only_what_is_completed_is_undone(state: ActionStatus) -> None:
    assert isinstance(refused(FACTS._replace(undone=state)), ConflictError)


def test_a_compensation_waits_for_the_one_before_it_and_while_its_workflow_is_paused() -> None:
    waiting = UNDO.model_copy(update={"depends_on_proposal_id": 4})
    assert isinstance(refused(FACTS._replace(dependency=S.EXECUTING), waiting), NotReadyError)
    assert refused(FACTS._replace(dependency=S.COMPLETED), waiting) is None
    assert isinstance(refused(FACTS._replace(workflow_paused=True)), NotReadyError)


def test_no_other_step_of_an_ended_workflow_runs() -> None:
    step = UNDO.model_copy(update={"compensates_proposal_id": None})
    assert isinstance(refused(FACTS, step), ConflictError)


# --- approval ----------------------------------------------------------------------------


@pytest.mark.parametrize("whole", [True, False])
async def test_the_approval_of_a_step_covers_what_undoes_it(tmp_path: Path, whole: bool) -> None:
    async with bench(tmp_path, approval_mode=True) as one:
        shelf = shelf_of(one)
        shelf.refused.add(("put", 9))
        if whole:
            await tidying(one, ("put", 1), ("put", 9))
        else:
            one.approval_mode = False
            await tidying(one, ("put", 1), ("put", 9), validate=False)
            one.approval_mode = True
            for step in (1, 2):
                await one.executor().validate_proposal(step)
                await one.db.approve_proposal(step, approved_by="bob")
        await go(one)
        (undo,) = await undoing(one)
        assert shelf.done == [("put", 1), ("take", 1)]
        assert undo.approved_by == ("alice" if whole else "bob")
        (event,) = [
            event
            for event in await one.control.list_events(proposal_id=undo.id)
            if event.event_type == "compensation_proposed"
        ]
        assert event.event_data["covered_by_approval_of"] == ("workflow 1" if whole else "action 1")


async def test_what_ran_without_any_approval_is_undone_without_one(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        shelf = shelf_of(one)
        shelf.refused.add(("put", 9))
        steps = [proposal("put", parameters={"value": n}, status=S.VALIDATED) for n in (1, 9)]
        steps[0].compensation = one.executor()._proposal(_put(), None, "x").compensation
        await one.db.create_workflow("w", "d", steps)
        await one.run(1)
        await one.run(2)
        (undo,) = await undoing(one)
        assert not undo.is_approved
        await one.run(id_of(undo))
        assert not shelf.things


def _put() -> ActionRecommendation:
    return recommended("put", 1)


# --- the ticket --------------------------------------------------------------------------


def ticket() -> Ticket:
    return Ticket(
        id=1,
        violation_key="k",
        invariant_name="i",
        message="m",
        status=TicketStatus.DIAGNOSED,
        phase=TicketPhase.ACTING,
        phase_since=NOW,
        diagnosed_at=NOW,
    )


def step_of(status: ActionStatus, undoes: int | None = None) -> ActionProposal:
    return proposal(status=status, workflow_id=1, compensates_proposal_id=undoes)


def followed(*steps: ActionProposal) -> tuple[Next, str]:
    diagnosis = Diagnosis(cause="c", confidence=1.0)
    step = next_step(ticket(), diagnosis, Remedy(steps[:2], steps[2:]), NOW)
    return step.what, step.reason


def test_a_ticket_is_acted_on_while_its_remedy_is_undone() -> None:
    steps = (step_of(S.COMPLETED), step_of(S.FAILED), step_of(S.VALIDATED, undoes=1))
    assert followed(*steps)[0] is Next.ACT


@pytest.mark.parametrize(
    ("undone", "words"),
    [
        (S.COMPLETED, "what it had done is undone"),
        (S.FAILED, "what action 1 did is NOT undone"),
        (S.CANCELLED, "what action 1 did is NOT undone"),
    ],
)
def test_a_person_is_told_what_became_of_undoing(undone: ActionStatus, words: str) -> None:
    what, reason = followed(step_of(S.COMPLETED), step_of(S.FAILED), step_of(undone, undoes=1))
    assert what is Next.ESCALATE
    assert words in reason


def test_a_cancelled_remedy_that_is_undone_is_never_taken_for_a_success() -> None:
    steps = (step_of(S.COMPLETED), step_of(S.CANCELLED), step_of(S.COMPLETED, undoes=1))
    assert followed(*steps) == (
        Next.ESCALATE,
        "the remedy was rejected or cancelled; what it had done is undone",
    )


async def test_undoing_goes_on_when_the_ticket_is_resolved(tmp_path: Path) -> None:
    """No half-done change stays behind."""
    async with bench(tmp_path) as one:
        shelf = shelf_of(one)
        shelf.refused.add(("put", 9))
        opened = await one.tickets.report(
            Violation(invariant="i", target="t", message="m"), subject="fake"
        )
        await _tidy_for(one, int(opened.id or 0))
        await one.tickets.resolve(int(opened.id or 0), actor="alice", resolution="gone")
        await go(one)
        assert shelf.done == [("put", 1), ("take", 1)]


async def _tidy_for(one: Bench, ticket_id: int) -> None:
    executor = one.executor()
    steps = [recommended("put", 1), recommended("put", 9)]
    workflow_id = await executor.propose_workflow("w", "d", steps, ticket_id)
    for step in await one.db.list_workflow_actions(workflow_id):
        await executor.validate_proposal(id_of(step))
        await one.run(id_of(step))


@pytest.mark.parametrize(
    ("result", "name"),
    [
        (None, "declared"),
        ({"changed": True}, "declared"),
        ({"undo": None}, None),
        ({"undo": {"action_name": "back", "parameters": {"store_id": 4}}}, "back"),
        ({"undo": {"action_name": "back", "parameters": None}}, "back"),
        ({"undo": {"action_name": "back", "parameters": ["x"]}}, "declared"),
        ({"undo": {"action_name": "", "parameters": {}}}, "declared"),
        ({"undo": {"store_id": 4}}, "declared"),
        ({"undo": "back"}, "declared"),
    ],
)
def test_what_takes_a_completed_call_back(result: JsonObject | None, name: str | None) -> None:
    undo = undo_of(result, ActionRequest(action_name="declared"))
    assert (undo.action_name if undo else None) == name

"""Propose, validate, execute, cancel, retry: pitfalls of a first engine, by their row's number."""

import asyncio
from pathlib import Path

import pytest

from engine_bench import bench, id_of, proposal, recommend
from operator_core.actions.types import (
    ActionProposal,
    ActionRecord,
    ActionStatus,
    Outcome,
    SafetyMode,
    WorkflowStatus,
)
from operator_core.errors import (
    ApprovalRequiredError,
    ConflictError,
    LimitError,
    NotFoundError,
    NotReadyError,
    RefusedError,
    RequestError,
    TransitionError,
    UnknownActionError,
    ValidationError,
)
from operator_core.monitor.types import Violation
from operator_core.testing.fakes import FakeSubject, Mode

FAILED, VALIDATED, CANCELLED = ActionStatus.FAILED, ActionStatus.VALIDATED, ActionStatus.CANCELLED


async def test_propose_workflow_tells_the_audit_and_stores_one_workflow(tmp_path: Path) -> None:
    """Pitfall 1: a wrong call of the auditor after the rows were committed."""
    async with bench(tmp_path) as one:
        await one.executor().propose_workflow("w", "d", [recommend()])
        assert (await one.events()).count("workflow_created") == 1
        assert len(await one.db.list_workflows()) == 1


async def test_schedule_next_retry_tells_the_audit(tmp_path: Path) -> None:
    """Pitfall 2."""
    async with bench(tmp_path) as one:
        stored = id_of(await one.db.create_proposal(proposal(status=FAILED)))
        assert await one.executor().schedule_next_retry(stored, "e") is not None
        assert "retry_scheduled" in await one.events(stored)
        last = id_of(await one.db.create_proposal(proposal(status=FAILED, max_retries=1)))
        assert await one.executor().schedule_next_retry(last, "e") is None
        assert (await one.events(last))[-1] == "retry_exhausted"


@pytest.mark.parametrize(
    ("tool", "parameters"), [("wait", {"seconds": 5}), ("log_message", {"message": "m"})]
)
async def test_tools_are_proposed_validated_and_executed(
    tmp_path: Path, tool: str, parameters: dict[str, object]
) -> None:
    """Pitfall 3."""
    async with bench(tmp_path) as one:
        target = await one.validated(tool, **parameters)
        record = await one.executor().execute_proposal(target)
        assert record.success is True
        assert await one.status(target) is ActionStatus.COMPLETED


async def test_a_wait_step_holds_no_worker_and_delays_the_next_step(tmp_path: Path) -> None:
    """Pitfalls 3 and 70: a wait of 300 s blocked every other execution."""
    async with bench(tmp_path) as one:
        wait, then = await one.workflow("wait", "act")
        before = one.clock.now()
        await one.run(wait)
        assert one.clock.now() == before
        assert (await one.get(then)).scheduled_at == one.in_seconds(300)
        with pytest.raises(NotReadyError):
            await one.run(then)
        assert await one.db.list_ready() == []
        one.clock.advance(300)
        assert (await one.run(then)).success is True


@pytest.mark.parametrize("result", [object(), {1: {2, 3}}, float("nan"), b"\xff", [1, "x"], None])
async def test_a_result_that_is_no_json_is_kept_and_the_action_completes(
    tmp_path: Path, result: object
) -> None:
    """Pitfall 5: the action was performed, then a TypeError left the row executing."""
    async with bench(tmp_path) as one:
        one.subject.result = result
        target = await one.validated()
        record = await one.run(target)
        assert (record.success, record.outcome) == (True, Outcome.SUCCEEDED)
        assert await one.status(target) is ActionStatus.COMPLETED
        assert record.result_data is not None


async def test_a_later_step_never_runs_after_a_failed_one(tmp_path: Path) -> None:
    """Pitfall 13."""
    async with bench(tmp_path) as one:
        one.subject.mode = Mode.REFUSE
        first, second = await one.workflow("act", "act")
        with pytest.raises(NotReadyError):
            await one.run(second)
        await one.run(first)
        assert await one.status(second) is CANCELLED
        (workflow,) = await one.db.list_workflows()
        assert workflow.status is WorkflowStatus.FAILED


async def test_a_workflow_follows_its_steps(tmp_path: Path) -> None:
    """Pitfall 13: its status stayed pending."""
    async with bench(tmp_path) as one:
        seen = []
        for step in await one.workflow("act", "act"):
            await one.run(step)
            seen += [workflow.status.value for workflow in await one.db.list_workflows()]
        assert seen == ["in_progress", "completed"]


async def test_a_step_that_waits_for_a_retry_does_not_stop_its_workflow(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        one.subject.mode = Mode.FAIL_THEN_OK
        first, second = await one.workflow("act", "act")
        await one.run(first)
        assert await one.status(second) is VALIDATED
        one.clock.advance(1)
        await one.db.reset_for_retry(first)
        await one.run(first)
        await one.run(second)
        (workflow,) = await one.db.list_workflows()
        assert workflow.status is WorkflowStatus.COMPLETED


async def test_a_retry_that_is_given_up_stops_its_workflow(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        one.subject.mode = Mode.FAIL
        first, second = await one.workflow("act", "act")
        await one.run(first)
        await one.db.update_next_retry(first, None)
        assert await one.status(second) is CANCELLED


async def test_a_cancelled_workflow_drops_the_retry_of_its_step(tmp_path: Path) -> None:
    """Else it comes back as validated and is claimed and refused for ever."""
    async with bench(tmp_path) as one:
        one.subject.mode = Mode.FAIL
        first, _ = await one.workflow("act", "act")
        await one.run(first)
        await one.db.cancel_workflow(1)
        one.clock.advance(60)
        assert await one.db.list_retry_eligible() == []


@pytest.mark.parametrize("mode", [True, False])
async def test_an_unapproved_workflow_is_not_ready(tmp_path: Path, mode: bool) -> None:
    """Pitfall 14: a validated, due step was reported as ready without any approval."""
    async with bench(tmp_path, approval_mode=True) as one:
        first, _ = await one.workflow("act", "act", approve=False)
        await one.db.update_scheduled_at(first, one.clock.now())
        assert await one.db.list_ready_scheduled() == await one.db.list_ready() == []
        with pytest.raises(ApprovalRequiredError):
            await one.run(first, approval_mode=True)
        if not mode:
            await one.db.approve_workflow(1)
            assert (await one.run(first, approval_mode=True)).success is True


async def test_nobody_adds_a_step_to_an_approved_workflow(tmp_path: Path) -> None:
    """Peer bug 3: what was approved is what is executed."""
    async with bench(tmp_path) as one:
        await one.workflow("act")
        with pytest.raises(ConflictError):
            await one.db.create_proposal(proposal(workflow_id=1))


@pytest.mark.parametrize("cause", ["observe", "killed", "unapproved", "not due"])
async def test_a_refusal_burns_no_retry(tmp_path: Path, cause: str) -> None:
    """Pitfall 15: each cycle counted the refusal as a failure."""
    async with bench(tmp_path, approval_mode=cause == "unapproved") as one:
        target = await one.validated()
        if cause == "observe":
            await one.safety.set_mode(SafetyMode.OBSERVE)
        elif cause == "not due":
            await one.db.update_scheduled_at(target, one.in_seconds(1))
        elif cause == "killed":
            one.clock.advance(1)
            await one.safety.kill()
        for _ in range(4):
            with pytest.raises((RefusedError, ConflictError)):
                await one.run(target)
        kept = await one.get(target)
        assert (kept.retry_count, one.subject.effects) == (0, [])
        assert await one.db.list_records(target) == []


async def test_an_approved_proposal_without_a_schedule_is_ready(tmp_path: Path) -> None:
    """Pitfall 17: nothing ever executed it."""
    async with bench(tmp_path, approval_mode=True) as one:
        target = await one.validated()
        assert await one.db.list_ready() == []
        await one.db.approve_proposal(target, approved_by="alice")
        assert [ready.id for ready in await one.db.list_ready()] == [target]


async def test_an_approval_before_validation_is_not_lost(tmp_path: Path) -> None:
    """Pitfall 17 and peer bug 11."""
    async with bench(tmp_path, approval_mode=True) as one:
        executor = one.executor()
        target = id_of(await executor.propose_action(recommend()))
        await one.db.approve_proposal(target, approved_by="alice")
        await executor.validate_proposal(target)
        kept = await one.get(target)
        assert kept.approved_by == "alice"
        assert (await one.run(target)).success is True


async def test_autonomous_scheduled_actions_are_ready(tmp_path: Path) -> None:
    """Pitfall 18: scheduling worked only with approval."""
    async with bench(tmp_path) as one:
        target = await one.validated()
        await one.db.update_scheduled_at(target, one.in_seconds(5))
        assert await one.db.list_ready_scheduled() == []
        one.clock.advance(5)
        (ready,) = await one.db.list_ready_scheduled()
        assert (ready.id, ready.approved_by) == (target, "policy")


@pytest.mark.parametrize(
    "status", [s for s in ActionStatus if s is not VALIDATED and s is not ActionStatus.EXECUTING]
)
async def test_only_validated_rows_run(tmp_path: Path, status: ActionStatus) -> None:
    """Pitfall 22 and peer bug 1."""
    async with bench(tmp_path) as one:
        row = proposal(status=status, approved_at=one.clock.now())
        target = id_of(await one.db.create_proposal(row))
        with pytest.raises(TransitionError):
            await one.run(target)
        assert one.subject.calls == []


async def test_a_record_needs_a_proposal(tmp_path: Path) -> None:
    """Pitfall 25."""
    async with bench(tmp_path) as one:
        with pytest.raises(NotFoundError):
            await one.db.create_record(ActionRecord(proposal_id=99))


@pytest.mark.parametrize(
    ("row", "kind"),
    [
        (proposal("secret"), UnknownActionError),
        (proposal("observe"), UnknownActionError),
        (proposal("__init__"), UnknownActionError),
        (proposal(parameters={"value": -1}), ValidationError),
        (proposal(parameters={"value": 1, "more": 2}), ValidationError),
        (proposal(parameters={}), ValidationError),
    ],
)
async def test_name_and_parameters_are_checked_again_at_execution(
    tmp_path: Path, row: ActionProposal, kind: type[Exception]
) -> None:
    """Pitfall 26: any coroutine method of the subject could be called."""
    async with bench(tmp_path) as one:
        validated = row.model_copy(update={"status": VALIDATED})
        target = id_of(await one.db.create_proposal(validated))
        with pytest.raises(kind):
            await one.run(target)
        assert (one.subject.calls, one.subject.effects) == ([], [])
        kept = await one.get(target)
        assert (kept.status, kept.next_retry_at) == (FAILED, None)
        assert (await one.db.list_records(target))[0].error_message


async def test_a_subject_action_without_a_subject_fails_for_good(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        target = await one.validated()
        with pytest.raises(RequestError, match="needs a subject"):
            await one.executor().execute_proposal(target)
        assert await one.status(target) is FAILED


async def test_an_action_never_runs_on_another_cluster(tmp_path: Path) -> None:
    """Peer bug 17: several clusters share one ledger."""
    async with bench(tmp_path) as one:
        target = await one.validated()
        other = FakeSubject(name="other")
        with pytest.raises(RequestError, match="'fake', not 'other'"):
            await one.executor(subject=other).execute_proposal(target, other)
        assert other.calls == []
        assert await one.status(target) is VALIDATED


async def test_a_resolved_ticket_takes_its_work_with_it(tmp_path: Path) -> None:
    """Pitfall 44 and peer bug 15: actions of a resolved ticket still ran."""
    async with bench(tmp_path) as one:
        ticket = await one.tickets.report(Violation(invariant="store_down", message="m"))
        waiting = id_of(await one.executor().propose_action(recommend(), ticket.id))
        one.subject.mode = Mode.FAIL
        again = id_of(await one.executor().propose_action(recommend(), ticket.id))
        await one.executor().validate_proposal(again)
        await one.run(again)
        await one.tickets.resolve(ticket.id or 0, actor="monitor", resolution="gone")
        one.clock.advance(60)
        assert await one.status(waiting) is CANCELLED
        assert await one.db.list_retry_eligible() == []


async def test_disruptive_actions_of_a_subject_run_one_at_a_time(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        one.subject.mode = Mode.STUBBORN
        first, second = await one.validated("act_alone"), await one.validated("act_alone")
        running = asyncio.create_task(one.run(first))
        await one.subject.acting.wait()
        with pytest.raises(LimitError):
            await one.run(second)
        one.subject.let_go.set()
        await running
        assert await one.status(second) is VALIDATED
        assert (await one.run(second)).success is True


async def test_an_execution_of_no_proposal_is_not_found(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        for call in (
            one.run(9),
            one.executor().cancel_proposal(9),
            one.executor().validate_proposal(9),
        ):
            with pytest.raises(NotFoundError):
                await call

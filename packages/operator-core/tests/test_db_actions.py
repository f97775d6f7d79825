"""`ActionDB`: each method in each wrong state, paging, ids, times and limits of JSON."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

import old_ledgers as old
from engine_bench import Bench, bench, id_of, proposal
from operator_core.actions.types import (
    ActionProposal,
    ActionRecord,
    ActionStatus,
    WorkflowProposal,
    WorkflowStatus,
)
from operator_core.db.checked import CheckedCall
from operator_core.db.codec import MAX_DEPTH
from operator_core.errors import ConflictError, NotFoundError, RequestError, TransitionError
from operator_core.monitor.types import Violation

STATES = sorted(set(ActionStatus) - {ActionStatus.EXECUTING})
WAITING = {ActionStatus.PROPOSED, ActionStatus.VALIDATED}
Call = Callable[[Bench, int], Awaitable[object]]


def as_it_is(proposal: ActionProposal) -> CheckedCall:
    return CheckedCall(proposal.parameters, disruptive=False)


CALLS: dict[str, tuple[Call, set[ActionStatus]]] = {
    "validate": (
        lambda one, n: one.db.validate_proposal(n, as_it_is, auto_approve=False),
        {ActionStatus.PROPOSED},
    ),
    "cancel": (lambda one, n: one.db.cancel_proposal(n), WAITING),
    "approve": (lambda one, n: one.db.approve_proposal(n), WAITING),
    "reject": (lambda one, n: one.db.reject_proposal(n), WAITING),
    "schedule": (lambda one, n: one.db.update_scheduled_at(n, None), WAITING),
    "count": (lambda one, n: one.db.increment_retry_count(n, "e"), {ActionStatus.FAILED}),
    "next retry": (lambda one, n: one.db.update_next_retry(n, None), {ActionStatus.FAILED}),
    "reset": (lambda one, n: one.db.reset_for_retry(n), {ActionStatus.FAILED}),
    "request cancel": (lambda one, n: one.db.request_cancel(n, cancelled_by="a"), set()),
    "claim": (
        lambda one, n: one.executions.claim(n, one.terms("one")),
        {ActionStatus.VALIDATED},
    ),
}


async def store(one: Bench, **columns: Any) -> int:  # noqa: ANN401 - any column
    return id_of(await one.db.create_proposal(proposal(**columns)))


@pytest.mark.parametrize("status", STATES)
@pytest.mark.parametrize("name", CALLS)
async def test_a_method_works_in_its_states_and_changes_nothing_in_others(
    tmp_path: Path, name: str, status: ActionStatus
) -> None:
    call, allowed = CALLS[name]
    async with bench(tmp_path) as one:
        target = await store(one, status=status)
        if status in allowed:
            await call(one, target)
            return
        before = old.dump(tmp_path / "ledger.db")
        with pytest.raises(ConflictError, match=f"Proposal {target} is {status.value}"):
            await call(one, target)
        assert old.dump(tmp_path / "ledger.db") == before


@pytest.mark.parametrize("name", CALLS)
async def test_a_method_on_nothing_says_so(tmp_path: Path, name: str) -> None:
    async with bench(tmp_path) as one:
        for number in (0, -1, 77):
            with pytest.raises(NotFoundError, match=f"Proposal {number} not found"):
                await CALLS[name][0](one, number)


@pytest.mark.parametrize("status", STATES)
@pytest.mark.parametrize("wanted", ActionStatus)
async def test_update_status_follows_the_table(
    tmp_path: Path, status: ActionStatus, wanted: ActionStatus
) -> None:
    allowed = {
        (ActionStatus.PROPOSED, ActionStatus.VALIDATED),
        (ActionStatus.PROPOSED, ActionStatus.CANCELLED),
        (ActionStatus.VALIDATED, ActionStatus.CANCELLED),
    }
    async with bench(tmp_path) as one:
        target = await store(one, status=status)
        if (status, wanted) in allowed:
            await one.db.update_proposal_status(target, wanted)
            assert await one.status(target) is wanted
        else:
            with pytest.raises(TransitionError):
                await one.db.update_proposal_status(target, wanted)
            assert await one.status(target) is status


@pytest.mark.parametrize("wanted", [ActionStatus.COMPLETED, ActionStatus.FAILED])
async def test_update_status_ends_what_is_executing(tmp_path: Path, wanted: ActionStatus) -> None:
    async with bench(tmp_path) as one:
        target = await one.validated()
        await one.executions.claim(target, one.terms("one"))
        for never in (ActionStatus.VALIDATED, ActionStatus.PROPOSED, ActionStatus.CANCELLED):
            with pytest.raises(TransitionError):
                await one.db.update_proposal_status(target, never)
        await one.db.update_proposal_status(target, wanted)
        kept = await one.get(target)
        assert (kept.status, kept.owner, kept.lease_expires_at) == (wanted, None, None)


async def test_nothing_is_created_executing(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        with pytest.raises(RequestError):
            await store(one, status=ActionStatus.EXECUTING)


@pytest.mark.parametrize("link", ["ticket_id", "workflow_id", "depends_on_proposal_id"])
async def test_links_must_lead_somewhere(tmp_path: Path, link: str) -> None:
    async with bench(tmp_path) as one:
        with pytest.raises(NotFoundError):
            await store(one, **{link: 99})
        with pytest.raises(NotFoundError):
            await one.db.create_workflow("w", "d", [proposal()], ticket_id=99)


async def test_lists_are_filtered_and_paged(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        ticket = await one.tickets.report(Violation(invariant="i", message="m"))
        for number in range(10):
            status = ActionStatus.FAILED if number % 2 else ActionStatus.PROPOSED
            linked = ticket.id if number < 4 else None
            await store(one, status=status, ticket_id=linked, subject="b" if number == 9 else None)
        assert [each.id for each in await one.db.list_proposals()] == list(range(1, 11))
        failed = await one.db.list_proposals(ActionStatus.FAILED)
        assert [each.id for each in failed] == [2, 4, 6, 8, 10]
        page = await one.db.list_proposals(ActionStatus.FAILED, after_id=4, limit=2)
        assert [each.id for each in page] == [6, 8]
        assert len(await one.db.list_proposals(ActionStatus.FAILED, ticket_id=ticket.id)) == 2
        assert [each.id for each in await one.db.list_proposals(subject="b")] == [10]
        assert await one.db.list_proposals(limit=0) == []
        with pytest.raises(ValueError, match="bogus"):
            await one.db.list_proposals("bogus")  # type: ignore[arg-type]  # what one may try


async def test_ids_are_never_given_again(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        last = [await store(one) for _ in range(3)][-1]
    old.execute(tmp_path / "ledger.db", ["DELETE FROM action_proposals WHERE id > 1"])
    async with bench(tmp_path) as one:
        assert await store(one) == last + 1


@pytest.mark.parametrize(
    "zone", [UTC, timezone(timedelta(hours=-8)), timezone(timedelta(hours=5, minutes=30))]
)
async def test_times_of_any_zone_are_due_at_their_moment(tmp_path: Path, zone: timezone) -> None:
    """Pitfall 24."""
    async with bench(tmp_path) as one:
        moment = one.clock.now().astimezone(zone)
        target = await store(one, status=ActionStatus.FAILED, next_retry_at=moment)
        assert [each.id for each in await one.db.list_retry_eligible()] == [target]
        assert (await one.get(target)).next_retry_at == moment


async def test_naive_times_are_local_and_keep_their_microseconds(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        naive = datetime(2026, 7, 1, 12, 0, 0, 1)  # noqa: DTZ001 - naive on purpose
        target = await store(one, scheduled_at=naive)
        kept = (await one.get(target)).scheduled_at
        assert kept == naive.astimezone(UTC)
        await one.db.update_scheduled_at(target, naive)
        assert (await one.get(target)).scheduled_at == kept


@pytest.mark.parametrize(
    "parameters",
    [{"x": float("nan")}, {"x": float("inf")}, {"x": object()}, {"x": {1, 2}}, {"x": b"b"}],
)
async def test_parameters_that_are_no_json_are_refused(
    tmp_path: Path, parameters: dict[str, Any]
) -> None:
    """Pitfall 32."""
    async with bench(tmp_path) as one:
        with pytest.raises(RequestError, match="JSON"):
            await store(one, parameters=parameters)
        assert await one.db.list_proposals() == []


def nested(depth: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(depth - 1):
        value = {"x": value}
    return value


async def test_deep_parameters_are_refused_and_large_ones_kept(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        for depth in (MAX_DEPTH + 2, 5_000):
            unchecked = proposal().model_copy(update={"parameters": nested(depth)})
            with pytest.raises(RequestError, match=r"nested|recursion"):
                await one.db.create_proposal(unchecked)
        deep = nested(MAX_DEPTH)
        assert (await one.get(await store(one, parameters=deep))).parameters == deep
        large = {"x": "y" * 1_000_000, "emoji": "\U0001f40d", "null": "\x00"}
        assert (await one.get(await store(one, parameters=large))).parameters == large


@pytest.mark.parametrize("name", ["", "   ", "x" * 201])
def test_names_are_there(name: str) -> None:
    """Peer bug 8."""
    with pytest.raises(ValueError, match="action_name"):
        ActionProposal(action_name=name, reason="r")
    with pytest.raises(ValueError, match="name"):
        WorkflowProposal(name=name, description="d")


@pytest.mark.parametrize(
    "end", [WorkflowStatus.COMPLETED, WorkflowStatus.FAILED, WorkflowStatus.CANCELLED]
)
async def test_workflow_states_follow_the_table(tmp_path: Path, end: WorkflowStatus) -> None:
    async with bench(tmp_path) as one:
        number = await one.db.create_workflow("w", "d", [proposal(), proposal()])
        with pytest.raises(TransitionError):
            await one.db.update_workflow_status(number, WorkflowStatus.PENDING)
        await one.db.update_workflow_status(number, end)
        steps = await one.db.list_workflow_actions(number)
        assert {step.status for step in steps} == {ActionStatus.CANCELLED}
        with pytest.raises(TransitionError):
            await one.db.approve_workflow(number)
        assert [each.id for each in await one.db.list_workflows(end)] == [number]
        with pytest.raises(NotFoundError, match="Workflow 99"):
            await one.db.update_workflow_status(99, end)


async def test_rejecting_a_step_cancels_its_workflow(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        first, second = await one.workflow("act", "act", approve=False)
        await one.db.reject_proposal(second, reason="no")
        assert await one.status(first) is ActionStatus.CANCELLED
        (workflow,) = await one.db.list_workflows()
        assert workflow.status is WorkflowStatus.CANCELLED


async def test_records_of_nothing(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        with pytest.raises(NotFoundError):
            await one.db.create_record(ActionRecord(proposal_id=9))
        with pytest.raises(NotFoundError):
            await one.db.update_record(9, success=True)
        assert await one.db.get_record(9) is None


async def test_the_next_due_time(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        assert await one.db.next_due_at() is None
        await store(one, status=ActionStatus.VALIDATED, scheduled_at=one.in_seconds(30))
        await store(one, status=ActionStatus.FAILED, next_retry_at=one.in_seconds(20))
        await store(one, status=ActionStatus.CANCELLED, scheduled_at=one.in_seconds(10))
        assert str(await one.db.next_due_at())[:19].replace(" ", "T") == "2026-01-26T15:00:20"

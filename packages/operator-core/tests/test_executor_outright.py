"""Proposed, validated and claimed in one transaction: nothing else may differ by that."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from engine_bench import LEASE_SECONDS, Bench, bench, id_of, recommend
from gate_kit import ALLOW, ASK_ONE, ROLES, gate
from operator_core.actions import execution
from operator_core.actions.runs import ActionRun, WorkflowRun
from operator_core.actions.sending import Run, send
from operator_core.actions.types import ActionStatus, SafetyMode, WorkflowStatus
from operator_core.db.control import ControlDB
from operator_core.db.engine import Row
from operator_core.db.ledger import Ledger
from operator_core.errors import (
    ApprovalRequiredError,
    ConflictError,
    LimitError,
    NotFoundError,
    ObserveOnlyError,
    OperatorError,
    PolicyDeniedError,
    RequestError,
    TransitionError,
    UnknownActionError,
    ValidationError,
)
from operator_core.monitor.types import Violation
from operator_core.testing.clock import ManualClock
from operator_core.testing.faults import CrashError, CrashingEngine
from shelves import Shelf, Step, go, recommended, shelf_of

S = ActionStatus
STEP: Step = ("put", 1)
STEPS: tuple[Step, ...] = (("put", 1), ("put", 2), ("put", 3))
ENOUGH = 60
TIMES = ("proposed_at", "validated_at", "approved_at", "started_at", "completed_at", "updated_at")
Go = Callable[[Bench, Ledger | None], Awaitable[object]]


async def run_one(one: Bench, ledger: Ledger | None = None) -> ActionRun:
    """Run one step on the bench's shelf in one go."""
    return await one.executor(ledger=ledger).run_action(recommended(*STEP), one.subject)


async def run_three(one: Bench, ledger: Ledger | None = None) -> WorkflowRun:
    """Run three steps as a workflow in one go."""
    steps = [recommended(*step) for step in STEPS]
    return await one.executor(ledger=ledger).run_workflow("tidy", "as it says", steps, one.subject)


async def states(one: Bench) -> list[ActionStatus]:
    """Return the state of each proposal, oldest first."""
    return [found.status for found in await one.db.list_proposals()]


async def one_apart(one: Bench) -> None:
    """Do what `run_one` does, call by call."""
    executor = one.executor()
    stored = await executor.propose_action(recommended(*STEP))
    await executor.validate_proposal(id_of(stored))
    await executor.execute_proposal(id_of(stored), one.subject)


async def three_apart(one: Bench) -> None:
    """Do what `run_three` does, call by call."""
    executor = one.executor()
    steps = [recommended(*step) for step in STEPS]
    workflow_id = await executor.propose_workflow("tidy", "as it says", steps)
    first, *_ = await executor.validate_workflow(workflow_id)
    await executor.execute_steps(id_of(first), one.subject)


async def written(one: Bench) -> tuple[list[Row], list[Row], Counter[str]]:
    """Return what stands in the ledger but for times and keys, and what the audit says."""
    narrow = dict.fromkeys(("status", "ticket_id", "workflow_id", "subject"))
    proposals = await one.rows("proposal.list", after_id=0, limit=100, **narrow)
    workflows = await one.rows("workflow.list", status=None, ticket_id=None, after_id=0, limit=9)
    events = await one.auditor.list_events()
    told = Counter(
        f"{event.event_type} by {event.actor} of {event.proposal_id}, {event.workflow_id}: "
        f"{event.event_data}"
        for event in events
    )
    plain = [[_timeless(row) for row in found] for found in (proposals, workflows)]
    return plain[0], plain[1], told


def _timeless(row: Row) -> Row:
    return {name: bool(value) if name in TIMES else value for name, value in row.items()} | {
        "created_at": ""
    }


@pytest.mark.parametrize(("outright", "apart"), [(run_one, one_apart), (run_three, three_apart)])
async def test_the_ledger_tells_the_same_as_call_by_call(
    tmp_path: Path, outright: Go, apart: Callable[[Bench], Awaitable[None]]
) -> None:
    async with bench(tmp_path / "a") as one, bench(tmp_path / "b", lasting=False) as other:
        shelf, alone = shelf_of(one), shelf_of(other)
        await outright(one, None)
        await apart(other)
        assert shelf.done == alone.done
        assert await written(one) == await written(other)


async def test_the_attempt_that_is_handed_on_is_as_it_is_stored(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        shelf_of(one)
        run = await run_one(one)
        assert run.record == await one.db.get_record(1)
        ended = {"status": S.COMPLETED, "owner": None, "lease_expires_at": None}
        assert await one.get(1) == run.proposal.model_copy(update=ended)


@pytest.mark.parametrize("outright", [run_one, run_three])
async def test_leases_go_by_the_ledgers_own_clock(tmp_path: Path, outright: Go) -> None:
    async with bench(tmp_path) as one:
        shelf_of(one)
        ahead = ManualClock(one.in_seconds(3600))
        seen: list[datetime | None] = []

        async def look(run: Run, is_fresh: Callable[[], bool]) -> object:
            seen.append(run.proposal.lease_expires_at)
            return await send(run, is_fresh)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(execution, "send", look)
            await outright(one, Ledger(one.ledger.engine, one.ledger.ledger_id, ahead))
        lease = timedelta(seconds=LEASE_SECONDS)
        assert set(seen) == {one.ledger.engine.clock(ahead).now() + lease}


@pytest.mark.parametrize(("outright", "commits"), [(run_one, 2), (run_three, 4)])
async def test_all_before_the_first_effect_is_one_transaction(
    tmp_path: Path, outright: Go, commits: int
) -> None:
    async with bench(tmp_path) as one:
        shelf_of(one)
        engine = CrashingEngine(one.ledger.engine)
        await outright(one, Ledger(engine, one.ledger.ledger_id, one.clock))
        assert engine.commits == commits


@pytest.mark.timeout(30)
@pytest.mark.parametrize(("outright", "steps"), [(run_one, (STEP,)), (run_three, STEPS)])
async def test_a_crash_at_any_statement_leaves_nothing_or_a_claim(
    tmp_path: Path, outright: Go, steps: tuple[Step, ...]
) -> None:
    for place in range(1, ENOUGH):
        async with bench(tmp_path / str(place), lasting=False) as one:
            shelf = shelf_of(one)
            engine = CrashingEngine(one.ledger.engine, at_statement=place)
            with suppress(CrashError):
                await outright(one, Ledger(engine, one.ledger.ledger_id, one.clock))
            left = await states(one)
            assert not left or S.PROPOSED not in left, place
            one.clock.advance(LEASE_SECONDS + 1)
            await go(one)
            assert shelf.done == (list(steps) if left else []), place
            if not engine.dead:
                return
    raise AssertionError("never came to the end")


# --- what is refused --------------------------------------------------------------------


async def _observe(one: Bench) -> None:
    await one.control.set_mode(SafetyMode.OBSERVE, actor="alice")


async def _kill(one: Bench) -> None:
    await ControlDB(one.ledger).kill(reason="stop", actor="alice")


@pytest.mark.parametrize("closed", [_observe, _kill])
@pytest.mark.parametrize("outright", [run_one, run_three])
async def test_where_operator_may_not_act_nothing_is_stored(
    tmp_path: Path, outright: Go, closed: Callable[[Bench], Awaitable[None]]
) -> None:
    async with bench(tmp_path) as one:
        shelf = shelf_of(one)
        await closed(one)
        with pytest.raises(ObserveOnlyError):
            await outright(one, None)
        assert (await states(one), shelf.calls) == ([], [])


async def test_what_waits_for_an_approval_is_left_valid_and_runs_once_it_has_it(
    tmp_path: Path,
) -> None:
    async with bench(tmp_path, approval_mode=True) as one:
        shelf = shelf_of(one)
        run = await run_one(one)
        assert isinstance(run.refused, ApprovalRequiredError)
        assert (run.record, run.proposal.status, shelf.done) == (None, S.VALIDATED, [])
        assert await one.get(1) == run.proposal
        await one.db.approve_proposal(1, "alice")
        await go(one)
        assert shelf.done == [STEP]


async def test_a_workflow_that_waits_for_an_approval_is_left_valid(tmp_path: Path) -> None:
    async with bench(tmp_path, approval_mode=True) as one:
        shelf = shelf_of(one)
        run = await run_three(one)
        assert isinstance(run.refused, ApprovalRequiredError)
        assert (run.records, await states(one)) == ([], [S.VALIDATED] * 3)
        await one.db.approve_workflow(run.workflow_id, "alice")
        await go(one)
        assert shelf.done == list(STEPS)


async def test_under_a_policy_the_gate_is_asked_of_what_is_stored(tmp_path: Path) -> None:
    async with gate(tmp_path, ASK_ONE) as one:
        executor = one.bench.executor()
        asked = await executor.run_action(recommend("shut", valve=1), one.valves)
        denied = await executor.run_action(recommend("smash", valve=1), one.valves)
        assert isinstance(asked.refused, ApprovalRequiredError)
        assert isinstance(denied.refused, PolicyDeniedError | TransitionError)
        assert (denied.proposal.status, one.valves.done) == (S.CANCELLED, [])
        await one.bench.db.approve_proposal(id_of(asked.proposal), "alice")
        await one.bench.run(id_of(asked.proposal))
        assert one.valves.done == [("shut", 1)]


async def test_a_policy_that_allows_it_decides_twice_as_call_by_call(tmp_path: Path) -> None:
    async with gate(tmp_path, ALLOW) as one:
        run = await one.bench.executor().run_action(recommend("shut", valve=1), one.valves)
        steps = [recommend("shut", valve=2), recommend("shut", valve=3)]
        chain = await one.bench.executor().run_workflow("two", "-", steps, one.valves)
        assert (run.refused, chain.refused) == (None, None)
        assert one.valves.done == [("shut", 1), ("shut", 2), ("shut", 3)]
        for proposal_id in (1, 2, 3):
            (latest,) = await one.bench.rows("decision.latest", proposal_id=proposal_id)
            assert latest["stage"] == "claim"


async def test_a_denied_step_ends_its_workflow(tmp_path: Path) -> None:
    deny = '[[rule]]\nname = "no"\nmatch = { action = "smash" }\neffect = "deny"\n'
    async with gate(tmp_path, ROLES + deny + ALLOW.removeprefix(ROLES)) as one:
        steps = [recommend("shut", valve=1), recommend("smash", valve=1)]
        run = await one.bench.executor().run_workflow("two", "-", steps, one.valves)
        assert run.refused is not None
        assert (run.records, one.valves.done) == ([], [])
        found = await one.bench.db.get_workflow(run.workflow_id)
        assert found is not None
        assert found.status is WorkflowStatus.CANCELLED


async def test_what_may_not_run_beside_another_waits_for_its_turn(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        await one.executions.claim(await one.validated("act_alone"), one.terms("another"))
        run = await one.executor().run_action(recommend("act_alone"), one.subject)
        steps = [recommend("act_alone")] * 10
        chain = await one.executor().run_workflow("w", "-", steps, one.subject)
        assert isinstance(run.refused, LimitError)
        assert isinstance(chain.refused, LimitError)
        assert await states(one) == [S.EXECUTING, *[S.VALIDATED] * 11]


async def test_two_that_may_not_run_beside_each_other_do_not_begin_together(
    tmp_path: Path,
) -> None:
    async with bench(tmp_path) as one:
        one.subject.let_go.clear()
        executor = one.executor()
        runs = [
            asyncio.create_task(executor.run_action(recommend("act_alone"), one.subject))
            for _ in range(2)
        ]
        came = await asyncio.gather(*runs)
        refused = [run.refused for run in came if run.refused is not None]
        done = [run for run in came if run.record is not None]
        assert len(refused) + len(done) == 2
        assert all(isinstance(one, LimitError) for one in refused)
        assert len(done) >= 1


@pytest.mark.parametrize(
    ("action", "parameters", "error"),
    [
        ("nothing", {}, UnknownActionError),
        ("put", {"value": "many"}, ValidationError),
        ("stamp", {"value": 1, "colour": "red"}, ValidationError),
        ("put", {"value": 1, "more": "x"}, ValidationError),
    ],
)
async def test_what_does_not_fit_is_not_stored(
    tmp_path: Path, action: str, parameters: dict[str, object], error: type[OperatorError]
) -> None:
    async with bench(tmp_path) as one:
        shelf = shelf_of(one)
        wanted = recommend(action, **parameters)
        with pytest.raises(error):
            await one.executor().run_action(wanted, shelf)
        with pytest.raises(error):
            await one.executor().run_workflow("w", "-", [recommended(*STEP), wanted], shelf)
        assert (await states(one), shelf.calls) == ([], [])


async def test_a_workflow_without_steps_is_refused(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        with pytest.raises(RequestError, match="at least one"):
            await one.executor().run_workflow("w", "-", [], one.subject)


async def test_nothing_is_begun_for_a_ticket_that_is_gone_or_never_was(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        shelf = shelf_of(one)
        broken = Violation(invariant="leak", target="1", message="it leaks")
        ticket_id = int((await one.tickets.report(broken, subject="fake")).id or 0)
        steps = [recommended(*STEP)]
        run = await one.executor().run_action(steps[0], shelf, ticket_id)
        assert run.proposal.ticket_id == ticket_id
        await one.tickets.resolve(ticket_id, actor="alice", resolution="over")
        for wrong, error in ((ticket_id, ConflictError), (99, NotFoundError)):
            with pytest.raises(error):
                await one.executor().run_action(steps[0], shelf, wrong)
            with pytest.raises(error):
                await one.executor().run_workflow("w", "-", steps, shelf, wrong)
        assert (len(await states(one)), shelf.done) == (1, [STEP])


# --- what goes another way ----------------------------------------------------------------


@pytest.mark.parametrize("action", ["turn", "flush", "block"])
async def test_what_needs_a_look_first_is_looked_at(tmp_path: Path, action: str) -> None:
    async with gate(tmp_path, ALLOW) as one:
        run = await one.bench.executor().run_action(recommend(action, valve=1), one.valves)
        chain = await one.bench.executor().run_workflow(
            "w", "-", [recommend("shut", valve=2)], one.valves
        )
        assert (run.refused, chain.refused) == (None, None)
        assert one.valves.done == [(action, 1), ("shut", 2)]


async def test_a_try_that_fails_is_tried_again_as_any_other(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        shelf = shelf_of(one)
        shelf.flaky[STEP] = 1
        run = await run_one(one)
        assert run.record is not None
        assert run.record.success is False
        await go(one)
        assert (shelf.done, await states(one)) == ([STEP], [S.COMPLETED])


async def test_a_step_that_fails_ends_its_workflow(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        shelf = shelf_of(one)
        shelf.refused.add(STEPS[1])
        run = await run_three(one)
        assert [record.success for record in run.records] == [True, False]
        await go(one)
        assert shelf.things == {}


async def test_many_at_once_have_one_effect_each_and_one_that_is_wrong_stops_none(
    tmp_path: Path,
) -> None:
    async with bench(tmp_path, lasting=False) as one:
        shelf = shelf_of(one)
        executor = one.executor()
        good = [executor.run_action(recommended("put", value), shelf) for value in range(20)]
        chains = [
            executor.run_workflow("w", "-", [recommended("put", 100 + value)] * 2, shelf)
            for value in range(5)
        ]
        wrong = executor.run_action(recommended(*STEP), shelf, 99)
        came = await asyncio.gather(*good, wrong, *chains, return_exceptions=True)
        assert [type(one) for one in came if isinstance(one, Exception)] == [NotFoundError]
        assert shelf.things == Counter([*range(20), *(100 + value for value in range(5))] * 1) + (
            Counter(100 + value for value in range(5))
        )
        assert set(await states(one)) == {S.COMPLETED}


async def test_a_tool_is_run_too(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        run = await one.executor().run_action(recommend("wait", seconds=1))
        assert run.record is not None
        assert run.record.success


async def test_a_shelf_that_is_not_there_leaves_no_effect(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        one.subject = Shelf()
        with pytest.raises(RequestError, match="needs a subject"):
            await one.executor().run_action(recommended(*STEP))
        assert await states(one) == [S.FAILED]

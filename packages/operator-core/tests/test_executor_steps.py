"""A step ends and the next one is claimed in one transaction: nothing else may differ by that."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from engine_bench import LEASE_SECONDS, Bench, bench, id_of, recommend
from gate_kit import ALLOW, ASK_ONE, ROLES, gate
from operator_core.actions.types import (
    ActionRecord,
    ActionStatus,
    Outcome,
    ParamDef,
    SafetyMode,
    WorkflowStatus,
)
from operator_core.db.attempts import Ending
from operator_core.db.control import ControlDB
from operator_core.db.ledger import Ledger
from operator_core.db.onward import OnwardDB
from operator_core.db.workflows import WorkflowDB
from operator_core.errors import ConflictError, LostLeaseError, TransitionError, ValidationError
from operator_core.monitor.types import Observation
from operator_core.subject import ActionCall
from operator_core.testing.faults import CrashError, CrashingEngine
from shelves import Shelf, Step, go, states, tidying

S = ActionStatus
STEPS: tuple[Step, ...] = (("put", 1), ("put", 2), ("put", 3))
HALF = [S.COMPLETED, S.VALIDATED, S.VALIDATED]
WHOLE = {
    (S.VALIDATED, S.VALIDATED, S.VALIDATED),
    (S.EXECUTING, S.VALIDATED, S.VALIDATED),
    (S.COMPLETED, S.EXECUTING, S.VALIDATED),
    (S.COMPLETED, S.COMPLETED, S.EXECUTING),
    (S.COMPLETED, S.COMPLETED, S.COMPLETED),
}
"""What a crash may leave: no step has ended without the next one having begun."""

ENOUGH = 60
Meanwhile = Callable[[Bench], Awaitable[object]]


@dataclass
class Busy(Shelf):
    """A shelf beside which something happens once, while the first thing is put on it."""

    meanwhile: Callable[[], Awaitable[object]] | None = None

    async def perform(self, call: ActionCall) -> object:
        """Do it, and let happen what happens meanwhile."""
        done = await super().perform(call)
        if self.meanwhile is not None:
            happens, self.meanwhile = self.meanwhile, None
            await happens()
        return done


async def prepared(one: Bench, meanwhile: Meanwhile | None = None) -> Busy:
    """Propose three steps, and say what happens while the first one runs."""
    shelf = Busy()
    one.subject = shelf
    if meanwhile is not None:
        shelf.meanwhile = lambda: meanwhile(one)
    await tidying(one, *STEPS)
    return shelf


async def steps(one: Bench, ledger: Ledger | None = None) -> list[ActionRecord]:
    """Execute the first step, and what follows it."""
    return await one.executor(ledger=ledger).execute_steps(1, one.subject)


async def told(one: Bench) -> list[tuple[str, str, int | None]]:
    """Return what the audit says, but for its order beside others."""
    return [
        (event.event_type, event.actor, event.proposal_id)
        for event in await one.auditor.list_events()
    ]


async def test_the_ledger_tells_the_same_as_of_steps_one_by_one(tmp_path: Path) -> None:
    async with bench(tmp_path / "a") as one, bench(tmp_path / "b", lasting=False) as other:
        shelf, alone = await prepared(one), await prepared(other)
        records = await steps(one)
        singly = [await other.run(step) for step in (1, 2, 3)]
        assert shelf.done == alone.done == list(STEPS)
        assert [record.success for record in records] == [True] * 3
        blank = {"idempotency_key": "", "started_at": None, "completed_at": None}
        plain = [[one.model_copy(update=blank) for one in found] for found in (records, singly)]
        assert plain[0] == plain[1]
        assert await told(one) == await told(other)
        assert [id_of(await one.db.get_record(number)) for number in (1, 2, 3)] == [1, 2, 3]


async def test_two_transactions_less_than_one_by_one(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        await prepared(one)
        engine = CrashingEngine(one.ledger.engine)
        await steps(one, Ledger(engine, one.ledger.ledger_id, one.clock))
        assert engine.commits == 4, "a claim, two ends with a claim each, an end"


@pytest.mark.timeout(30)
async def test_a_crash_at_any_statement_is_before_both_or_after_both(tmp_path: Path) -> None:
    for place in range(1, ENOUGH):
        async with bench(tmp_path / str(place), lasting=False) as one:
            shelf = await prepared(one)
            engine = CrashingEngine(one.ledger.engine, at_statement=place)
            with suppress(CrashError):
                await steps(one, Ledger(engine, one.ledger.ledger_id, one.clock))
            assert tuple(await states(one)) in WHOLE, place
            one.clock.advance(LEASE_SECONDS + 1)
            await go(one)
            assert shelf.done == list(STEPS), place
            assert await states(one) == [S.COMPLETED] * 3
            if not engine.dead:
                return
    raise AssertionError("never came to the end")


async def kill(one: Bench) -> object:
    return await ControlDB(one.ledger).kill(reason="stop", actor="alice")


async def observe(one: Bench) -> object:
    return await one.control.set_mode(SafetyMode.OBSERVE, actor="alice")


async def pause(one: Bench) -> object:
    return await WorkflowDB(one.ledger).pause(1, paused_by="alice")


async def cancel(one: Bench) -> object:
    return await one.db.cancel_workflow(1, cancelled_by="alice")


async def reject(one: Bench) -> object:
    return await one.db.reject_proposal(2, "alice", "no")


async def postpone(one: Bench) -> None:
    await one.db.update_scheduled_at(2, one.in_seconds(60))


CANCELLED = [S.COMPLETED, S.CANCELLED, S.CANCELLED]


@pytest.mark.parametrize(
    ("happens", "left", "undone"),
    [
        (kill, [*CANCELLED], False),
        (observe, HALF, False),
        (pause, HALF, False),
        (cancel, [*CANCELLED, S.VALIDATED], True),
        (reject, [*CANCELLED, S.VALIDATED], True),
        (postpone, HALF, False),
    ],
)
async def test_what_happens_while_a_step_runs_stops_the_next_one_and_not_its_end(
    tmp_path: Path, happens: Meanwhile, left: list[ActionStatus], *, undone: bool
) -> None:
    async with bench(tmp_path) as one:
        shelf = await prepared(one, happens)
        (record,) = await steps(one)
        assert (record.success, shelf.done) == (True, [STEPS[0]])
        assert await states(one) == left
        assert len(left) == (4 if undone else 3)


async def test_a_freeze_that_begins_while_a_step_runs_holds_the_next_one_up(tmp_path: Path) -> None:
    freeze = (
        '[[freeze]]\nname = "sale"\nstarts = 2026-01-26T16:00:00Z\nends = 2026-01-26T17:00:00Z\n'
    )
    async with gate(tmp_path, ALLOW + freeze) as one:
        one.bench.clock.advance(3599)
        _, (first, second) = await one.chain("shut", "shut")
        calls = one.valves.perform

        async def slow(call: ActionCall) -> object:
            one.bench.clock.advance(1)
            return await calls(call)

        one.valves.perform = slow  # type: ignore[method-assign]
        (record,) = await one.bench.executor().execute_steps(first, one.valves)
        assert record.success
        assert await one.bench.status(second) is S.VALIDATED
        one.bench.clock.advance(3600)
        await one.bench.run(second)
        assert len(one.valves.done) == 2


async def test_the_policy_decides_on_each_claim(tmp_path: Path) -> None:
    async with gate(tmp_path, ASK_ONE) as one:
        workflow_id, (first, second) = await one.chain("shut", "shut")
        await one.bench.db.approve_workflow(workflow_id, "alice")
        records = await one.bench.executor().execute_steps(first, one.valves)
        assert [record.success for record in records] == [True, True]
        for step in (first, second):
            (decision,) = await one.bench.rows("decision.latest", proposal_id=step)
            assert decision["stage"] == "claim"


@pytest.mark.parametrize("action", ["turn", "flush", "block"])
async def test_what_needs_a_look_first_is_not_claimed_blindly(tmp_path: Path, action: str) -> None:
    async with gate(tmp_path, ALLOW) as one:
        _, (first, second) = await one.chain("shut", action)
        (record,) = await one.bench.executor().execute_steps(first, one.valves)
        assert record.success
        assert await one.bench.status(second) is S.VALIDATED
        await one.bench.run(second)
        assert one.valves.done == [("shut", 1), (action, 1)]


class Twinned(Shelf):
    """A shelf that has models of its own, so that each call is rehearsed on a fresh look."""

    def twin(self, observation: Observation) -> None:
        """Return none this time."""


async def test_what_is_rehearsed_before_each_call_is_not_claimed_blindly(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        one.subject = Twinned()
        await tidying(one, *STEPS)
        (record,) = await steps(one)
        assert (record.success, await states(one)) == (True, HALF)


async def test_what_may_not_run_beside_another_never_holds_up_an_end(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        first, second = await one.workflow("act", "act_alone")
        other = await one.validated("act_alone")
        await one.executions.claim(other, one.terms("another"))
        (record,) = await one.executor().execute_steps(first, one.subject)
        assert record.success
        assert [await one.status(step) for step in (first, second)] == [S.COMPLETED, S.VALIDATED]


async def test_who_lost_a_step_neither_ends_it_nor_takes_the_next_one(tmp_path: Path) -> None:
    async def taken_over(one: Bench) -> None:
        await asyncio.create_task(take_over(one))  # beside the call, whose steps keep its lease

    async def take_over(one: Bench) -> None:
        while (await one.get(1)).owner != "another":  # its owner may be quicker and renew the lease
            one.clock.advance(LEASE_SECONDS + 1)
            for expired in await one.executions.list_expired():
                with suppress(ConflictError):
                    await one.executions.take_over(expired, one.terms("another"))

    async with bench(tmp_path) as one:
        shelf = await prepared(one, taken_over)
        with pytest.raises(LostLeaseError):
            await steps(one)
        assert await states(one) == [S.EXECUTING, S.VALIDATED, S.VALIDATED]
        assert (await one.get(1)).owner == "another"
        assert shelf.done == [STEPS[0]]


async def test_the_end_of_a_step_of_somebody_else_is_not_written(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        await prepared(one)
        attempt = await one.executions.claim(1, one.terms("one"))
        one.clock.advance(LEASE_SECONDS + 1)
        await one.executions.take_over(attempt.proposal, one.terms("another"))
        db = OnwardDB(one.ledger, one.terms("one"), lambda _: False, lambda: True)
        with pytest.raises(LostLeaseError):
            await db.finish(attempt, Ending(Outcome.SUCCEEDED))
        assert db.taken() is None
        assert await states(one) == [S.EXECUTING, S.VALIDATED, S.VALIDATED]


async def test_a_pause_between_steps_is_kept(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        first, wait, last = await one.workflow("act", "wait", "act")
        records = await one.executor().execute_steps(first, one.subject)
        assert [record.proposal_id for record in records] == [first, wait]
        due = (await one.get(last)).scheduled_at
        assert due == one.clock.now() + timedelta(seconds=300)
        assert await one.status(last) is S.VALIDATED


async def test_a_step_that_fails_ends_the_list(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        shelf = await prepared(one)
        shelf.refused.add(STEPS[1])
        records = await steps(one)
        assert [record.success for record in records] == [True, False]
        found = await one.db.get_workflow(1)
        assert found is not None
        assert found.status is WorkflowStatus.FAILED
        await go(one)
        assert shelf.things == {}


async def test_what_is_not_wanted_any_more_starts_no_further_step(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        shelf = await prepared(one)
        records = await one.executor().execute_steps(1, shelf, may_go_on=lambda: False)
        assert (len(records), await states(one)) == (1, HALF)


async def test_who_is_asked_to_stop_while_a_step_ends_takes_no_further_one(tmp_path: Path) -> None:
    async def ask_to_stop(_: Bench) -> None:
        task.cancel()

    async with bench(tmp_path) as one:
        await prepared(one, ask_to_stop)
        task = asyncio.create_task(steps(one))
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await states(one) == HALF


async def test_two_executors_share_a_workflow_and_each_step_runs_once(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        shelf = await prepared(one)
        claims = (one.executor(name).execute_steps(1, shelf) for name in ("one", "two"))
        came = await asyncio.gather(*claims, return_exceptions=True)
        assert sorted(type(each).__name__ for each in came) == ["TransitionError", "list"]
        assert shelf.done == list(STEPS)


# --- a workflow is validated as a whole -------------------------------------------------


async def test_a_workflow_is_validated_in_one_transaction(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        one.subject = Shelf()
        workflow_id = await tidying(one, *STEPS, validate=False)
        engine = CrashingEngine(one.ledger.engine)
        executor = one.executor(ledger=Ledger(engine, one.ledger.ledger_id, one.clock))
        valid = await executor.validate_workflow(workflow_id)
        assert [step.status for step in valid] == [S.VALIDATED] * 3
        assert valid == await one.db.list_workflow_actions(workflow_id)
        assert engine.commits == 1


async def test_a_step_that_is_not_valid_leaves_the_others_as_they_were(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        executor = one.executor()
        wanted = [recommend("act"), recommend("act_again", value=5)]
        workflow_id = await executor.propose_workflow("w", "-", wanted)
        again = {"parameters": {"value": ParamDef(type="int", maximum=1)}}
        plain = one.subject.get_action_definitions()
        stricter = [plain[0], plain[1].model_copy(update=again), plain[2]]
        one.subject.get_action_definitions = lambda: stricter  # type: ignore[method-assign]
        with pytest.raises(ValidationError):
            await one.executor().validate_workflow(workflow_id)
        assert await states(one) == [S.PROPOSED] * 2


async def test_a_workflow_is_validated_once(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        await prepared(one)
        with pytest.raises(TransitionError):
            await one.executor().validate_workflow(1)


async def test_a_denied_step_ends_its_workflow(tmp_path: Path) -> None:
    async with gate(tmp_path, ASK_ONE) as one:
        workflow_id, found = await one.chain("smash", "shut", validate=False)
        await one.bench.executor().validate_workflow(workflow_id)
        assert [await one.bench.status(step) for step in found] == [S.CANCELLED] * 2


async def test_the_policy_approves_a_workflow_as_a_whole(tmp_path: Path) -> None:
    async with gate(tmp_path, ROLES + '[[rule]]\nname = "all"\neffect = "auto"\n') as one:
        workflow_id, (first, _) = await one.chain("shut", "shut", validate=False)
        await one.bench.executor().validate_workflow(workflow_id)
        assert await one.workflow_approved_by(workflow_id) == "policy"
        assert len(await one.bench.executor().execute_steps(first, one.valves)) == 2

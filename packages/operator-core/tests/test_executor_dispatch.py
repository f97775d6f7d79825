"""What may be started is found in one look, or offered by who approved it in this process."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from engine_bench import LEASE_SECONDS, Bench, bench, id_of, proposal, until
from operator_core.actions.executor import ActionExecutor
from operator_core.actions.types import ActionProposal, ActionStatus
from operator_core.agent.runner import AgentRunner
from operator_core.db.dispatch import DispatchDB, Startable
from operator_core.db.ledger import Ledger
from operator_core.runtime import acting
from operator_core.runtime.acting import _agent, _dispatch, agent_loops
from operator_core.runtime.guards import GuardKeeper
from operator_core.runtime.loops import waking
from operator_core.runtime.wiring import Wired, WiringOptions, wire
from operator_core.subject import complete
from operator_core.testing.fakes import FakeSubject, Mode
from operator_core.testing.faults import CrashingEngine
from operator_core.types import RunMode
from shelves import Shelf, states, tidying

S = ActionStatus
STEPS = (("put", 1), ("put", 2), ("put", 3))


async def startable(one: Bench, *, limit: int = 9) -> Startable:
    return await DispatchDB(one.ledger).startable("fake", limit=limit)


def runner_of(one: Bench) -> AgentRunner:
    return AgentRunner(
        one.ledger, complete(one.subject), one.executor(), one.safety, clock=one.clock
    )


async def stored(one: Bench, status: ActionStatus, **columns: object) -> int:
    row = proposal(status=status, **{"subject": "fake", **columns})
    return id_of(await one.db.create_proposal(row))


async def test_one_look_finds_what_is_ready_and_what_is_to_be_tried_again(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        now = one.clock.now()
        past = {"next_retry_at": one.in_seconds(-1), "max_retries": 3}
        ready = [
            await stored(one, ActionStatus.VALIDATED, subject=name, approved_at=now)
            for name in ("fake", "other", None)
        ]
        failed = [
            await stored(one, ActionStatus.FAILED, subject=name, **past)
            for name in ("fake", "other", None)
        ]
        await stored(one, ActionStatus.VALIDATED)  # nobody has approved it
        found = await startable(one)
        assert found.may_act
        assert [one.id for one in found.ready] == [ready[0], ready[2]]
        assert [one.id for one in found.retries] == [failed[0], failed[2]]
        assert len((await startable(one, limit=1)).ready) == 1


async def test_where_operator_may_not_act_nothing_is_startable(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        await stored(one, ActionStatus.VALIDATED, approved_at=one.clock.now())
        await one.control.set_mode(RunMode.OBSERVE, actor="alice")
        assert await startable(one) == Startable()
        await one.control.set_mode(RunMode.EXECUTE, actor="alice")
        await one.control.kill(actor="alice", reason="enough")
        assert await startable(one) == Startable()


async def test_what_is_approved_is_offered_and_what_is_only_valid_is_not(tmp_path: Path) -> None:
    offers: list[ActionProposal] = []
    async with bench(tmp_path, approval_mode=True) as one:
        with one.ledger.offering(offers.append):
            target = await one.validated()
            assert offers == []
            await one.db.approve_proposal(target, "alice")
        await one.db.approve_proposal(await one.validated(), "alice")
        assert [each.id for each in offers] == [target]
        one.approval_mode = False
        with one.ledger.offering(offers.append):
            again = await one.validated()
        assert [each.id for each in offers] == [target, again]


async def test_an_offer_is_executed_without_a_look_for_it(tmp_path: Path) -> None:
    async with bench(tmp_path, approval_mode=False) as one:
        runner = runner_of(one)
        await runner.execute()
        runner.take(await one.get(await one.validated()))
        await asyncio.gather(*runner.running)
        assert len(one.subject.effects) == 1


async def test_what_may_not_start_is_not_taken(tmp_path: Path) -> None:
    async with bench(tmp_path, approval_mode=False) as one:
        runner = runner_of(one)
        offer = await one.get(await one.validated())
        runner.take(offer)  # no look has said yet that Operator may act
        await one.control.set_mode(RunMode.OBSERVE, actor="alice")
        await runner.execute()
        runner.take(offer)
        await one.control.set_mode(RunMode.EXECUTE, actor="alice")
        assert runner.running == []
        await runner.execute()
        await asyncio.gather(*runner.running)
        for wrong in ({"subject": "other"}, {"scheduled_at": one.in_seconds(60)}):
            runner.take(offer.model_copy(update=wrong))
        assert runner.running == []
        assert len(one.subject.effects) == 1


# --- the loop that dispatches -----------------------------------------------------------


def wired_of(one: Bench) -> Wired:
    options = WiringOptions(require_approval=one.approval_mode, clock=one.clock)
    return wire(one.ledger, complete(one.subject), options)


async def test_the_loop_starts_nothing_before_the_guards_are_proven(tmp_path: Path) -> None:
    async with bench(tmp_path, approval_mode=True) as one:
        guards, stop = GuardKeeper(one.ledger, canaries=()), asyncio.Event()
        loop = asyncio.create_task(_dispatch(one.ledger, wired_of(one), guards, stop))
        first = await one.validated()
        await one.db.approve_proposal(first, "alice")
        await asyncio.sleep(0.05)
        assert await one.status(first) is ActionStatus.VALIDATED
        guards.proven = True
        second = await one.validated()
        await one.db.approve_proposal(second, "alice")
        await until(lambda: len(one.subject.effects) == 2)
        stop.set()
        await loop


async def test_a_stage_that_hangs_holds_up_no_dispatch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hangs = asyncio.Event()

    async def hang(_: Wired, *, may_act: bool) -> None:
        assert not may_act  # only the other loop executes
        hangs.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(acting, "agent_round", hang)
    async with bench(tmp_path, approval_mode=True) as one:
        guards, stop, wired = GuardKeeper(one.ledger, canaries=()), asyncio.Event(), wired_of(one)
        guards.proven = True
        loops = [
            asyncio.create_task(_dispatch(one.ledger, wired, guards, stop)),
            asyncio.create_task(_agent(one.ledger, wired, guards, stop)),
        ]
        await hangs.wait()
        await one.db.approve_proposal(await one.validated(), "alice")
        await until(lambda: len(one.subject.effects) == 1)
        stop.set()
        loops[1].cancel()
        await asyncio.wait(loops)


async def test_what_a_dead_owner_left_is_settled_before_the_guards_are_tried(
    tmp_path: Path,
) -> None:
    async with bench(tmp_path, approval_mode=False) as one:
        target = await one.validated("act_again")
        await one.executions.claim(target, one.terms("dead"))
        one.clock.advance(LEASE_SECONDS + 1)
        guards, stop = GuardKeeper(one.ledger, canaries=()), asyncio.Event()
        guards.at_rest.clear()  # a trial goes on
        loop = asyncio.create_task(_agent(one.ledger, wired_of(one), guards, stop))
        async with asyncio.timeout(1.5):
            while (await one.get(target)).owner == "dead":  # noqa: ASYNC110 - of another task
                await asyncio.sleep(0.005)
        stop.set()
        guards.at_rest.set()
        await loop
        assert one.subject.effects == []


async def test_what_was_interrupted_goes_on_before_what_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(acting, "RECOVERED_FIRST_SECONDS", 60.0)  # however busy the machine is
    async with bench(tmp_path, approval_mode=False) as one:
        waits = await one.validated("act")
        target = await one.validated("act_again")
        await one.executions.claim(target, one.terms("dead"))
        one.clock.advance(LEASE_SECONDS + 1)
        guards, stop = GuardKeeper(one.ledger, canaries=()), asyncio.Event()
        guards.proven = True
        loops = agent_loops(one.ledger, wired_of(one), guards, stop)
        tasks = [asyncio.create_task(loop) for loop in loops]
        await until(lambda: len(one.subject.effects) == 2)
        stop.set()
        await asyncio.gather(*tasks)
        assert [effect.idempotency_key.split(":")[2] for effect in one.subject.effects] == [
            str(target),
            str(waits),
        ]


async def test_a_recovery_that_hangs_holds_up_what_waits_for_a_moment_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hang(*_: object) -> list[int]:
        await asyncio.Event().wait()
        return []

    monkeypatch.setattr(ActionExecutor, "settle_expired", hang)
    async with bench(tmp_path, approval_mode=False) as one:
        await one.validated()
        guards, stop, wired = GuardKeeper(one.ledger, canaries=()), asyncio.Event(), wired_of(one)
        guards.proven = True
        tasks = [asyncio.create_task(loop) for loop in agent_loops(one.ledger, wired, guards, stop)]
        await until(lambda: len(one.subject.effects) == 1)
        assert not wired.agent.recovered.is_set()
        stop.set()
        await asyncio.gather(*tasks)
        await wired.agent.drain(0)


async def test_a_request_to_stop_wakes_who_waits_for_a_change(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        stop = asyncio.Event()
        async with asyncio.timeout(1), waking(one.ledger, stop) as wake:
            wake.clear()
            stop.set()
            await wake.wait()


async def test_an_agent_validates_a_workflow_at_once_and_goes_through_it(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        one.subject = shelf = Shelf()
        await tidying(one, *STEPS, validate=False)
        engine = CrashingEngine(one.ledger.engine)
        agent = runner_of(replace(one, ledger=Ledger(engine, one.ledger.ledger_id, one.clock)))
        await agent.validate()
        assert engine.commits == 1
        await agent.execute()
        await asyncio.gather(*agent.running)
        assert (shelf.done, engine.commits) == (list(STEPS), 5)


async def test_an_agent_says_which_step_of_a_workflow_is_not_valid(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        one.subject = Shelf()
        await tidying(one, *STEPS, validate=False)
        one.subject = FakeSubject()
        await runner_of(one).validate()
        told = [event for event in await one.auditor.list_events() if event.proposal_id == 1]
        assert "Unknown action 'put'" in str(told[-1].event_data["reason"])
        assert await states(one) == [S.CANCELLED] * 3


async def test_an_agent_that_drains_ends_a_step_and_takes_no_further_one(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        one.subject = shelf = Shelf(mode=Mode.STUBBORN)
        await tidying(one, *STEPS)
        agent = runner_of(one)
        await agent.execute()
        await shelf.acting.wait()
        draining = asyncio.create_task(agent.drain(60.0))
        await asyncio.sleep(0)
        shelf.let_go.set()
        await draining
        assert shelf.done == [STEPS[0]]
        assert await states(one) == [S.COMPLETED, S.VALIDATED, S.VALIDATED]

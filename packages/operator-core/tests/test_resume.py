"""A process that dies anywhere leaves a workflow that the next one takes up where it stood."""

import asyncio
from contextlib import suppress
from pathlib import Path

import pytest

from engine_bench import LEASE_SECONDS, Bench, bench
from operator_core.actions.types import ActionStatus, WorkflowStatus
from operator_core.agent.diagnosis import ActionRecommendation
from operator_core.db.ledger import Ledger
from operator_core.runtime.acting import agent_round
from operator_core.runtime.wiring import Wired, WiringOptions, wire
from operator_core.testing.faults import CrashError, CrashingEngine
from shelves import Shelf, recommended, shelf_of, states

S = ActionStatus
STEPS = [("put", 1), ("put", 2), ("put", 3)]
ROUNDS = 12


def _wired(one: Bench, ledger: Ledger) -> Wired:
    options = WiringOptions(
        require_approval=False, lease_seconds=LEASE_SECONDS, clock=one.clock, retry=one.retry
    )
    return wire(ledger, one.subject, options)


async def _proposed(one: Bench, *, knows: bool = True) -> Shelf:
    shelf = shelf_of(one)
    shelf.knows = knows
    wait = ActionRecommendation(action_name="wait", parameters={"seconds": 2}, reason="settle")
    first, second, third = (recommended(*step) for step in STEPS)
    await one.executor().propose_workflow("tidy", "d", [first, wait, second, third])
    return shelf


async def _rounds(one: Bench, ledger: Ledger) -> None:
    """Let the agent's stages take their steps; a round that dies ends the process."""
    wired = _wired(one, ledger)
    for _ in range(ROUNDS):
        await agent_round(wired)
        died = await asyncio.gather(*wired.agent.running, return_exceptions=True)
        for error in died:
            if isinstance(error, BaseException):
                raise error
        one.clock.advance(1)


async def _commits(folder: Path) -> int:
    async with bench(folder) as one:
        shelf = await _proposed(one)
        engine = CrashingEngine(one.ledger.engine)
        await _rounds(one, Ledger(engine, one.ledger.ledger_id, one.clock))
        assert shelf.done == STEPS
        return engine.commits


@pytest.mark.timeout(60)
async def test_the_agent_goes_on_at_the_step_where_it_died(tmp_path: Path) -> None:
    whole = await _commits(tmp_path / "whole")
    assert whole >= 7  # validated, claimed, and a commit for each end: the next claim rides in it
    for place in range(1, whole + 1):
        async with bench(tmp_path / str(place)) as one:
            shelf = await _proposed(one)
            engine = CrashingEngine(one.ledger.engine, after_commit=place)
            with suppress(CrashError):
                await _rounds(one, Ledger(engine, one.ledger.ledger_id, one.clock))
            done = list(shelf.done)
            assert done == STEPS[: len(done)]
            one.clock.advance(LEASE_SECONDS + 1)
            await _rounds(one, one.ledger)
            assert shelf.done == STEPS, place
            assert set(await states(one)) == {S.COMPLETED}
            (workflow,) = await one.db.list_workflows()
            assert workflow.status is WorkflowStatus.COMPLETED


@pytest.mark.timeout(60)
async def test_where_nobody_can_tell_the_step_stays_in_doubt_and_nothing_follows_it(
    tmp_path: Path,
) -> None:
    whole = await _commits(tmp_path / "whole")
    doubts = 0
    for place in range(1, whole + 1):
        async with bench(tmp_path / str(place)) as one:
            shelf = await _proposed(one, knows=False)
            engine = CrashingEngine(one.ledger.engine, after_commit=place)
            with suppress(CrashError):
                await _rounds(one, Ledger(engine, one.ledger.ledger_id, one.clock))
            one.clock.advance(LEASE_SECONDS + 1)
            await _rounds(one, one.ledger)
            assert all(shelf.done.count(step) <= 1 for step in STEPS), place
            for step in await one.db.list_workflow_actions(1):
                if not step.in_doubt:
                    continue
                doubts += 1
                happened = ("put", step.parameters["value"]) in shelf.done
                await one.executions.settle_by_person(
                    int(step.id or 0), happened=happened, person="alice"
                )
            await _rounds(one, one.ledger)
            (workflow,) = await one.db.list_workflows()
            assert workflow.status is not WorkflowStatus.IN_PROGRESS, place
            if workflow.status is WorkflowStatus.FAILED:
                assert not shelf.things
    assert doubts > 0

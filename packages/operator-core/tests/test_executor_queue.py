"""What cannot run now never keeps others from running, however much of it there is."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from engine_bench import LEASE_SECONDS, Bench, bench, id_of, proposal
from operator_core.actions.executor import ActionExecutor
from operator_core.actions.types import ActionRecord, ActionStatus
from operator_core.agent import runner
from operator_core.agent.runner import MAX_RUNNING, AgentRunner
from operator_core.errors import LimitError
from operator_core.subject import ActionCall, ProbeAnswer, Subject, complete
from operator_core.types import DEFAULT_PAGE_SIZE


async def approved(one: Bench, action_name: str, **columns: object) -> int:
    """Store a proposal that may run, without its workflow's or anybody's check."""
    now = one.clock.now()
    row = proposal(action_name, status=ActionStatus.VALIDATED, approved_at=now, **columns)
    return id_of(await one.db.create_proposal(row.model_copy(update={"subject": "fake"})))


async def test_what_waits_for_its_turn_does_not_hide_what_can_run(tmp_path: Path) -> None:
    """Peer bug 5: a page of work that is refused hid everything behind it."""
    async with bench(tmp_path) as one:
        first = await approved(one, "act_alone", disruptive=True)
        await one.executions.claim(first, one.terms("another"))
        many = DEFAULT_PAGE_SIZE + 1
        await asyncio.gather(*[approved(one, "act_alone", disruptive=True) for _ in range(many)])
        last = await approved(one, "act")
        assert [id_of(ready) for ready in await one.db.list_ready(subject="fake")] == [last]
        await one.db.update_proposal_status(first, ActionStatus.COMPLETED)
        assert len(await one.db.list_ready(subject="fake", limit=many + 9)) == many + 1


async def test_only_what_disrupts_the_same_cluster_waits(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        running = await approved(one, "act_alone", disruptive=True)
        await one.executions.claim(running, one.terms("another"))
        other = proposal("act_alone", disruptive=True, status=ActionStatus.VALIDATED)
        row = other.model_copy(update={"subject": "b", "approved_at": one.clock.now()})
        elsewhere = id_of(await one.db.create_proposal(row))
        assert [id_of(ready) for ready in await one.db.list_ready()] == [elsewhere]


@dataclass
class Picky:
    """An executor whose gate never lets some proposals through."""

    executor: ActionExecutor
    refused: set[int]
    asked: list[int] = field(default_factory=list)

    async def execute_steps(
        self, first_id: int, subject: Subject, *, may_go_on: Callable[[], bool]
    ) -> list[ActionRecord]:
        """Execute, or refuse."""
        self.asked.append(first_id)
        if first_id in self.refused:
            raise LimitError("not now")
        return await self.executor.execute_steps(first_id, subject, may_go_on=may_go_on)


@pytest.mark.timeout(10)
@pytest.mark.parametrize("count", [MAX_RUNNING + 1, DEFAULT_PAGE_SIZE + MAX_RUNNING])
async def test_what_the_gate_refuses_again_and_again_blocks_nobody(
    tmp_path: Path, count: int
) -> None:
    """Peer bug 5: what is never let through took the places of all workers."""
    async with bench(tmp_path) as one:
        stuck = await asyncio.gather(*[approved(one, "act") for _ in range(count)])
        last = await approved(one, "act")
        executor: Any = Picky(one.executor(), set(stuck))
        agent = AgentRunner(
            one.ledger, complete(one.subject), executor, one.safety, clock=one.clock
        )
        for _ in range(2 + count // MAX_RUNNING):
            await agent.execute()
            await asyncio.gather(*agent.running)
        assert await one.status(last) is ActionStatus.COMPLETED


@pytest.mark.timeout(10)
async def test_a_long_queue_of_refusals_starves_nobody_while_time_passes(tmp_path: Path) -> None:
    """What was refused longest ago comes first, not what is due first: so everybody has a turn."""
    async with bench(tmp_path) as one:
        stuck = await asyncio.gather(*[approved(one, "act") for _ in range(10 * MAX_RUNNING)])
        last = await approved(one, "act")
        picky = Picky(one.executor(), set(stuck))
        executor: Any = picky
        agent = AgentRunner(
            one.ledger, complete(one.subject), executor, one.safety, clock=one.clock
        )
        for _ in range(12):
            await agent.execute()
            await asyncio.gather(*agent.running)
            one.clock.advance(1)
        assert await one.status(last) is ActionStatus.COMPLETED
        assert {*picky.asked} == {*stuck, last}
        fresh = await approved(one, "act")
        await agent.execute()
        await asyncio.gather(*agent.running)
        assert await one.status(fresh) is ActionStatus.COMPLETED, "what is new comes at once"


async def test_a_probe_that_hangs_holds_up_no_other_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Peer bug 5: while one row was being recovered nothing else was begun."""
    monkeypatch.setattr(runner, "RECOVERY_WAIT_SECONDS", 0.01)
    async with bench(tmp_path) as one:
        lost, other = await one.validated(), await one.validated()
        await one.executions.claim(lost, one.terms("dead"))
        one.clock.advance(LEASE_SECONDS)
        monkeypatch.setattr(one.subject, "probe", never)
        agent = AgentRunner(
            one.ledger, complete(one.subject), one.executor(), one.safety, clock=one.clock
        )
        await agent.recover()
        await agent.recover()
        await agent.execute()
        await asyncio.gather(*agent.running)
        assert await one.status(other) is ActionStatus.COMPLETED
        await agent.drain(0.01)
        assert await one.status(lost) is ActionStatus.EXECUTING


async def never(_: ActionCall) -> ProbeAnswer:
    """Ask a cluster that does not answer."""
    await asyncio.Event().wait()
    return ProbeAnswer.UNKNOWN


def broken(*_: object, **_options: object) -> None:
    """Fail as no action does."""
    raise ZeroDivisionError


async def test_a_fault_of_ours_is_told_when_it_happens(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A task that nobody asks tells its error when it is collected, in the middle of anything."""
    async with bench(tmp_path) as one:
        first = await approved(one, "act")
        executor = one.executor()
        monkeypatch.setattr(executor, "execute_steps", broken)
        agent = AgentRunner(
            one.ledger, complete(one.subject), executor, one.safety, clock=one.clock
        )
        await agent.execute()
        await asyncio.wait(agent.running)
        (told,) = [line for line in caplog.records if line.levelno == logging.ERROR]
        assert told.getMessage() == f"execution_broke_off proposal_id={first}"
        assert told.exc_info is not None
        assert told.exc_info[0] is ZeroDivisionError
        assert not agent.running

"""A process that gets no more memory: nothing waits for ever, nothing is done twice."""

import asyncio
import gc
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest

from engine_bench import LEASE_SECONDS, Bench, bench, id_of, recommend
from operator_core.actions.executor import ActionExecutor
from operator_core.actions.types import ActionProposal, ActionStatus
from operator_core.db.sqlite import pace
from operator_core.errors import OperatorError
from planting import planter

_SHARES = 12
_LIFE_SECONDS = 1.0
_OPEN = (ActionStatus.VALIDATED, ActionStatus.EXECUTING)


async def _prepare(one: Bench, first_value: int) -> list[int]:
    """Store an action, one that may be sent again, and a workflow of two; return their ids."""
    executor = one.executor()
    values = iter(range(first_value, first_value + 4))
    steps = [recommend(name, value=next(values)) for name in ("act", "act_again")]
    workflow_id = await executor.propose_workflow("w", "as it says", steps)
    await executor.validate_workflow(workflow_id)
    found = [id_of(step) for step in await one.db.list_workflow_actions(workflow_id)]
    return found + [await one.validated(name, value=next(values)) for name in ("act", "act_again")]


async def _live(one: Bench, executor: ActionExecutor, ids: list[int]) -> None:
    """Execute them at the same time; errors are for those who have called."""
    first_step, _, *alone = ids
    calls = [
        executor.execute_steps(first_step, one.subject),
        *(executor.execute_proposal(each, one.subject) for each in alone),
    ]
    async with asyncio.timeout(_LIFE_SECONDS):
        await asyncio.gather(*calls, return_exceptions=True)


async def _bring_to_an_end(one: Bench, ids: list[int]) -> list[ActionProposal]:
    """Do what an agent does in its next rounds, with the same engine."""
    for _ in range(4):
        one.clock.advance(LEASE_SECONDS + 5)
        await one.executor().settle_expired(one.subject)
        for each in ids:
            if await one.status(each) in _OPEN:
                with suppress(OperatorError):
                    await one.run(each)
    return [await one.get(each) for each in ids]


# A generator that is closed is called too, and nobody hears what is raised in it then; and a
# coroutine whose caller was broken off before it could wait for it is never awaited.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("share", range(_SHARES))
async def test_nobody_waits_for_ever_and_nothing_is_done_twice(
    tmp_path: Path, share: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # By turns the loop's own thread writes, which is for quick disks, and the writer's.
    monkeypatch.setattr(pace, "QUICK_SECONDS", 60.0 if share % 2 else 0.0)
    with planter(MemoryError) as planted:
        async with bench(tmp_path) as one:
            one.subject.probe_answer = None
            executor = one.executor()
            for first in (0, 10):  # the first time more is called: statements are prepared
                ids = await _prepare(one, first)
                with planted.armed(None):
                    await _live(one, executor, ids)
            at = 1 + int(0.9 * planted.calls * share / _SHARES)
            ids = await _prepare(one, 20)
            with planted.armed(at):
                await _live(one, executor, ids)
            assert planted.where
            told = f"in call {at}, {planted.where}"
            stored = await _bring_to_an_end(one, ids)
            assert await one.control.first_broken_audit_row() is None, told
    effects = Counter(effect.value for effect in one.subject.effects)
    for row in stored:
        times = effects[row.parameters["value"]]
        assert times <= 1, told
        assert row.in_doubt or row.status is not ActionStatus.EXECUTING, told
        if row.status is ActionStatus.COMPLETED:
            assert times == 1, told
        elif not row.in_doubt:
            assert times == 0, f"{told}: {row.status}"
    gc.collect()  # what was left behind is told of here, and not in a later test

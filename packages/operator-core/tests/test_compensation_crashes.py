"""Whatever dies, wherever: what a failed workflow has done is undone, once."""

import asyncio
import shutil
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine_bench import LEASE_SECONDS, Bench, bench
from operator_core.actions.types import ActionStatus, WorkflowStatus
from operator_core.db.ledger import Ledger
from operator_core.testing.faults import CrashError, CrashingEngine
from shelves import Shelf, Step, go, shelf_of, states, tidying, undoing

S = ActionStatus
BROKEN: Step = ("put", 9)
UNDONE = [("put", 1), ("put", 2), ("take", 2), ("take", 1)]
ENOUGH = 60


async def _prepared(one: Bench) -> Shelf:
    shelf = shelf_of(one)
    shelf.refused.add(BROKEN)
    await tidying(one, ("put", 1), ("put", 2), BROKEN)
    return shelf


def _dying(one: Bench, **where: int) -> tuple[Ledger, CrashingEngine]:
    engine = CrashingEngine(one.ledger.engine, **where)
    return Ledger(engine, one.ledger.ledger_id, one.clock), engine


async def _commits_of_a_whole_life(folder: Path, *, singly: bool) -> int:
    async with bench(folder) as one:
        await _prepared(one)
        ledger, engine = _dying(one)
        await go(one, ledger=ledger, singly=singly)
        return engine.commits


@pytest.mark.timeout(30)
@pytest.mark.parametrize(("singly", "transactions"), [(True, 10), (False, 8)])
async def test_a_crash_after_any_transaction_changes_nothing_of_what_is_done(
    tmp_path: Path, transactions: int, *, singly: bool
) -> None:
    """The next process finds the work at the step where it stood."""
    whole = await _commits_of_a_whole_life(tmp_path / "whole", singly=singly)
    assert whole == transactions
    for place in range(1, whole + 1):
        async with bench(tmp_path / str(place)) as one:
            shelf = await _prepared(one)
            ledger, _ = _dying(one, after_commit=place)
            with suppress(CrashError):
                await go(one, ledger=ledger, singly=singly)
            one.clock.advance(LEASE_SECONDS + 1)
            await go(one, singly=singly)
            assert shelf.done == UNDONE, place
            assert await states(one) == [S.COMPLETED, S.COMPLETED, S.FAILED, *[S.COMPLETED] * 2]


@pytest.mark.timeout(30)
async def test_the_end_of_a_workflow_and_its_compensations_are_one_transaction(
    tmp_path: Path,
) -> None:
    for place in range(1, ENOUGH):
        async with bench(tmp_path / str(place)) as one:
            await _prepared(one)
            await one.run(1)
            await one.run(2)
            ledger, engine = _dying(one, at_statement=place)
            with suppress(CrashError):
                await one.run(3, ledger=ledger)
            (workflow,) = await one.db.list_workflows()
            ended = workflow.status is WorkflowStatus.FAILED
            assert len(await undoing(one)) == (2 if ended else 0), place
            if not engine.dead:
                assert ended
                return
    raise AssertionError("never came to the end")


# --- any workflow ------------------------------------------------------------------------


@dataclass(frozen=True)
class Story:
    """A workflow and what happens to it."""

    steps: Sequence[Step]
    fails_at: int | None
    flaky: Sequence[int]
    lost: Sequence[int]
    knows: bool
    dies_after: int | None
    cancelled: bool


stories = st.builds(
    Story,
    steps=st.lists(
        st.tuples(st.sampled_from(["put", "put", "look"]), st.integers(0, 3)), max_size=4
    ),
    fails_at=st.none() | st.integers(0, 4),
    flaky=st.lists(st.integers(0, 3), max_size=2),
    lost=st.lists(st.integers(0, 3), max_size=2),
    knows=st.booleans(),
    dies_after=st.none() | st.integers(1, 25),
    cancelled=st.booleans(),
)


@given(stories)
def test_effects_less_compensations_are_none_or_all(story: Story) -> None:
    """A workflow that completed did all; any other left nothing, once its undoing is completed."""
    folder = Path(tempfile.mkdtemp())
    try:
        asyncio.run(_live(folder, story))
    finally:
        shutil.rmtree(folder)


async def _live(folder: Path, story: Story) -> None:
    async with bench(folder, lasting=False) as one:
        shelf = _shelf_of(one, story)
        steps = list(story.steps)
        if story.fails_at is not None:
            steps.insert(story.fails_at, BROKEN)
        await tidying(one, *(steps or [("look", 0)]))
        ledger, _ = _dying(one, **({"after_commit": story.dies_after} if story.dies_after else {}))
        with suppress(CrashError):
            await go(one, ledger=ledger)
        if story.cancelled:
            await _cancel(one)
        one.clock.advance(LEASE_SECONDS + 1)
        await go(one)
        await _settle_all(one, shelf)
        await _judge(one, shelf, steps)


def _shelf_of(one: Bench, story: Story) -> Shelf:
    shelf = shelf_of(one)
    shelf.refused.add(BROKEN)
    shelf.knows = story.knows
    shelf.flaky.update(("put", value) for value in story.flaky)
    shelf.flaky.update(("take", value) for value in story.flaky)
    shelf.lost = {("put", value) for value in story.lost}
    return shelf


async def _cancel(one: Bench) -> None:
    (workflow,) = await one.db.list_workflows()
    if workflow.status in (WorkflowStatus.PENDING, WorkflowStatus.IN_PROGRESS):
        await one.db.cancel_workflow(1, cancelled_by="alice")


async def _settle_all(one: Bench, shelf: Shelf) -> None:
    """Let a person look at the shelf and settle what is in doubt, until nothing is."""
    for _ in range(10):
        doubts = [step for step in await one.db.list_workflow_actions(1) if step.in_doubt]
        if not doubts:
            return
        for step in doubts:
            (record,) = (await one.db.list_records(int(step.id or 0)))[-1:]
            happened = record.idempotency_key in shelf._keys
            await one.executions.settle_by_person(
                int(step.id or 0), happened=happened, person="alice"
            )
        await go(one)


async def _judge(one: Bench, shelf: Shelf, steps: Sequence[Step]) -> None:
    (workflow,) = await one.db.list_workflows()
    undone = await undoing(one)
    if workflow.status is WorkflowStatus.COMPLETED:
        assert undone == []
        assert shelf.done == list(steps or [("look", 0)])
    elif all(step.status is S.COMPLETED for step in undone):
        assert not shelf.things
        assert shelf.done.count(BROKEN) == 0
    else:
        left = {step.compensates_proposal_id for step in undone if step.status is not S.COMPLETED}
        assert len(left) == sum(shelf.things.values())

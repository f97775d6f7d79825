"""Life cycles and workflows, one at a time or many at once."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from time import perf_counter

from benchmarks.model import Job, Metrics, rate
from benchmarks.ours.engine import Ours, opened, recommend
from operator_core.actions.types import ActionRecord
from operator_core.agent.diagnosis import ActionRecommendation

STEPS = 3


def life_cycles(job: Job) -> Metrics:
    """Take actions from their proposal to their end, each in one go."""
    return asyncio.run(_life_cycles(job, Ours.run))


def life_cycles_by_call(job: Job) -> Metrics:
    """Take actions from their proposal to their end, each call by call."""
    return asyncio.run(_life_cycles(job, Ours.life_cycle))


def workflows(job: Job) -> Metrics:
    """Take workflows of three steps from their proposal to their end, each in one go."""
    return asyncio.run(_workflows(job, workflow))


def workflows_by_call(job: Job) -> Metrics:
    """Take workflows of three steps from their proposal to their end, each call by call."""
    return asyncio.run(_workflows(job, workflow_by_call))


async def at_once(concurrency: int, count: int, piece: Callable[[int], Awaitable[None]]) -> Metrics:
    """Do pieces of work, so many at once, and return the rate."""
    numbers = iter(range(count))
    start = perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(concurrency):
            group.create_task(_one_after_another(numbers, piece))
    return rate(count, perf_counter() - start)


async def _one_after_another(
    numbers: Iterator[int], piece: Callable[[int], Awaitable[None]]
) -> None:
    for number in numbers:
        await piece(number)


async def _life_cycles(job: Job, piece: Callable[[Ours, int], Awaitable[None]]) -> Metrics:
    async with opened(job.where) as ours:
        metrics = await at_once(job.concurrency, job.tasks, partial(piece, ours))
        await ours.require_completed(job.tasks)
        return metrics


async def _workflows(job: Job, piece: Callable[[Ours, int], Awaitable[None]]) -> Metrics:
    async with opened(job.where) as ours:
        metrics = await at_once(job.concurrency, job.tasks, partial(piece, ours))
        await ours.require_completed(job.tasks * STEPS)
        return metrics


async def workflow(ours: Ours, number: int) -> None:
    """Take one workflow from its proposal to the end of its last step, in one go."""
    run = await ours.executor.run_workflow("bench", "three steps", _steps(number), ours.subject)
    _require_done(run.workflow_id, run.records)


async def workflow_by_call(ours: Ours, number: int) -> None:
    """Take one workflow from its proposal to the end of its last step, call by call."""
    workflow_id = await ours.executor.propose_workflow("bench", "three steps", _steps(number))
    first, *_ = await ours.executor.validate_workflow(workflow_id)
    records = await ours.executor.execute_steps(int(first.id or 0), ours.subject)
    _require_done(workflow_id, records)


def _steps(number: int) -> list[ActionRecommendation]:
    return [recommend(number) for _ in range(STEPS)]


def _require_done(workflow_id: int, records: list[ActionRecord]) -> None:
    if sum(record.success is True for record in records) != STEPS:
        raise RuntimeError(f"workflow {workflow_id} did not do its {STEPS} steps")

"""Work that waits in a ledger, for those that are killed; apart, as it needs the whole engine."""

import asyncio

from benchmarks.model import Job
from benchmarks.ours.engine import Ours, opened, recommend
from benchmarks.ours.work import at_once

_AT_ONCE = 64


def prepare(job: Job) -> None:
    """Propose so many actions; the policy approves them."""
    asyncio.run(_prepare(job))


async def _prepare(job: Job) -> None:
    async with opened(job.where) as ours:
        await at_once(_AT_ONCE, job.tasks, lambda number: _propose(ours, number))


async def _propose(ours: Ours, number: int) -> None:
    proposal = await ours.executor.propose_action(recommend(number))
    await ours.validate(int(proposal.id or 0))

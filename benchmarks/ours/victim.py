"""A process that runs our agent's loop, to be killed or to take over.

Arguments: the job as JSON, whether effects hang or act, and "ask" where a person approves.
"""

import asyncio
import sys

from benchmarks.model import Job
from benchmarks.ours.agent import run_agent
from benchmarks.ours.engine import Ours, Still, opened, recommend
from benchmarks.ours.work import at_once
from benchmarks.processes import HANG, EffectFile

_AT_ONCE = 64


class Hanging(Still):
    """A subject whose effects begin and never end."""

    async def touch(self, value: int) -> None:
        """Begin."""
        await super().touch(value)
        await asyncio.Event().wait()


def prepare(job: Job) -> None:
    """Propose so many actions; the policy approves them."""
    asyncio.run(_prepare(job))


async def _prepare(job: Job) -> None:
    async with opened(job.where) as ours:
        await at_once(_AT_ONCE, job.tasks, lambda number: _propose(ours, number))


async def _propose(ours: Ours, number: int) -> None:
    proposal = await ours.executor.propose_action(recommend(number))
    await ours.validate(int(proposal.id or 0))


def main(text: str, mode: str, approval: str = "auto") -> None:
    """Run the loop until somebody ends it."""
    job = Job.from_text(text)
    effects = EffectFile(job.folder / mode)
    subject = (Hanging if mode == HANG else Still)(effects.add)
    asyncio.run(run_agent(job.where, subject, require_approval=approval == "ask"))


if __name__ == "__main__":
    main(*sys.argv[1:])

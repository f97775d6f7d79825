"""A process that runs our agent's loop, to be killed or to take over.

Arguments: the job as JSON, whether effects hang or act, and "ask" where a person approves.
"""

import asyncio
import sys

from benchmarks.model import Job
from benchmarks.ours.agent import run_agent
from benchmarks.ours.still import Still
from benchmarks.processes import HANG, EffectFile


class Hanging(Still):
    """A subject whose effects begin and never end."""

    async def touch(self, value: int) -> None:
        """Begin."""
        await super().touch(value)
        await asyncio.Event().wait()


def main(text: str, mode: str, approval: str = "auto") -> None:
    """Run the loop until somebody ends it."""
    job = Job.from_text(text)
    effects = EffectFile(job.folder / mode)
    subject = (Hanging if mode == HANG else Still)(effects.add)
    asyncio.run(run_agent(job.where, subject, require_approval=approval == "ask"))


if __name__ == "__main__":
    main(*sys.argv[1:])

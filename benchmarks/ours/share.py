"""Life cycles in one process and in two on one ledger, with as many at once in all.

As a program it is one of them. Arguments: the job as JSON. It says when it is ready, waits for
a line, and says when it is done.
"""

import asyncio
import sys
from contextlib import ExitStack
from dataclasses import replace
from time import perf_counter
from typing import IO

from benchmarks.model import Job, Metrics
from benchmarks.ours.engine import opened
from benchmarks.ours.work import at_once
from benchmarks.processes import program

_WARM_UPS = 20


def one_and_two(job: Job) -> Metrics:
    """Measure one process, then two."""
    one, two = _processes(job, 1), _processes(job, 2)
    return {"one_process_per_second": one, "two_processes_per_second": two}


def _processes(job: Job, count: int) -> float:
    part = replace(job, tasks=job.tasks // count, concurrency=job.concurrency // count)
    with ExitStack() as stack:
        sharers = [stack.enter_context(program("ours.share", part.to_text())) for _ in range(count)]
        for sharer in sharers:
            _answer(sharer.stdout)
        start = perf_counter()
        for sharer in sharers:
            _tell(sharer.stdin)
        for sharer in sharers:
            _answer(sharer.stdout)
        return part.tasks * count / (perf_counter() - start)


def _answer(stream: IO[str] | None) -> None:
    if stream is None or not stream.readline():
        raise RuntimeError("a process went away")


def _tell(stream: IO[str] | None) -> None:
    print("go", file=stream, flush=True)


def _say(word: str) -> None:
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


async def _share(job: Job) -> None:
    async with opened(job.where) as ours:
        await at_once(1, _WARM_UPS, ours.life_cycle)
        _say("ready")
        await asyncio.to_thread(sys.stdin.readline)
        await at_once(job.concurrency, job.tasks, ours.life_cycle)
        _say("done")


if __name__ == "__main__":
    asyncio.run(_share(Job.from_text(sys.argv[1])))

"""The memory of an engine that waits for work."""

import asyncio
import time
from pathlib import Path

from benchmarks.model import Job, Metrics

SETTLE_SECONDS = 1.0


def resident_mb() -> float:
    """Return how much memory this process holds, in MB."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    fields = next(line for line in lines if line.startswith("VmRSS:")).split()
    return int(fields[1]) / 1024


def ours(job: Job) -> Metrics:
    """Measure our agent's loop."""
    return asyncio.run(_ours(job))


async def _ours(job: Job) -> Metrics:
    from benchmarks.ours.agent import agent  # noqa: PLC0415 - each contender loads its own only
    from benchmarks.ours.engine import opened, recommend  # noqa: PLC0415 - as above
    from benchmarks.ours.still import Still  # noqa: PLC0415 - as above

    subject = Still()
    async with opened(job.where, subject) as engine, agent(job.where, subject):
        await engine.executor.propose_action(recommend(1))
        await asyncio.sleep(SETTLE_SECONDS)
        return {"mb": resident_mb()}


def dbos(job: Job) -> Metrics:
    """Measure DBOS with a queue."""
    from dbos import DBOS  # type: ignore[import-not-found]  # noqa: PLC0415 - as above

    from benchmarks.peers.dbos_tasks import QUEUE, launched  # noqa: PLC0415 - as above

    with launched(job):
        DBOS.register_queue(QUEUE)
        time.sleep(SETTLE_SECONDS)
        return {"mb": resident_mb()}

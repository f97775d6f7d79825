"""How soon an effect starts once it is approved: idle, under load, and across processes."""

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from time import perf_counter

from benchmarks.model import Job, Metrics
from benchmarks.ours.agent import PERSON, agent, ask_one_person
from benchmarks.ours.engine import Ours, opened, recommend
from benchmarks.ours.still import Still
from benchmarks.processes import ACT, EffectFile, program
from benchmarks.summary import percentiles
from operator_core.errors import ConflictError

LOAD_GENERATORS = 8
_LOAD_VALUES = 1_000_000
_WARM_UPS = 3
_QUIET_SECONDS = (0.02, 0.06)
_LIMIT_SECONDS = 20.0
_APART_SECONDS = 0.15
_LOOK_SECONDS = 0.005


@dataclass
class Arrivals:
    """When each effect started."""

    times: dict[int, float] = field(default_factory=dict)
    events: dict[int, asyncio.Event] = field(default_factory=dict)

    def effect(self, value: int) -> None:
        """Take note of an effect."""
        self.times[value] = perf_counter()
        self.event(value).set()

    def event(self, value: int) -> asyncio.Event:
        """Return what is set when an effect has started."""
        return self.events.setdefault(value, asyncio.Event())

    async def wait(self, value: int) -> float:
        """Return when an effect started, once it has."""
        async with asyncio.timeout(_LIMIT_SECONDS):
            await self.event(value).wait()
        return self.times[value]


def idle(job: Job) -> Metrics:
    """Measure in one process that has nothing else to do."""
    return asyncio.run(_idle(job))


def loaded(job: Job) -> Metrics:
    """Measure while others propose and have executed as fast as they can."""
    return asyncio.run(_loaded(job))


def across(job: Job) -> Metrics:
    """Measure with the agent in another process than who approves."""
    return asyncio.run(_across(job))


async def _across(job: Job) -> Metrics:
    effects = EffectFile(job.folder / ACT)
    async with opened(job.where, approval_mode=True) as ours:
        await ask_one_person(ours.db.ledger)
        with program("ours.victim", job.to_text(), ACT, "ask"):
            found = [await _across_once(ours, effects, value) for value in range(job.tasks + 1)]
    return percentiles(found[1:])


async def _across_once(ours: Ours, effects: EffectFile, value: int) -> float:
    proposal_id = await waiting_for_approval(ours, value)
    await asyncio.sleep(_APART_SECONDS)
    await ours.db.approve_proposal(proposal_id, PERSON)
    approved = time.monotonic()
    async with asyncio.timeout(_LIMIT_SECONDS):
        while len(found := effects.read()) <= value:  # noqa: ASYNC110 - of another process
            await asyncio.sleep(_LOOK_SECONDS)
    return max(0.0, found[-1].seconds - approved)


async def _idle(job: Job) -> Metrics:
    arrivals = Arrivals()
    subject = Still(arrivals.effect)
    async with opened(job.where, subject, approval_mode=True) as ours, agent(job.where, subject):
        return percentiles(await latencies(ours, arrivals, job.tasks))


async def _loaded(job: Job) -> Metrics:
    arrivals = Arrivals()
    subject = Still(arrivals.effect)
    async with opened(job.where, subject, approval_mode=True) as ours, agent(job.where, subject):
        async with _load(job, arrivals) as done:
            start = perf_counter()
            found = await latencies(ours, arrivals, job.tasks)
            seconds = perf_counter() - start
        return {**percentiles(found), "load_per_second": len(done) / seconds}


async def latencies(ours: Ours, arrivals: Arrivals, count: int) -> list[float]:
    """Return for so many actions how many seconds passed from approved to started."""
    rng = random.Random(7)
    found = []
    for value in range(count + _WARM_UPS):
        proposal_id = await waiting_for_approval(ours, value)
        await asyncio.sleep(rng.uniform(*_QUIET_SECONDS))
        await ours.db.approve_proposal(proposal_id, PERSON)
        approved = perf_counter()
        found.append(max(0.0, await arrivals.wait(value) - approved))
    arrivals.times.clear()
    arrivals.events.clear()
    return found[_WARM_UPS:]


async def waiting_for_approval(ours: Ours, value: int) -> int:
    """Propose an action and have it validated; returns its id."""
    proposal = await ours.executor.propose_action(recommend(value))
    with contextlib.suppress(ConflictError):  # the agent may be first
        await ours.validate(int(proposal.id or 0))
    return int(proposal.id or 0)


@asynccontextmanager
async def _load(job: Job, arrivals: Arrivals) -> AsyncIterator[list[int]]:
    done: list[int] = []
    async with opened(job.where, approval_mode=True) as ours:
        numbers = iter(range(_LOAD_VALUES, 2 * _LOAD_VALUES))

        async def generate() -> None:
            for number in numbers:
                await ours.db.approve_proposal(await waiting_for_approval(ours, number), PERSON)
                await arrivals.wait(number)
                done.append(number)

        tasks = [asyncio.create_task(generate()) for _ in range(LOAD_GENERATORS)]
        try:
            yield done
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

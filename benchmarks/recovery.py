"""Killed with work in flight and started again: when does the work go on?

The victim's effects begin and never end. It is killed with SIGKILL, a second process is
started at once, and every piece of work must have its effect there.
"""

import time
from collections.abc import Callable

from benchmarks.model import Job, Metrics
from benchmarks.processes import ACT, HANG, IN_FLIGHT, Effect, EffectFile, program, until


def ours(job: Job) -> Metrics:
    """Kill and restart our agent's loop."""
    from benchmarks.ours.waiting import prepare  # noqa: PLC0415 - each loads its own only

    return _killed_and_restarted(job, "ours.victim", prepare)


def dbos(job: Job) -> Metrics:
    """Kill and restart a process that runs a queue of DBOS."""
    from benchmarks.peers.dbos_victim import prepare  # noqa: PLC0415 - each loads its own only

    return _killed_and_restarted(job, "peers.dbos_victim", prepare)


def _killed_and_restarted(job: Job, module: str, prepare: Callable[[Job], None]) -> Metrics:
    prepare(job)
    begun, done = EffectFile(job.folder / HANG), EffectFile(job.folder / ACT)
    with program(module, job.to_text(), HANG) as victim:
        until(lambda: len(begun.read()) >= IN_FLIGHT)
        victim.kill()
        victim.wait()
    interrupted = {effect.value for effect in begun.read()}
    start = time.monotonic()
    with program(module, job.to_text(), ACT):
        until(lambda: len({effect.value for effect in done.read()}) == job.tasks)
    return _times(done.read(), interrupted, start)


def _times(effects: list[Effect], interrupted: set[int], start: float) -> Metrics:
    first = min(
        (effect for effect in effects if effect.value in interrupted),
        key=lambda effect: effect.seconds,
    )
    return {
        "first_action_seconds": min(effect.seconds for effect in effects) - start,
        "first_interrupted_action_seconds": first.seconds - start,
        "first_interrupted_action_processor_seconds": first.processor_seconds,
        "all_actions_seconds": max(effect.seconds for effect in effects) - start,
        "run_more_than_once": float(len(effects) - len({effect.value for effect in effects})),
    }

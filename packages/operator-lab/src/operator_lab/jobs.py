"""Plays many scenarios, in several processes at once."""

import asyncio
import logging
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from difflib import get_close_matches
from typing import NamedTuple

from operator_core.errors import ConfigurationError, RequestError
from operator_core.lab import Lab
from operator_core.logs import tell_from
from operator_core.runtime.ending import until_told
from operator_core.subject import complete
from operator_lab.grade import Marks, grade
from operator_lab.names import unknown_names
from operator_lab.play import lab_for, play
from operator_lab.scenario import OWN_KEYS, Scenario, ScenarioError
from operator_lab.words import Played


class Job(NamedTuple):
    """One play that is to be made."""

    scenario: Scenario
    seed: int | None


class Result(NamedTuple):
    """What came of a play, and its marks."""

    played: Played
    marks: Marks


def jobs_of(scenarios: Sequence[Scenario], seeds: int) -> list[Job]:
    """Return the plays to make: each scenario with its own seeds, or with the first so many.

    Args:
        scenarios: what is played.
        seeds: how many plays of a scenario that names no seeds; the first has its own seed.
    """
    return [Job(one, seed) for one in scenarios for seed in _seeds(one, seeds)]


def _seeds(scenario: Scenario, plays: int) -> Sequence[int | None]:
    own: list[int | None] = [None]  # the cluster's own
    own += range(1, plays)
    return scenario.seeds or own


def check_all(scenarios: Sequence[Scenario]) -> Iterator[tuple[Scenario, list[str]]]:
    """Check each scenario; yield it with the names that say nothing in it.

    Raises:
        ScenarioError: one cannot be played, or cannot end rightly; names its file.
    """
    labs: dict[str, Lab] = {}  # to find a plugin reads the metadata of every package
    for one in scenarios:
        yield one, check(one, labs)


def check(scenario: Scenario, labs: dict[str, Lab] | None = None) -> list[str]:
    """See that a scenario can be built and can end rightly; return names that say nothing in it.

    Args:
        scenario: what is to be played.
        labs: those that were found before, by their plugin; one that is found is added.

    Raises:
        ScenarioError: it cannot or does not, or nothing would happen in its time; names the file.
    """
    known = {} if labs is None else labs
    try:
        lab = known.get(scenario.subject) or lab_for(scenario)
        known[scenario.subject] = lab
        cluster = lab.build({**scenario.table, "duration": scenario.duration}, None)
    except ScenarioError:
        raise
    except (ConfigurationError, RequestError) as error:
        raise ScenarioError(f"{scenario.file}: {error}{_meant(scenario)}") from error
    if min(cluster.fault_seconds, default=0.0) >= scenario.duration:
        words = f"its first fault comes after its end, which is at {scenario.duration:g} s"
        raise ScenarioError(f"{scenario.file}: {words}.")
    _require_problem(scenario)
    subject = complete(cluster.catalogue())
    needed, idle = unknown_names(scenario.expect, subject, cluster.targets())
    if needed:
        raise ScenarioError(f"{scenario.file}: expect: there is {'; '.join(needed)}")
    return idle


def _meant(scenario: Scenario) -> str:
    """Return which of the lab's own keys somebody may have meant who wrote one of no plugin."""
    near = {key: get_close_matches(key, OWN_KEYS, n=1, cutoff=0.7) for key in scenario.table}
    told = [f"; or did you mean {names[0]!r} by {key!r}?" for key, names in near.items() if names]
    return "".join(told)


def _require_problem(scenario: Scenario) -> None:
    """See that something is expected where the end is one of a problem.

    Raises:
        ScenarioError: nothing is, so whatever came would be right; names the file.
    """
    expect = scenario.expect
    says = expect.tickets or expect.also or expect.actions or expect.never
    if expect.ends in {"healthy", "escalated"} and not says:
        raise ScenarioError(
            f'{scenario.file}: expect: ends = "{expect.ends}" is the end of a problem, and none is '
            "named: name in [expect.tickets] what must be seen, or let it end "
            '"quiet" (nothing is wrong) or "unseen" (no rule sees it)'
        )


async def _played(job: Job) -> Played:
    """Play; the first interrupt ends it, and another leaves it the time to tidy up.

    Raises:
        KeyboardInterrupt: it was interrupted, and has tidied up.
    """
    played = await until_told(play(job.scenario, job.seed), signal.SIGINT)
    if isinstance(played, signal.Signals):
        raise KeyboardInterrupt
    return played


def run_job(job: Job) -> Result:
    """Play and mark one scenario; where the lab itself fails, that is the result."""
    try:
        played = asyncio.run(_played(job))
    except Exception as error:  # noqa: BLE001 - whatever breaks must not end the other plays
        text = f"{type(error).__name__}: {error}"
        played = Played(scenario=job.scenario.name, set=job.scenario.set, seed=job.seed, error=text)
    return Result(played, grade(job.scenario, played))


def _begin_process() -> None:
    """Tell nothing of what is only played; let SIGTERM, and the parent's end, end it as SIGINT."""
    tell_from(logging.CRITICAL)
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGINT)


def _run_in_process(job: Job) -> Result:
    """Play; who is interrupted ends what the play started, and takes no other job."""
    try:
        return run_job(job)
    except KeyboardInterrupt:
        os._exit(128 + signal.SIGINT)  # an exception would only let the pool hand out the next


def in_turn(jobs: Sequence[Job]) -> list[int]:
    """Return the places of jobs in the order in which to begin them: most looks first.

    A long play that begins last would leave all processes but one with nothing to do.
    """
    looks = [one.scenario.duration / one.scenario.expect.look_seconds for one in jobs]
    return sorted(range(len(jobs)), key=lambda place: -looks[place])


def run_jobs(
    jobs: Sequence[Job], processes: int, tell: Callable[[Result], None] = lambda _: None
) -> list[Result]:
    """Return the results of all plays, in the order of the jobs.

    Args:
        jobs: what is played.
        processes: how many at once.
        tell: told of each as it ends.
    """
    found: dict[int, Result] = {}
    # A new interpreter for each: a fork of one that runs threads and a loop may hang.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, context, _begin_process) as pool:
        waiting = {pool.submit(_run_in_process, jobs[place]): place for place in in_turn(jobs)}
        for done in as_completed(waiting):
            found[waiting[done]] = done.result()
            tell(found[waiting[done]])
    return [found[place] for place in range(len(jobs))]

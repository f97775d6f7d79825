"""Where the time of our engine goes, in the event loop and in each thread of the ledger.

Two runs of the same work: one undisturbed, for the processor time of each thread, and one under
a profiler, for the functions. The profiler slows Python code down and not the disk, so only the
order of its list means something.
"""

import cProfile
import io
import pstats
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter, thread_time
from unittest.mock import patch

from benchmarks.model import Case, Job, Metrics

LOOP = "event loop"
SHOWN = 25

Work = Callable[[Job], Metrics]


@dataclass
class Threads:
    """What was measured in each thread."""

    seconds: dict[str, float] = field(default_factory=dict)
    profiles: dict[str, cProfile.Profile] = field(default_factory=dict)


def report(case: Case, work: Work, tasks: int, folder: Path) -> str:
    """Return where the time of a case goes."""
    out = io.StringIO()
    _times(case, work, tasks, folder, out)
    threads = Threads()
    with _watched(threads, profiled=True):
        _run_here(threads, work, _job(case, tasks, folder), profiled=True)
    for name, profile in threads.profiles.items():
        print(f"\n--- {name}: {case.key}, by own time, then with what it calls", file=out)
        stats = pstats.Stats(profile, stream=out)
        stats.strip_dirs().sort_stats("tottime").print_stats(SHOWN)
        stats.sort_stats("cumulative").print_stats(SHOWN)
    return out.getvalue()


def _times(case: Case, work: Work, tasks: int, folder: Path, out: io.StringIO) -> None:
    threads = Threads()
    start = perf_counter()
    with _watched(threads, profiled=False):
        metrics = _run_here(threads, work, _job(case, tasks, folder), profiled=False)
    wall = perf_counter() - start
    print(f"{case.key}: {metrics['per_second']:.0f}/s, {tasks} of them in {wall:.2f} s", file=out)
    for name, seconds in threads.seconds.items():
        each = seconds / tasks * 1e6
        print(f"  {name}: {seconds:.2f} s of processor time, {each:.0f} µs each", file=out)
    print(f"  wall: {wall / tasks * 1e6:.0f} µs each", file=out)


def _job(case: Case, tasks: int, folder: Path) -> Job:
    own = Path(tempfile.mkdtemp(dir=folder))
    return Job(own, tasks, case.concurrency, options=case.options)


def _run_here(threads: Threads, work: Work, job: Job, *, profiled: bool) -> Metrics:
    found: list[Metrics] = []
    _measured(threads, LOOP, lambda: found.append(work(job)), profiled=profiled)
    return found[0]


def _measured(threads: Threads, name: str, call: Callable[[], object], *, profiled: bool) -> None:
    start = thread_time()
    if profiled:
        profile = threads.profiles.setdefault(name, cProfile.Profile())
        profile.runcall(call)
    else:
        call()
    threads.seconds[name] = threads.seconds.get(name, 0.0) + thread_time() - start


@contextmanager
def _watched(threads: Threads, *, profiled: bool) -> Iterator[None]:
    """Measure every thread that is started meanwhile."""
    original = threading.Thread.run

    def run(thread: threading.Thread) -> None:
        _measured(threads, thread.name, lambda: original(thread), profiled=profiled)

    with patch.object(threading.Thread, "run", run):
        yield

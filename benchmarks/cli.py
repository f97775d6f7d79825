"""The command line of the benchmarks."""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks import rounds
from benchmarks.catalogue import CASES, LIMITS
from benchmarks.child import work_of
from benchmarks.machine import described, versions
from benchmarks.model import Case
from benchmarks.profiling import report
from benchmarks.results import LATEST, Results, write_document

OURS, PEERS = "ours", "peers"
ROUNDS, QUICK_ROUNDS = 3, 1


def main(arguments: Sequence[str]) -> int:
    """Run what the arguments ask for; returns the exit code."""
    options = _parser().parse_args(arguments)
    cases = chosen(options.only)
    if options.list:
        _say("\n".join(case.key for case in cases))
        return 0
    if options.profile:
        return _profile([case for case in cases if case.profiled], options)
    results = Results.load(options.json) if options.show else _run(cases, options, arguments)
    _say(f"\n{results.as_text()}")
    if options.write_docs:
        write_document(results)
    return 0


def _run(cases: Sequence[Case], options: argparse.Namespace, arguments: Sequence[str]) -> Results:
    count = options.rounds or (QUICK_ROUNDS if options.quick else ROUNDS)
    plan = rounds.Plan(cases, rounds=count, quick=options.quick, tasks=options.tasks, tell=_say)
    samples = rounds.run(plan)
    results = Results(
        command=" ".join(["benchmarks/run.py", *arguments]),
        rounds=count,
        machine=described(rounds.SCRATCH),
        versions=dict(versions()),
        samples=samples.metrics,
        left_out=samples.left_out,
    )
    if options.save:
        results.save(options.json)
    return results


def chosen(only: str) -> list[Case]:
    """Return the cases that a filter lets through.

    Args:
        only: words divided by commas; a case has one of them in its key. ``ours`` means all
            of our own with the limits of the disk, ``peers`` all others.
    """
    words = [word.strip() for word in only.split(",") if word.strip()]
    return [case for case in CASES if not words or any(_fits(case, word) for word in words)]


def _fits(case: Case, word: str) -> bool:
    if word == OURS:
        return case.is_our_engine or case.measure == LIMITS
    if word == PEERS:
        return not case.is_our_engine
    return word in case.key


def _profile(cases: Sequence[Case], options: argparse.Namespace) -> int:
    for case in cases:
        if case.needs_postgres:
            continue  # what is slow there runs in another process
        tasks = options.tasks or case.quick_tasks
        rounds.SCRATCH.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=rounds.SCRATCH) as folder:
            _say(report(case, work_of(case.work), tasks, Path(folder)))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="benchmarks/run.py", description=__doc__)
    add = parser.add_argument
    add("--only", default="", help="ours, peers, or parts of names divided by commas")
    add("--quick", action="store_true", help="small sizes")
    add("--rounds", type=int, help="how often each case is measured (3, quick 1)")
    add("--tasks", type=int, help="pieces of work of every case, instead of its own size")
    add("--profile", action="store_true", help="show where our engine's time goes, by thread")
    add("--json", type=Path, default=LATEST, help="the file of results (results/latest.json)")
    add("--save", action="store_true", help="write that file")
    add("--show", action="store_true", help="run nothing: show that file")
    add("--write-docs", action="store_true", help="put the tables into docs/performance.md")
    add("--list", action="store_true", help="list the cases and run none")
    return parser


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - this is a command line
    sys.stdout.flush()

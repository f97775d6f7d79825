"""``python -m operator_core.testing.crash``: run the crash test and print its table."""

import argparse
import asyncio
import signal
import sys
from contextlib import AsyncExitStack
from pathlib import Path

from operator_core.clock import monotonic_seconds
from operator_core.testing.crash import flaws, table
from operator_core.testing.crash.campaign import Campaign, Extent, cases, sample
from operator_core.testing.crash.judge import Tally
from operator_core.testing.crash.places import SETTINGS, Databases, Files, Place
from operator_core.testing.crash.points import World
from operator_core.testing.crash.processes import Nursery
from operator_core.testing.postgres import PostgresServer

_PROGRESS_RUNS = 100
_INTERRUPTED = 130


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="crash-test", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="one run for each crash point and engine"
    )
    parser.add_argument("--seeds", type=int, default=2, help="seeds of each crash point")
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--only", default="", help="only crash points whose name has this in it")
    parser.add_argument("--engine", action="append", choices=["sqlite", "postgres"])
    parser.add_argument("--world", action="append", choices=[one.value for one in World])
    parser.add_argument("--processes", action="append", type=int, choices=range(1, 10))
    parser.add_argument("--flaw", default="", choices=["", *flaws.NAMES])
    parser.add_argument("--at-once", type=int, default=10, help="runs at a time")
    parser.add_argument("--keep", type=Path, default=Path(".cache/crash-test"))
    return parser.parse_args()


def extent_of(chosen: argparse.Namespace) -> Extent:
    """Return how much is to be run."""
    first = chosen.first_seed
    return Extent(
        seeds=range(first, first + chosen.seeds),
        processes=chosen.processes or (1, 3),
        worlds=[World(name) for name in chosen.world or World],
        chosen=lambda blow: chosen.only in str(blow),
        flaw=chosen.flaw,
    )


async def main(chosen: argparse.Namespace) -> int:
    """Run everything; return 0 where nothing is wrong."""
    _stop_when_asked()
    began = monotonic_seconds()
    engines = chosen.engine or ["sqlite", "postgres"]
    planned = sample() if chosen.quick else list(cases(extent_of(chosen)))
    if not planned:
        _say("Nothing is chosen. Leave out --only or give it a part of a crash point's name.")
        return 1
    async with AsyncExitStack() as stack:
        places: list[Place] = [Files()] if "sqlite" in engines else []
        if "postgres" in engines:
            databases = Databases(stack.enter_context(PostgresServer(SETTINGS)))
            await databases.prepare()
            places.append(databases)
        nursery = await stack.enter_async_context(Nursery())
        progress = _Progress(len(planned) * len(engines))
        campaign = Campaign(places, nursery, chosen.at_once, chosen.keep, progress.tell)
        tally = await campaign.run(planned)
    _say("\n".join(table.lines(campaign.tallies)))
    seconds = monotonic_seconds() - began
    _say(f"\n{tally.runs} runs in {seconds:.0f} s, {len(tally.faults)} faults")
    return 1 if tally.faults else 0


def _stop_when_asked() -> None:
    """Let SIGTERM end it as SIGINT does: with its server and its processes."""
    running = asyncio.current_task()
    if running is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, running.cancel)


class _Progress:
    """Says now and then how far it is, and at once what is wrong."""

    def __init__(self, runs: int) -> None:
        self._runs = runs
        self._ended = 0

    def tell(self, tally: Tally) -> None:
        """Take note of a run that has ended."""
        self._ended += tally.runs
        for fault in tally.faults:
            _say(f"WRONG {fault}")
        if self._ended % _PROGRESS_RUNS == 0:
            _say(f"{self._ended} of {self._runs} runs")


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def run() -> int:
    """Run what the command line says; return the exit code."""
    try:
        return asyncio.run(main(arguments()))
    except (KeyboardInterrupt, asyncio.CancelledError):
        _say("Interrupted: nothing is proven.")
        return _INTERRUPTED


if __name__ == "__main__":
    sys.exit(run())

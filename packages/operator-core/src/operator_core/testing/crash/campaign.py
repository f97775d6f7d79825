"""All runs: every blow in every world on every engine, for some seeds, several at a time."""

import asyncio
import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from operator_core.testing.crash.driver import Case, run
from operator_core.testing.crash.judge import Tally, tally_of
from operator_core.testing.crash.places import Place
from operator_core.testing.crash.points import (
    EVERYWHERE,
    Blow,
    World,
    blows,
    is_out_of_reach,
    points,
)
from operator_core.testing.crash.processes import Nursery

_PROCESSES = (1, 3)

Key = tuple[Blow | None, str]
"""What a line of the table is about: a blow and the name of an engine."""


@dataclass(frozen=True)
class Extent:
    """How much is run.

    Attributes:
        seeds: the seeds of each blow.
        processes: numbers of processes.
        worlds: the worlds.
        chosen: says which blows are run.
        flaw: what is broken on purpose.
    """

    seeds: Sequence[int]
    processes: Sequence[int] = _PROCESSES
    worlds: Sequence[World] = tuple(World)
    chosen: Callable[[Blow], bool] = field(default=lambda _: True)
    flaw: str = ""


def cases(extent: Extent) -> Iterator[Case]:
    """Yield the runs of an extent."""
    for blow in filter(extent.chosen, blows()):
        for world in extent.worlds:
            if is_out_of_reach(blow, world):
                continue
            for processes in extent.processes:
                for seed in extent.seeds:
                    yield Case(blow, world, processes, seed, extent.flaw)


def sample() -> list[Case]:
    """Return a run for each crash point; faults, worlds and numbers of processes take turns."""
    return [
        Case(
            blow=(blow := Blow(point, EVERYWHERE[number % len(EVERYWHERE)])),
            world=_world(blow, number // len(EVERYWHERE)),
            processes=_PROCESSES[number // 2 % len(_PROCESSES)],
            seed=number,
        )
        for number, point in enumerate(points())
    ]


def _world(blow: Blow, turn: int) -> World:
    worlds = [world for world in World if not is_out_of_reach(blow, world)]
    return worlds[turn % len(worlds)]


@dataclass
class Campaign:
    """Runs cases and keeps what came of them.

    Attributes:
        places: the engines.
        nursery: starts the workers.
        at_once: how many runs there are at a time.
        keep: where the folders of runs with faults stay.
        on_end: told after each run.
        tallies: what came of them, by blow and engine.
    """

    places: Sequence[Place]
    nursery: Nursery
    at_once: int
    keep: Path
    on_end: Callable[[Tally], None] = field(default=lambda _: None)
    tallies: dict[Key, Tally] = field(default_factory=dict)

    async def run(self, planned: Sequence[Case]) -> Tally:
        """Run cases on every engine and return all of it together."""
        queue = [(case, place) for case in planned for place in self.places]
        waiting = iter(queue)
        async with asyncio.TaskGroup() as group:
            for _ in range(self.at_once):
                group.create_task(self._one_after_the_other(waiting))
        return sum(self.tallies.values(), start=Tally())

    async def _one_after_the_other(self, waiting: Iterator[tuple[Case, Place]]) -> None:
        for case, place in waiting:
            tally = await self._run(case, place)
            key = (case.blow, place.name)
            self.tallies[key] = self.tallies.get(key, Tally()) + tally
            self.on_end(tally)

    async def _run(self, case: Case, place: Place) -> Tally:
        with tempfile.TemporaryDirectory(prefix="crash-") as name:
            folder = Path(name)
            tally = tally_of(await run(case, place, self.nursery, folder))
            if tally.faults:
                self._keep(folder, f"{case.name}-{place.name}", tally)
        tally.seeds = frozenset({case.seed})
        tally.faults = [f"{case.name} on {place.name}: {one}" for one in tally.faults]
        return tally

    def _keep(self, folder: Path, name: str, tally: Tally) -> None:
        kept = self.keep / name
        kept.mkdir(parents=True, exist_ok=True)
        (kept / "faults.json").write_text(json.dumps(tally.faults, indent=1), encoding="utf-8")
        for file in folder.iterdir():
            (kept / file.name).write_bytes(file.read_bytes())

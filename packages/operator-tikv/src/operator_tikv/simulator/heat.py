"""Which regions PD holds for hot, and since how many reports: a function of the load."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from operator_tikv.simulator.heartbeats import region_phase
from operator_tikv.simulator.load import sharing

if TYPE_CHECKING:
    from operator_tikv.simulator.model import Region
    from operator_tikv.simulator.world import World

WRITE: Final = "write"
READ: Final = "read"
REPORT_SECONDS: Final = {WRITE: 60.0, READ: 10.0}
"""How often PD hears of the flow: of writes with region heartbeats, of reads with the stores'."""

LEAST_BYTES_PER_SECOND: Final = {WRITE: 1024.0, READ: 8192.0}
WEIGHT_FACTOR: Final = 3.0
"""A region whose own share of the usual load is this many times the average is hot as well."""


class Heat(NamedTuple):
    """What hot ranges of keys give one region, in bytes a second, and since when PD hears of it."""

    written: float = 0.0
    read: float = 0.0
    since_seconds: float = 0.0

    def rate(self, kind: str) -> float:
        """The flow of one kind, in bytes a second."""
        return self.written if kind == WRITE else self.read


def heat_by_region(world: World) -> dict[int, Heat]:
    """The regions in hot ranges of keys; a new PD leader begins to count anew."""
    found: dict[int, Heat] = {}
    for hot in world.load.hot.values():
        regions = sharing(world, hot)
        since = max(hot.since_seconds, world.pd.loaded_at_seconds)
        for region_id in regions:
            old = found.get(region_id, Heat(since_seconds=since))
            found[region_id] = Heat(
                old.written + hot.write_bytes_per_second / len(regions),
                old.read + hot.read_bytes_per_second / len(regions),
                min(old.since_seconds, since),
            )
    return found


def degree(world: World, region_id: int, heat: Heat | None, kind: str) -> int:
    """How many reports in a row have shown a region as hot; PD acts from three on."""
    since_seconds = world.pd.loaded_at_seconds
    if heat is not None and heat.rate(kind) >= LEAST_BYTES_PER_SECOND[kind]:
        since_seconds = heat.since_seconds
    every, phase = REPORT_SECONDS[kind], region_phase(region_id)
    return int((world.now_seconds - phase) // every - (since_seconds - phase) // every)


def is_heavy(world: World, region: Region) -> bool:
    """Whether a region has several times its share of the usual load."""
    average = world.load.total_weight / max(1, len(world.raft))
    return region.weight > WEIGHT_FACTOR * average


def hot_region_ids(world: World) -> frozenset[int]:
    """The regions in hot ranges that PD holds for hot by now; balance leaves them alone."""
    if not world.load.hot:
        return frozenset()
    least = world.pd.config.number("hot-region-cache-hits-threshold")
    return frozenset(
        region_id
        for region_id, heat in heat_by_region(world).items()
        for kind in (WRITE, READ)
        if heat.rate(kind) >= LEAST_BYTES_PER_SECOND[kind]
        and degree(world, region_id, heat, kind) >= least
    )

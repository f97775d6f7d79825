"""TiKV splits by itself what is read too much, where a key parts the reads evenly.

Only bytes are compared: the model has no single queries whose number would say more.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from operator_tikv.simulator import raft, ranges
from operator_tikv.simulator.load import read_rate, sharing
from operator_tikv.simulator.units import MIB

if TYPE_CHECKING:
    from operator_tikv.simulator.model import Region
    from operator_tikv.simulator.world import HotRange, World

EVENT: Final = "load.detect"
DETECT_SECONDS: Final = 10.0
"""`split.detect-times` (10), one each second: so long a region must be read that much."""

MOST_BYTES_PER_SECOND: Final = 30.0 * MIB
"""`split.byte-threshold`; writes split nothing."""


def add_hot_range(world: World, number: int, hot: HotRange) -> None:
    """Let keys be hot; while they are read, the regions that hold them are looked at."""
    world.load.hot[number] = hot
    if hot.read_bytes_per_second and not hot.is_scanned:
        world.schedule(DETECT_SECONDS, EVENT, number, _mark(hot))


def on_detect(world: World, args: tuple[int, ...]) -> None:
    """Split the regions that have been read too much for ten seconds."""
    number, mark = args
    hot = world.load.hot.get(number)
    if hot is None or _mark(hot) != mark:
        return
    world.schedule(DETECT_SECONDS, EVENT, number, mark)
    for region_id in sharing(world, hot):
        region = world.raft.get(region_id)
        if region is not None and read_rate(world, region) >= MOST_BYTES_PER_SECOND:
            _split(world, region, hot)


def _mark(hot: HotRange) -> int:
    """Tell one hot range from a later one of the same number."""
    return int(hot.since_seconds * 1000)


def _split(world: World, region: Region, hot: HotRange) -> None:
    key = _even_key(region, hot)
    if not key or not raft.is_led(world, region):
        return
    node, region_id = f"store-{region.leader_store_id}", region.region_id
    world.log(node, "INFO", "load base split region", region_id=region_id)
    ranges.split(world, region_id, (key,))


def _even_key(region: Region, hot: HotRange) -> str:
    """The key with as many reads on its left as on its right; a single hot key has none."""
    if hot.start_key == hot.end_key:
        return ""
    ends = [key for key in (region.end_key, hot.end_key) if key]
    start_key = max(region.start_key, hot.start_key)
    return ranges.middle_key(replace(region, start_key=start_key, end_key=min(ends, default="")))

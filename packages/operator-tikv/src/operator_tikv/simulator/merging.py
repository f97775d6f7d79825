"""PD's merge checker: two small neighbours become one, an hour after a split or a new leader."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from operator_tikv.simulator import builder, failover, heat, operators, wishes
from operator_tikv.simulator.region_status import regions_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from operator_tikv.simulator.model import Region
    from operator_tikv.simulator.world import World

CHECK_SECONDS: Final = 10.0
TARGET_LIMIT_MIB: Final = 256
"""A merge that makes a region this big would only be split again."""

_KINDS: Final = ("merge",)
_NAME: Final = "merge-region"


def on_check(world: World, args: tuple[int, ...]) -> None:
    """Merge as many small regions as the limit lets run at once."""
    del args
    world.schedule(CHECK_SECONDS, "checker.merge")
    if not _may_merge(world):
        return
    free = int(world.pd.config.number("merge-schedule-limit"))
    free -= operators.running_of_kind(world, _KINDS[0])
    for source in regions_of(world, "undersized-region"):
        if free <= 0:
            return
        if _merge(world, source):
            free -= 2  # one operator each for the source and for the target


def _may_merge(world: World) -> bool:
    pd = world.pd
    paused = pd.paused_checkers.get("merge", 0.0) > world.now_seconds
    ready = pd.has_leader and failover.is_prepared(world) and not paused
    if not ready or pd.config.enabled("halt-scheduling"):
        return False
    return _is_old(world, pd.loaded_at_seconds)


def _is_old(world: World, since_seconds: float) -> bool:
    age_seconds = world.now_seconds - since_seconds
    return age_seconds >= world.pd.config.seconds("split-merge-interval")


def _merge(world: World, source: Region) -> bool:
    if not _is_free(world, source) or source.region_id in heat.hot_region_ids(world):
        return False
    for target in _neighbours(world, source):
        if not _is_free(world, target) or source.size_mib + target.size_mib >= TARGET_LIMIT_MIB:
            continue
        try:
            active, passive = wishes.plan_merge(world, source, target)
        except builder.RefusedError:
            continue
        for region, plan in ((target, passive), (source, active)):
            operators.submit(world, region, replace(plan, description=_NAME, kinds=_KINDS))
        return True
    return False


def _is_free(world: World, region: Region) -> bool:
    split_seconds = world.pd.split_seconds.get(region.region_id)
    is_settled = split_seconds is None or _is_old(world, split_seconds)
    return is_settled and region.region_id not in world.pd.operators


def _neighbours(world: World, region: Region) -> Iterator[Region]:
    """The regions on both sides, the smaller one first."""
    regions = world.pd.regions
    sides = (
        regions.containing(region.end_key) if region.end_key else None,
        regions.ending_at(region.start_key) if region.start_key else None,
    )
    yield from sorted(filter(None, sides), key=lambda one: (one.size_mib, one.region_id))

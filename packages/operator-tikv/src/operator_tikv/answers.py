"""Everything that PD is asked at one look, in one go."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from operator_core.types import JsonObject
from operator_tikv import facts, reads
from operator_tikv.pd.api import PdApi
from operator_tikv.pd.operators import OperatorText
from operator_tikv.pd.types import Regions, StoreInfo
from operator_tikv.reads import PdState, Reading
from operator_tikv.watched import (
    HotRegions,
    RegionLabelRules,
    Rules,
    SafePoints,
    WatchedReplicate,
    WatchedSchedule,
)

_Value = TypeVar("_Value")


@dataclass(frozen=True)
class Answers:
    """Everything that PD was asked at one look."""

    stores: Reading[tuple[list[StoreInfo], datetime | None]]
    schedulers: Reading[JsonObject]
    schedule: Reading[WatchedSchedule]
    replicate: Reading[WatchedReplicate]
    rules: Reading[tuple[Rules, RegionLabelRules]]
    safe_points: Reading[SafePoints]
    tombstones: Reading[list[int]]
    progress: Reading[JsonObject]
    checks: dict[str, Reading[Regions]]
    operators: Reading[list[OperatorText]]
    hotspots: Reading[dict[str, HotRegions | None]]
    pd: Reading[PdState]
    region_count: Reading[int]

    @property
    def known_stores(self) -> list[StoreInfo]:
        """The stores; none where they could not be read."""
        return self.stores.value[0] if self.stores.value else []

    @property
    def pd_time(self) -> datetime | None:
        """What PD's clock shows."""
        stores, date = self.stores.value or ([], None)
        return facts.pd_time(stores, date)


async def ask_pd(api: PdApi) -> Answers:
    """Ask all questions at once; one that fails leaves the others their answers."""

    def ask(question: Coroutine[object, object, _Value]) -> asyncio.Task[Reading[_Value]]:
        return group.create_task(reads.read(question))

    async with asyncio.TaskGroup() as group:
        stores = ask(api.stores())
        schedulers = ask(reads.schedulers(api))
        schedule = ask(reads.schedule(api))
        replicate = ask(reads.replicate(api))
        rules = ask(reads.rules(api))
        safe_points = ask(reads.safe_points(api))
        tombstones = ask(reads.tombstones(api))
        progress = ask(reads.progress(api))
        operators = ask(api.operators())
        hotspots = ask(reads.hotspots(api))
        pd = ask(reads.pd_state(api))
        count = ask(api.region_count())
        checks = group.create_task(reads.checks(api))
    return Answers(
        stores=stores.result(),
        schedulers=schedulers.result(),
        schedule=schedule.result(),
        replicate=replicate.result(),
        rules=rules.result(),
        safe_points=safe_points.result(),
        tombstones=tombstones.result(),
        progress=progress.result(),
        checks=checks.result(),
        operators=operators.result(),
        hotspots=hotspots.result(),
        pd=pd.result(),
        region_count=count.result(),
    )

"""What is asked of PD, by name: typed reads, and the effects that the actions need."""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from pydantic import JsonValue

from operator_tikv.pd.client import PdClient
from operator_tikv.pd.errors import PdAnswerError, PdRefusalError
from operator_tikv.pd.operators import OperatorStatus, OperatorText, read_operator, read_status
from operator_tikv.pd.parse import fit
from operator_tikv.pd.types import (
    EvictConfig,
    Member,
    Members,
    RegionInfo,
    Regions,
    ReplicateConfig,
    ScheduleConfig,
    StoreInfo,
    Stores,
)

EVICT_LEADER: Final = "evict-leader-scheduler"
BALANCE_LEADER: Final = "balance-leader-scheduler"
_NOT_FOUND: Final = 404
_NOBODY_EVICTS: Final = ("404 page not found", "not found", "null", "ErrScheduleConfigNotExist")
_EVICT_OF_ONE_STORE: Final = re.compile(rf"^{EVICT_LEADER}-(\d+)$")


class PdApi:
    """One PD cluster, asked by name.

    Every read raises `SubjectUnreachableError`, `PdRefusalError` or `PdAnswerError`.

    Args:
        client: the HTTP client.
    """

    def __init__(self, client: PdClient) -> None:
        self.client = client

    # --- stores and regions -----------------------------------------------------------

    async def stores(self) -> tuple[list[StoreInfo], datetime | None]:
        """Return the stores that are not tombstones, and PD's present time if it says it."""
        answer = await self.client.get("/stores")
        stores = fit(Stores, answer.value, "GET /stores").stores
        return sorted(stores, key=lambda store: store.id), answer.date

    async def region(self, region_id: int) -> RegionInfo | None:
        """Return a region; None where PD does not know it (it answers 200 all the same)."""
        path = f"/region/id/{region_id}"
        value = (await self.client.get(path)).value
        region = fit(RegionInfo, value, f"GET {path}") if value is not None else None
        return region if region and region.id else None

    async def region_count(self) -> int:
        """Return how many regions there are."""
        return (await self._regions("/regions/count")).count

    async def regions(self) -> list[RegionInfo]:
        """Return all regions; for small clusters only."""
        return (await self._regions("/regions")).regions

    async def regions_led_by(self, store_id: int) -> list[RegionInfo]:
        """Return the regions whose leader is on a store."""
        regions = (await self._regions(f"/regions/store/{store_id}")).regions
        return [region for region in regions if region.leader_store_id == store_id]

    async def check(self, kind: str) -> Regions:
        """Return the regions that one of PD's checks lists (`miss-peer`, `down-peer`, …)."""
        return await self._regions(f"/regions/check/{kind}")

    async def _regions(self, path: str) -> Regions:
        return fit(Regions, (await self.client.get(path)).value, f"GET {path}")

    # --- schedulers, operators --------------------------------------------------------

    async def schedulers(self, status: str | None = None) -> list[str]:
        """Return the names of the schedulers, or of those of a status such as `paused`."""
        params = {"status": status} if status else None
        value = (await self.client.get("/schedulers", params)).value
        return sorted(_texts(value, "GET /schedulers"))

    async def evicted_store_ids(self, schedulers: Sequence[str]) -> list[int]:
        """Return the stores whose leaders are being evicted.

        Args:
            schedulers: names of the schedulers; old releases have one for each store.
        """
        found = {int(match[1]) for name in schedulers if (match := _EVICT_OF_ONE_STORE.match(name))}
        path = f"/scheduler-config/{EVICT_LEADER}/list"
        try:
            value = (await self.client.get(path)).value
        except PdRefusalError as error:
            if error.status == _NOT_FOUND:
                return sorted(found)
            raise
        return sorted(found | set(fit(EvictConfig, value, f"GET {path}").stores))

    async def operators(self) -> list[OperatorText]:
        """Return the operators that PD is working on."""
        value = (await self.client.get("/operators")).value
        return [read_operator(text) for text in _texts(value, "GET /operators")]

    async def operator_status(self, region_id: int) -> OperatorStatus:
        """Return what became of the last operator on a region."""
        try:
            value = (await self.client.get(f"/operators/{region_id}")).value
        except PdRefusalError as error:
            if "not found" in error.reason:
                return OperatorStatus.NONE
            raise
        return read_status(value) if isinstance(value, str) else OperatorStatus.OTHER

    # --- configuration, members -------------------------------------------------------

    async def schedule_config(self) -> ScheduleConfig:
        """Return the schedule configuration."""
        path = "/config/schedule"
        return fit(ScheduleConfig, (await self.client.get(path)).value, f"GET {path}")

    async def replicate_config(self) -> ReplicateConfig:
        """Return the replication configuration."""
        path = "/config/replicate"
        return fit(ReplicateConfig, (await self.client.get(path)).value, f"GET {path}")

    async def members(self) -> Members:
        """Return the members of PD and its leader."""
        return fit(Members, (await self.client.get("/members")).value, "GET /members")

    async def health(self) -> list[Member]:
        """Return the members with their health, as any member sees it."""
        value = (await self.client.get("/health")).value
        return fit(Members, {"members": value}, "GET /health").members

    # --- effects ----------------------------------------------------------------------

    async def add_operator(self, name: str, **fields: int) -> None:
        """Queue an operator; PD's 200 means queued and nothing more."""
        await self.client.send("POST", "/operators", {"name": name, **fields})

    async def evict_leaders(self, store_id: int) -> None:
        """Begin to evict a store's leaders; harmless where it is done already."""
        await self.client.send("POST", "/schedulers", {"name": EVICT_LEADER, "store_id": store_id})

    async def stop_evicting(self, store_id: int) -> None:
        """End evicting a store's leaders; harmless where nobody does."""
        path = f"/schedulers/{EVICT_LEADER}-{store_id}"
        await self.client.send("DELETE", path, done_when=_NOBODY_EVICTS)

    async def pause_scheduler(self, name: str, seconds: int) -> None:
        """Keep a scheduler from running for a while."""
        await self.client.send("POST", f"/schedulers/{name}", {"delay": seconds})

    async def resume_scheduler(self, name: str) -> None:
        """Let a paused scheduler run again."""
        await self.pause_scheduler(name, 0)


def _texts(value: JsonValue, what: str) -> list[str]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise PdAnswerError(f"PD's answer to {what} has an unknown shape: it is no list.")
    return [text for text in value if isinstance(text, str)]

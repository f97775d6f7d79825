"""What is asked of PD, by name: typed reads, and the effects that the actions need."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple

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
_ABSENT: Final = frozenset({_NOT_FOUND, 405, 410, 412})
"""Nothing there, nothing to ask it of, or a part of PD that is turned off."""
_NOBODY_EVICTS: Final = ("404 page not found", "not found", "null", "ErrScheduleConfigNotExist")
_EVICT_OF_ONE_STORE: Final = re.compile(rf"^{EVICT_LEADER}-(\d{{1,20}})$")


class Eviction(NamedTuple):
    """Whose leaders PD moves away.

    Attributes:
        store_ids: the stores.
        batch: how many leaders of a store it moves at once; None where PD does not say.
    """

    store_ids: list[int]
    batch: int | None


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

    async def store(self, store_id: int) -> StoreInfo | None:
        """Return a store, tombstones too; None where PD does not know it."""
        path = f"/store/{store_id}"
        value = await self.read_or(path, None, reasons=("ErrStoreNotFound", "not found"))
        return fit(StoreInfo, value, f"GET {path}") if value is not None else None

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
        value = (await self.client.get(path)).value
        return fit(Regions, {} if value is None else value, f"GET {path}")

    # --- anything ---------------------------------------------------------------------

    async def read(self, path: str, params: Mapping[str, str | int] | None = None) -> JsonValue:
        """Return the decoded answer to a `GET`."""
        return (await self.client.get(path, params)).value

    async def read_or(
        self, path: str, default: JsonValue, *, reasons: Sequence[str] = ("",)
    ) -> JsonValue:
        """Return the decoded answer, or the default where PD says that it has no such thing.

        Args:
            path: path below the API's prefix.
            default: what stands for a thing that is not there, and for a page that an older
                PD does not have.
            reasons: parts of the reasons that mean so; others are errors.
        """
        try:
            return await self.read(path)
        except PdRefusalError as error:
            if error.status in _ABSENT and any(mark in error.reason for mark in reasons):
                return default
            raise

    async def map_of(self, path: str, default: JsonValue = None) -> dict[str, JsonValue]:
        """Return an answer that is an object, as `read_or` does.

        Raises:
            PdAnswerError: it is something else.
        """
        value = await self.read_or(path, default)
        if value is not None and not isinstance(value, dict):
            raise PdAnswerError(f"PD's answer to GET {path} has an unknown shape: it is no object.")
        return value or {}

    # --- schedulers, operators --------------------------------------------------------

    async def schedulers(self, status: str | None = None) -> list[str]:
        """Return the names of the schedulers, or of those of a status such as `paused`.

        A PD that does not know the statuses answers all names whatever it is asked.
        """
        if status is None:
            return sorted(_texts(await self.read("/schedulers"), "GET /schedulers"))
        found = await self._schedulers_that_are(status)
        if found and status == "paused" and found == await self._schedulers_that_are("disabled"):
            return []
        return found

    async def _schedulers_that_are(self, status: str) -> list[str]:
        value = await self.read("/schedulers", {"status": status})
        return sorted(_texts(value, "GET /schedulers"))

    async def evicted_store_ids(self, schedulers: Sequence[str]) -> list[int]:
        """Return the stores whose leaders are being evicted; see `eviction`."""
        return (await self.eviction(schedulers)).store_ids

    async def eviction(self, schedulers: Sequence[str]) -> Eviction:
        """Return whose leaders are being evicted.

        Args:
            schedulers: names of the schedulers; old releases have one for each store.
        """
        found = {int(match[1]) for name in schedulers if (match := _EVICT_OF_ONE_STORE.match(name))}
        path = f"/scheduler-config/{EVICT_LEADER}/list"
        try:
            value = (await self.client.get(path)).value
        except PdRefusalError as error:
            if error.status == _NOT_FOUND:
                return Eviction(sorted(found), None)
            raise
        config = fit(EvictConfig, value, f"GET {path}")
        return Eviction(sorted(found | set(config.stores)), config.batch)

    async def operators(self) -> list[OperatorText]:
        """Return the operators that PD is working on."""
        value = (await self.client.get("/operators")).value
        return [read_operator(text) for text in _texts(value, "GET /operators")]

    async def last_operator(self, region_id: int) -> tuple[OperatorStatus, str]:
        """Return what became of the last operator on a region, and its name."""
        try:
            value = await self.read(f"/operators/{region_id}")
        except PdRefusalError as error:
            if "not found" in error.reason:
                return OperatorStatus.NONE, ""
            raise
        if not isinstance(value, str):
            return OperatorStatus.OTHER, ""
        return read_status(value), read_operator(value).name

    async def ended_operators(self, region_id: int, name: str) -> list[str]:
        """Return the prints of the operators of a name that ended on a region lately."""
        try:
            value = await self.read("/operators/records")
        except PdRefusalError as error:
            if "not found" in error.reason:
                return []
            raise
        found = ((text, read_operator(text)) for text in _texts(value, "GET /operators/records"))
        return [text for text, one in found if one.region_id == region_id and one.name == name]

    async def operator_status(self, region_id: int) -> OperatorStatus:
        """Return what became of the last operator on a region."""
        return (await self.last_operator(region_id))[0]

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
        """Return the members of PD and its leader; the client follows what they say."""
        found = fit(Members, await self.read("/members"), "GET /members")
        leader = found.leader.client_urls if found.leader else ()
        self.client.follow([url for one in found.members for url in one.client_urls], leader)
        return found

    async def health(self) -> list[Member]:
        """Return the members with their health, as any member sees it."""
        value = (await self.client.get("/health")).value
        return fit(Members, {"members": value}, "GET /health").members

    # --- effects ----------------------------------------------------------------------

    async def add_operator(self, name: str, **fields: JsonValue) -> None:
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
    named = (item.get("name") if isinstance(item, dict) else item for item in value)
    return [text for text in named if isinstance(text, str)]

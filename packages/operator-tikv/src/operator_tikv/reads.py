"""What is asked of PD for one observation, question by question."""

import asyncio
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from pydantic import JsonValue

from operator_core.errors import SubjectError, SubjectUnreachableError
from operator_core.types import JsonObject
from operator_tikv import facts
from operator_tikv.effects import GRANT_LEADER
from operator_tikv.heads import head_of_list
from operator_tikv.pd.api import PdApi
from operator_tikv.pd.client import API
from operator_tikv.pd.errors import PdRefusalError, is_no_leader
from operator_tikv.pd.parse import decode_json, fit, ids_of
from operator_tikv.pd.types import Member, Members, Regions, StoreInfo
from operator_tikv.watched import (
    HotRegions,
    Progress,
    RegionLabelRules,
    Rules,
    SafePoints,
    WatchedReplicate,
    WatchedSchedule,
)

CHECKS: Final = ("miss-peer", "down-peer", "pending-peer", "extra-peer", "offline-peer")
CHECKERS: Final = ("replica", "rule", "learner", "merge", "split", "joint-state")
SMALL_CLUSTER_REGIONS: Final = 5_000
"""Up to this many regions each one is read, to see those that cannot be led."""

HOT_KINDS: Final = ("write", "read")
HOT_LIMIT_BYTES: Final = 1 << 20
"""About 2,000 hot replicas; where there are more, no single one stands out."""

SILENT_STORES_READ: Final = 8
SILENT_STORE_LIMIT_BYTES: Final = 4 << 20
"""About 8,000 regions."""

_OK: Final = 200
_Value = TypeVar("_Value")


@dataclass(frozen=True)
class Reading(Generic[_Value]):
    """What one question gave: a value, or the error that came instead."""

    value: _Value | None = None
    error: SubjectError | None = None

    @property
    def is_unreachable(self) -> bool:
        """Whether nobody answered at all."""
        return isinstance(self.error, SubjectUnreachableError)


@dataclass(frozen=True)
class PdState:
    """PD's members as they are now."""

    members: Sequence[Member]
    leader: Member | None


async def read(question: Awaitable[_Value]) -> Reading[_Value]:
    """Ask, and keep the error as what it is: an answer that did not come."""
    try:
        return Reading(value=await question)
    except SubjectError as error:
        return Reading(error=error)


async def schedulers(api: PdApi) -> JsonObject:
    """Read schedulers and checkers: which run, which are paused."""
    names = await api.schedulers()
    paused, evicted, checkers = await asyncio.gather(
        api.schedulers("paused"), api.eviction(names), _paused_checkers(api)
    )
    granted = await _granted_store_ids(api, names)
    found = facts.scheduler_facts(names, paused, evicted.store_ids, checkers, granted)
    return {**found, "evict_leader_batch": evicted.batch}


async def _granted_store_ids(api: PdApi, names: Sequence[str]) -> list[int]:
    """Return the stores that get all leaders they can; old releases name a scheduler for each."""
    of_one = [name.removeprefix(f"{GRANT_LEADER}-") for name in names if name != GRANT_LEADER]
    found = set(ids_of(of_one))
    if GRANT_LEADER not in names:
        return sorted(found)
    answer = await _optional(api, f"/scheduler-config/{GRANT_LEADER}/list")
    ranges = answer.get("store-id-ranges") if isinstance(answer, dict) else None
    keys = ranges if isinstance(ranges, dict) else {}
    return sorted(found | set(ids_of(keys)))


async def _paused_checkers(api: PdApi) -> list[str]:
    """Return the checkers that are paused; older releases have fewer of them, or none."""
    answers = await asyncio.gather(*(_optional(api, f"/checker/{name}") for name in CHECKERS))
    paused = []
    for name, answer in zip(CHECKERS, answers, strict=True):
        if isinstance(answer, dict) and answer.get("paused") is True:
            paused.append(name)
    return paused


async def _optional(api: PdApi, path: str) -> JsonValue:
    """Return what PD answers, None where this release has no such page."""
    try:
        return await api.read_or(path, None)
    except PdRefusalError as error:
        # A checker that it does not know is answered with 500.
        if is_no_leader(error):
            raise
        return None


async def pd_state(api: PdApi) -> PdState:
    """Read the members; that PD has no leader is something known, not something unread."""
    health = await api.health()
    try:
        found = await api.members()
    except SubjectError as error:
        if not is_no_leader(error):
            raise
        return PdState(health, None)
    leader = found.leader
    return PdState(_with_health(found, health), leader if leader and leader.member_id else None)


def _with_health(found: Members, health: Sequence[Member]) -> list[Member]:
    healthy = {member.name: member.health for member in health}
    return [
        member.model_copy(update={"health": healthy.get(member.name)}) for member in found.members
    ]


async def schedule(api: PdApi) -> WatchedSchedule:
    """Read the schedule configuration."""
    return fit(WatchedSchedule, await api.read("/config/schedule"), "GET /config/schedule")


async def replicate(api: PdApi) -> WatchedReplicate:
    """Read the replication configuration."""
    return fit(WatchedReplicate, await api.read("/config/replicate"), "GET /config/replicate")


async def rules(api: PdApi) -> tuple[Rules, RegionLabelRules]:
    """Read placement and region-label rules; none where PD has none or they are off."""
    placement, labels = await asyncio.gather(
        api.read_or("/config/rules", []), api.read_or("/config/region-label/rules", [])
    )
    return (
        fit(Rules, {"rules": placement}, "GET /config/rules"),
        fit(RegionLabelRules, {"rules": labels}, "GET /config/region-label/rules"),
    )


async def safe_points(api: PdApi) -> SafePoints:
    """Read before which moment garbage may be collected."""
    return fit(SafePoints, await api.map_of("/gc/safepoint"), "GET /gc/safepoint")


async def tombstones(api: PdApi) -> list[int]:
    """Read the ids of the stores that are gone and still remembered."""
    path = "/stores"
    value = await api.read(path, {"state": 2})
    found = value.get("stores") if isinstance(value, dict) else None
    stores = [fit(StoreInfo, one, "GET /stores?state=2") for one in _list(found)]
    return sorted(one.id for one in stores if one.store.state == _TOMBSTONE)


_TOMBSTONE: Final = 2


def _list(value: JsonValue) -> list[JsonValue]:
    return value if isinstance(value, list) else []


async def progress(api: PdApi) -> JsonObject:
    """Read how far PD is with taking stores out and filling new ones."""
    found: JsonObject = {}
    for action in ("removing", "preparing"):
        path = "/stores/progress"
        try:
            value = await api.read(path, {"action": action})
        except PdRefusalError as error:
            if is_no_leader(error):
                raise
            continue  # nothing of the kind, or a release that does not tell
        one = fit(Progress, value, f"GET {path}")
        found[action] = one.model_dump(exclude={"action"})
    return found


async def hotspots(api: PdApi) -> dict[str, HotRegions | None]:
    """Read which regions PD calls hot, by ``write`` and ``read``; None: too many of them."""
    found = await asyncio.gather(*(_hot(api, kind) for kind in HOT_KINDS))
    return dict(zip(HOT_KINDS, found, strict=True))


async def _hot(api: PdApi, kind: str) -> HotRegions | None:
    path = f"/hotspot/regions/{kind}"
    page = await api.client.page(f"{api.client.url}{API}{path}", HOT_LIMIT_BYTES)
    if page.status == _OK and not page.is_whole:
        return None
    value = decode_json(page.body) if page.status == _OK else await api.map_of(path)
    return fit(HotRegions, value or {}, f"GET {path}")


async def checks(api: PdApi) -> dict[str, Reading[Regions]]:
    """Read PD's lists of regions with something wrong, of each the beginning."""
    answers = await asyncio.gather(
        *(read(head_of_list(api, f"/regions/check/{kind}")) for kind in CHECKS)
    )
    return dict(zip(CHECKS, answers, strict=True))


async def leaders(
    api: PdApi, stores: Sequence[StoreInfo], silent: Sequence[int], region_count: int
) -> JsonObject:
    """Find regions that nobody can read or write.

    A large cluster is not read whole: its leaders are counted, and only the regions of silent
    stores are read.
    """
    if region_count <= SMALL_CLUSTER_REGIONS:
        return facts.leader_facts(await api.regions(), silent)
    read_stores = silent[:SILENT_STORES_READ]
    lists = await asyncio.gather(
        *(
            head_of_list(api, f"/regions/store/{store_id}", SILENT_STORE_LIMIT_BYTES)
            for store_id in read_stores
        )
    )
    return facts.counted_leader_facts(
        region_count,
        stores,
        [region for one in lists for region in one.regions],
        silent,
        is_partial=len(silent) > len(read_stores)
        or any(len(one.regions) < one.count for one in lists),
    )

"""What is looked at right before an action: the cluster as far as its safety depends on it."""

import asyncio
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from pydantic import JsonValue

from operator_core.errors import SubjectError
from operator_core.types import JsonObject
from operator_tikv import facts
from operator_tikv.pd.api import PdApi
from operator_tikv.pd.errors import PdRefusalError
from operator_tikv.pd.types import Regions, ReplicateConfig, ScheduleConfig, StoreInfo, StoreStatus

_TROUBLES: Final = ("down-peer", "pending-peer", "miss-peer")
_OFFLINE: Final = 1
_GRANT_LEADER: Final = "grant-leader-scheduler"
_LEADERS_A_STORE: Final = 3
"""From so many leaders a store on average on, none at all is no chance."""


@dataclass(frozen=True)
class Trouble:
    """A region that has not all its replicas in good order.

    Attributes:
        region_id: the region.
        kind: the list of PD that it stands on.
        store_ids: the stores of the replicas concerned; none where one is missing.
    """

    region_id: int
    kind: str
    store_ids: frozenset[int]


@dataclass(frozen=True)
class View:
    """What the checks look at.

    Attributes:
        stores: all stores that are not tombstones, by id.
        healthy: ids of the TiKV stores that serve and that PD hears.
        evicted: ids of the stores whose leaders are being evicted.
        schedulers: names of the schedulers.
        paused: names of those that are paused.
        config: the schedule configuration.
        replicate: the replication configuration.
        member_count: how many servers PD has.
        healthy_member_count: how many of them answer.
        troubles: regions that are not as they should be.
        busy: ids of the regions that PD is working on.
        paused_checkers: names of the checkers that are paused.
        denied: ids of the region labels that forbid scheduling.
        leaders_are_placed: whether rules or label properties say where leaders belong.
    """

    stores: dict[int, StoreInfo]
    healthy: Collection[int]
    evicted: Collection[int]
    schedulers: Sequence[str]
    paused: Sequence[str]
    config: ScheduleConfig
    replicate: ReplicateConfig = field(default_factory=ReplicateConfig)
    member_count: int = 1
    healthy_member_count: int = 1
    troubles: Sequence[Trouble] = ()
    busy: Collection[int] = ()
    paused_checkers: Sequence[str] = ()
    denied: Sequence[str] = ()
    leaders_are_placed: bool = False

    @property
    def leaders_by_store(self) -> JsonObject:
        """How many regions each store leads."""
        return leaders_by_store(self.stores.values())

    @property
    def silent(self) -> list[int]:
        """Ids of the TiKV stores that should serve and that PD does not hear."""
        return sorted(
            store.id
            for store in self.stores.values()
            if store.id not in self.healthy and not store.is_tiflash and store.store.state == 0
        )

    @property
    def leaving(self) -> list[int]:
        """Ids of the stores that are on their way out."""
        return sorted(key for key, store in self.stores.items() if store.store.state == _OFFLINE)

    @property
    def slow(self) -> list[int]:
        """Ids of the stores that TiKV calls slow."""
        return [key for key in self.healthy if self._status(key).slow_score >= facts.SLOW_SCORE]

    @property
    def leaderless(self) -> list[int]:
        """Ids of the stores that are well, have replicas, and lead nothing for no reason known.

        With few regions that is chance, and where leaders are placed it may be meant.
        """
        led = sum(self._status(key).leader_count for key in self.healthy)
        granted = any(name.startswith(_GRANT_LEADER) for name in self.schedulers)
        if self.leaders_are_placed or granted or led < _LEADERS_A_STORE * len(self.healthy):
            return []
        excused = {*self.evicted, *self.slow}
        return [key for key in self.healthy if key not in excused and self._leads_nothing(key)]

    def _leads_nothing(self, store_id: int) -> bool:
        status = self._status(store_id)
        may_lead = status.leader_weight > 0 and status.region_count >= _LEADERS_A_STORE
        return may_lead and not status.leader_count

    def _status(self, store_id: int) -> StoreStatus:
        return self.stores[store_id].status

    def unexplained(self, about_store_id: int | None = None) -> list[Trouble]:
        """Return the troubles that neither PD's present work nor one store explain."""
        about = {about_store_id} - {None}
        return [
            trouble
            for trouble in self.troubles
            if trouble.region_id not in self.busy
            and not (trouble.store_ids and trouble.store_ids <= about)
        ]


def leaders_by_store(stores: Iterable[StoreInfo]) -> JsonObject:
    """Return how many regions each TiKV store leads."""
    return {str(store.id): store.status.leader_count for store in stores if not store.is_tiflash}


async def look(api: PdApi) -> View:
    """Read what the checks need.

    Raises:
        SubjectError: it cannot be read; nothing was changed.
    """
    (stores, date), names, paused, members, operators = await asyncio.gather(
        api.stores(), api.schedulers(), api.schedulers("paused"), api.health(), api.operators()
    )
    config, replicate = await asyncio.gather(api.schedule_config(), api.replicate_config())
    evicted, troubles, checkers, denied, placed = await asyncio.gather(
        api.evicted_store_ids(names),
        _troubles(api),
        _paused_checkers(api),
        _denied(api),
        _leaders_are_placed(api),
    )
    cluster = facts.cluster_facts(stores, facts.pd_time(stores, date), evicted)
    return View(
        stores={store.id: store for store in stores},
        healthy=cluster["healthy_store_ids"],
        evicted=evicted,
        schedulers=names,
        paused=paused,
        config=config,
        replicate=replicate,
        member_count=len(members),
        healthy_member_count=sum(member.health is not False for member in members),
        troubles=troubles,
        busy={operator.region_id for operator in operators},
        paused_checkers=checkers,
        denied=denied,
        leaders_are_placed=placed,
    )


async def _troubles(api: PdApi) -> list[Trouble]:
    found = await asyncio.gather(*(api.check(kind) for kind in _TROUBLES))
    return [
        trouble
        for kind, regions in zip(_TROUBLES, found, strict=True)
        for trouble in _troubles_in(kind, regions)
    ]


def _troubles_in(kind: str, regions: Regions) -> Iterable[Trouble]:
    for region in regions.regions:
        stores = {down.peer.store_id for down in region.down_peers}
        if kind == "pending-peer":
            stores = {peer.store_id for peer in region.pending_peers}
        elif kind == "miss-peer":
            stores = set()
        yield Trouble(region.id, kind, frozenset(stores))


async def _paused_checkers(api: PdApi) -> list[str]:
    """Where PD does not know a checker it is not paused."""
    names = ("rule", "replica")
    answers = await asyncio.gather(*(_checker(api, name) for name in names))
    pairs = zip(names, answers, strict=True)
    return [name for name, answer in pairs if answer.get("paused") in {True, "true"}]


async def _checker(api: PdApi, name: str) -> dict[str, JsonValue]:
    try:
        return await api.map_of(f"/checker/{name}")
    except PdRefusalError as error:
        if "checker not found" in error.reason:
            return {}
        raise


async def _denied(api: PdApi) -> list[str]:
    rules = await api.read_or("/config/region-label/rules", [])
    listed = rules if isinstance(rules, list) else []
    return [str(rule.get("id")) for rule in listed if isinstance(rule, dict) and _denies(rule)]


def _denies(rule: dict[str, JsonValue]) -> bool:
    labels = rule.get("labels")
    return isinstance(labels, list) and any(
        isinstance(label, dict) and label.get("key") == "schedule" and label.get("value") == "deny"
        for label in labels
    )


async def _leaders_are_placed(api: PdApi) -> bool:
    """Where it cannot be read they are not known to be, and a store without leaders is odd."""
    try:
        rules, properties = await asyncio.gather(
            api.read_or("/config/rules", []), api.read_or("/config/label-property", {})
        )
    except SubjectError:
        return False
    listed = rules if isinstance(rules, list) else []
    roles = {rule.get("role") for rule in listed if isinstance(rule, dict)}
    rejecting = isinstance(properties, dict) and bool(properties.get("reject-leader"))
    return rejecting or not roles <= {"voter", "learner"}

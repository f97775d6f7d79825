"""What a twin knows of a TiKV cluster: a value that is made from one observation."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from operator_core.monitor.types import Observation
from operator_core.types import JsonObject
from operator_tikv.facts import SLOW_SCORE

NEEDS: Final = ("stores", "cluster", "schedulers", "regions", "leaders", "config", "pd")
_CHECKS: Final = ("miss_peer", "down_peer", "pending_peer")


@dataclass(frozen=True)
class KvStore:
    """A store.

    Attributes:
        id: its id.
        state_name: what PD calls its state.
        is_healthy: whether it serves TiKV regions and PD hears it.
        is_silent: whether it should serve and PD does not hear it.
        is_tiflash: whether it is TiFlash.
        is_slow: whether it serves slowly.
        leaders: how many regions it leads.
        regions: how many replicas it has.
        leader_weight: its part of the leaders against other stores.
        region_weight: its part of the replicas against other stores.
        capacity_bytes: its disk; None: not told.
        free_bytes: what is left of it; None: not told.
        labels: its labels.
    """

    id: int
    state_name: str
    is_healthy: bool
    is_silent: bool
    is_tiflash: bool
    is_slow: bool
    leaders: float
    regions: float
    leader_weight: float
    region_weight: float
    capacity_bytes: float | None
    free_bytes: float | None
    labels: Mapping[str, str]

    @property
    def used_bytes(self) -> float:
        """What would have to go elsewhere."""
        return (self.capacity_bytes or 0.0) - (self.free_bytes or 0.0)


@dataclass(frozen=True)
class Trouble:
    """Regions on one of PD's lists.

    Attributes:
        count: how many there are.
        region_ids: the first of them.
        store_ids: where the replicas concerned are; none where one is missing.
    """

    count: int = 0
    region_ids: frozenset[int] = frozenset()
    store_ids: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Model:
    """A cluster at one moment.

    Attributes:
        stores: all that are no tombstones, by id.
        evicted: stores whose leaders are being evicted.
        missing_schedulers: those that every PD runs and this one does not.
        paused_checkers: checkers of PD that are paused.
        config: the observation's part of that name.
        troubles: regions with replicas that are missing, down, or behind, by kind.
        regions: how many there are.
        unled_regions: how many of them nobody can read or write.
        operators: how many regions PD is working on.
        pd_leader: the name of the member that leads PD.
        pd_members: each member of PD by name: its id, and whether it is healthy.
        rule_count: how many placement rules there are; 0 where they are off; None: not seen.
        rejected: stores that must not lead, by a property of their labels.
    """

    stores: Mapping[int, KvStore]
    evicted: frozenset[int]
    missing_schedulers: frozenset[str]
    paused_checkers: frozenset[str]
    config: JsonObject
    troubles: Mapping[str, Trouble]
    regions: int
    unled_regions: int
    operators: int
    pd_leader: str | None
    pd_members: Mapping[str, tuple[str, bool]]
    rule_count: int | None = None
    rejected: frozenset[int] = frozenset()

    @property
    def healthy(self) -> list[KvStore]:
        """The stores that serve."""
        return [one for one in self.stores.values() if one.is_healthy]

    @property
    def takers(self) -> list[KvStore]:
        """The stores that leaders may go to."""
        barred = self.evicted | self.rejected
        return [one for one in self.healthy if one.id not in barred and one.leader_weight > 0]

    @property
    def silent(self) -> set[int]:
        """The stores that should serve and are not heard."""
        return {one.id for one in self.stores.values() if one.is_silent}

    @property
    def slow(self) -> set[int]:
        """The stores that serve slowly."""
        return {one.id for one in self.healthy if one.is_slow}

    @property
    def leaving(self) -> set[int]:
        """The stores that are on their way out."""
        return {one.id for one in self.stores.values() if one.state_name == "Offline"}

    @property
    def replicas(self) -> int:
        """How many replicas each region should have."""
        return int(self.config["max_replicas"])

    @property
    def least_free_share(self) -> float:
        """The share of a disk below which PD sends a store no replicas."""
        return 1.0 - float(self.config["low_space_ratio"])

    @property
    def leaders(self) -> float:
        """How many regions are led."""
        return sum(one.leaders for one in self.stores.values())

    @property
    def affordable(self) -> int:
        """How many more stores may fail before some region loses its quorum."""
        lost = sum(1 for key in self.silent if self.stores[key].regions)
        hidden = 0 if lost else int(any(one.count for one in self.troubles.values()))
        return (self.replicas - 1) // 2 - lost - hidden

    @property
    def needs_repair(self) -> bool:
        """Whether PD has replicas to make."""
        return bool(self.silent or self.leaving or any(t.count for t in self.troubles.values()))

    def with_stores(self, *changed: KvStore, without: int = 0) -> "Model":
        """Return it with other stores in place of those of the same id, and without one."""
        stores = {**self.stores, **{one.id: one for one in changed}}
        stores.pop(without, None)
        return replace(self, stores=stores)

    def with_config(self, **values: object) -> "Model":
        """Return it with other values of its configuration."""
        return replace(self, config={**self.config, **values})


def model_of(seen: Observation) -> Model | None:
    """Return the model of an observation; None: too little was seen."""
    if not seen.sees(NEEDS):
        return None
    silent = set(seen.data("cluster")["silent_store_ids"])
    schedulers, leaders, pd = seen.data("schedulers"), seen.data("leaders"), seen.data("pd")
    return Model(
        stores={
            int(key): _store(int(key), one, silent) for key, one in seen.data("stores").items()
        },
        evicted=_ids(schedulers["evict_leader_store_ids"]),
        missing_schedulers=frozenset(schedulers["missing"]),
        paused_checkers=frozenset(schedulers["paused_checkers"]),
        config=seen.data("config"),
        troubles={kind: _trouble(seen.data("regions")[kind]) for kind in _CHECKS},
        regions=leaders["region_count"],
        unled_regions=leaders["without_leader_count"],
        operators=seen.data("operators").get("count", 0),
        pd_leader=pd["leader"],
        pd_members={
            name: (str(one["member_id"]), bool(one["health"]))
            for name, one in pd.get("members", {}).items()
        },
        rule_count=seen.data("placement").get("rule_count"),
    )


def _store(key: int, facts: JsonObject, silent: set[int]) -> KvStore:
    return KvStore(
        id=key,
        state_name=facts["state_name"],
        is_healthy=facts["is_healthy"],
        is_silent=key in silent and not facts["is_tiflash"],
        is_tiflash=facts["is_tiflash"],
        is_slow=facts["slow_score"] >= SLOW_SCORE,
        leaders=facts["leader_count"],
        regions=facts["region_count"],
        leader_weight=facts["leader_weight"],
        region_weight=facts.get("region_weight", 1.0),
        capacity_bytes=facts["capacity_bytes"],
        free_bytes=facts["available_bytes"],
        labels=facts["labels"],
    )


def _trouble(listed: JsonObject) -> Trouble:
    stores = _ids(listed.get("peers_by_store", ()))
    return Trouble(listed["count"], frozenset(listed["region_ids"]), stores)


def _ids(keys: Iterable[object]) -> frozenset[int]:
    return frozenset(int(str(key)) for key in keys)

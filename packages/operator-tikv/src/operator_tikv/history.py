"""What only several looks show: changes of the leader, stores that never leave or fill. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from operator_core.types import JsonObject
from operator_tikv.facts import SILENT_STATES
from operator_tikv.pd.types import Regions, StoreInfo

LEADER_WINDOW_SECONDS: Final = 600.0

LEADER_NEW_SECONDS: Final = 90.0
"""A new leader knows no region's leader; within a minute it hears of each by its heartbeat."""
FILLING_WINDOW_SECONDS: Final = 600.0
LATELY_SECONDS: Final = 360.0
"""A restart is told of for five minutes, and a drained store may be back by then."""

LISTED_LAGGING: Final = 20
FROZEN_SECONDS: Final = 60.0
"""PD's clock shows something new with each heartbeat, of which a store sends six a minute."""

_PREPARING: Final = (None, 0)
"""PD leaves a store's node state out while it is new; releases before 6.0 have none at all."""


@dataclass(frozen=True)
class Leaving:
    """A store that is being taken out.

    Attributes:
        since: when it was first seen so.
        regions: how many regions it had at the last change.
        unchanged_since: when that was.
    """

    since: float
    regions: int
    unchanged_since: float


@dataclass(frozen=True)
class Filling:
    """A store that came new and is filled.

    Attributes:
        since: when it was first seen.
        counts: how many regions it had at looks of the last minutes, the oldest first.
    """

    since: float
    counts: tuple[tuple[float, int], ...] = ()

    def with_count(self, regions: int, now: float) -> "Filling":
        """Take in how many regions it has, and forget what lies before the window."""
        young = [one for one in self.counts if now - one[0] <= FILLING_WINDOW_SECONDS]
        return replace(self, counts=(*young, (now, regions)))

    @property
    def gained_per_minute(self) -> float:
        """How many regions it has gained a minute over the window."""
        (began, before), (ended, after) = self.counts[0], self.counts[-1]
        return 60.0 * (after - before) / (ended - began) if ended > began else 0.0


@dataclass(frozen=True)
class Misplaced:
    """Regions that stand where no location label keeps their replicas apart.

    Attributes:
        since: when there were first some.
        regions: how many at the last change.
        fewer_since: when they last became fewer; at first, when they were first seen.
    """

    since: float
    regions: float
    fewer_since: float


@dataclass(frozen=True)
class History:
    """What was seen before, in seconds of one clock.

    Attributes:
        leader: the PD leader of the last look; None: it had none.
        leader_since: when that leader was first seen; None: it led at the first look, or none does.
        leader_changes: when a leader was gone, or was another one than the look before.
        leaving: the stores that are Offline.
        known_stores: every store that was seen; None before the first look.
        filling: the stores that came new.
        came_silent: the stores that PD did not hear when they came into its list, nor since.
        lagging: since when a replica lags, by region and store.
        evicted: when the leaders of a store were last seen to be evicted.
        pd_clock: what PD's clock last showed, and since when it has shown that.
        misplaced: regions that no location label keeps apart; None where there are none.
    """

    leader: str | None = None
    leader_since: float | None = None
    leader_changes: tuple[float, ...] = ()
    leaving: Mapping[int, Leaving] = field(default_factory=dict)
    known_stores: frozenset[int] | None = None
    filling: Mapping[int, Filling] = field(default_factory=dict)
    came_silent: frozenset[int] = frozenset()
    lagging: Mapping[tuple[int, int], float] = field(default_factory=dict)
    evicted: Mapping[int, float] = field(default_factory=dict)
    pd_clock: tuple[datetime, float] | None = None
    misplaced: Misplaced | None = None

    def with_pd_clock(self, shown: datetime | None, now: float) -> "History":
        """Take in what PD's clock shows."""
        is_new = shown is not None and (self.pd_clock is None or shown != self.pd_clock[0])
        return replace(self, pd_clock=(shown, now)) if shown is not None and is_new else self

    def is_frozen(self, now: float) -> bool:
        """Return whether PD's clock stands still: what is read is a picture of long ago."""
        return self.pd_clock is not None and now - self.pd_clock[1] > FROZEN_SECONDS

    def with_leader(self, leader: str | None, now: float) -> "History":
        """Take in who leads PD now, or that nobody does: an election is one change, not two."""
        kept = [at for at in self.leader_changes if now - at < LEADER_WINDOW_SECONDS]
        if self.leader is not None and leader != self.leader:
            kept.append(now)
        is_new = bool(kept) and leader != self.leader and leader is not None
        since = now if is_new else self.leader_since if leader == self.leader else None
        return replace(self, leader=leader, leader_since=since, leader_changes=tuple(kept))

    def with_stores(self, stores: Iterable[StoreInfo], now: float) -> "History":
        """Take in the stores."""
        known = list(stores)
        return replace(
            self,
            leaving=self._leaving_of(known, now),
            filling=self._filling_of(known, now),
            came_silent=self._came_silent(known),
            known_stores=frozenset(store.id for store in known),
        )

    def with_lagging(self, regions: Regions, now: float) -> "History":
        """Take in PD's list of regions with a replica that lags; one that is down is no laggard."""
        seen = [
            (region.id, peer.store_id)
            for region in regions.regions
            for peer in region.pending_peers
            if peer.id not in {down.peer.id for down in region.down_peers}
        ]
        return replace(self, lagging={key: self.lagging.get(key, now) for key in seen})

    def with_misplaced(self, regions: float, now: float) -> "History":
        """Take in how many regions no location label keeps apart."""
        known = self.misplaced or Misplaced(now, regions, now)
        fewer_since = now if regions < known.regions else known.fewer_since
        found = Misplaced(known.since, regions, fewer_since) if regions else None
        return replace(self, misplaced=found)

    def with_evicted(self, store_ids: Iterable[int], now: float) -> "History":
        """Take in whose leaders are being evicted."""
        kept = {key: at for key, at in self.evicted.items() if now - at < LATELY_SECONDS}
        return replace(self, evicted={**kept, **dict.fromkeys(store_ids, now)})

    def _leaving_of(self, stores: Iterable[StoreInfo], now: float) -> dict[int, Leaving]:
        leaving = {}
        for store in stores:
            if store.store.state_name != "Offline":
                continue
            regions = store.status.region_count
            known = self.leaving.get(store.id, Leaving(now, regions, now))
            same = known.regions == regions
            since = known.unchanged_since if same else now
            leaving[store.id] = Leaving(known.since, regions, since)
        return leaving

    def _came_silent(self, stores: Iterable[StoreInfo]) -> frozenset[int]:
        silent = {one.id for one in stores if one.store.state_name in SILENT_STATES}
        known = silent if self.known_stores is None else self.known_stores
        return frozenset(silent - known | silent & self.came_silent)

    def _filling_of(self, stores: Sequence[StoreInfo], now: float) -> dict[int, Filling]:
        has_states = any(store.store.node_state for store in stores)
        filling = {}
        for store in stores:
            is_new = self.known_stores is not None and store.id not in self.known_stores
            is_preparing = has_states and store.store.node_state in _PREPARING
            if not store.is_up_tikv or _is_filled(store, stores):
                continue
            if is_new or is_preparing or store.id in self.filling:
                known = self.filling.get(store.id, Filling(now))
                filling[store.id] = known.with_count(store.status.region_count, now)
        return filling


def _is_filled(store: StoreInfo, stores: Sequence[StoreInfo]) -> bool:
    """Return whether PD takes a store to be about as full as the others."""
    others = [one.status.region_score for one in stores if one.id != store.id and one.is_up_tikv]
    return bool(others) and store.status.region_score >= _FILLED * sum(others) / len(others)


_FILLED: Final = 0.9


def leader_facts(history: History, now: float) -> JsonObject:
    """Return what the part `pd` says besides: how often its leader changed, and how new it is."""
    recent = [at for at in history.leader_changes if now - at < LEADER_WINDOW_SECONDS]
    since = history.leader_since
    return {
        "leader_changes": len(recent),
        "leader_window_seconds": LEADER_WINDOW_SECONDS,
        "leader_is_new": since is not None and now - since < LEADER_NEW_SECONDS,
    }


def leaving_facts(history: History, now: float) -> JsonObject:
    """Return the data of the part `leaving`.

    Store id → ``region_count``, ``seconds`` since it was first seen Offline, and
    ``unchanged_seconds`` since it last lost a region.
    """
    return {
        str(store_id): {
            "region_count": one.regions,
            "seconds": round(now - one.since, 1),
            "unchanged_seconds": round(now - one.unchanged_since, 1),
        }
        for store_id, one in sorted(history.leaving.items())
    }


def filling_facts(
    history: History, stores: Iterable[StoreInfo], now: float, location_labels: Sequence[str] = ()
) -> JsonObject:
    """Return the data of the part `filling`: stores that came new and have less than the others.

    Store id → ``seconds`` since it was first seen, ``region_count`` and ``gained_per_minute``,
    ``score_share`` (its region score against the mean of the others: what PD makes equal), and
    ``missing_regions`` (how many fewer it has than the others have on average). Where PD keeps
    replicas apart, a store may get only what its rack or zone has: it is then compared with the
    others there, if they have less.

    Args:
        history: what was seen before.
        stores: the stores of this look.
        now: the time, in seconds.
        location_labels: those that PD goes by, the widest first.
    """
    takers = [one for one in stores if one.is_up_tikv]
    old = [one for one in takers if one.id not in history.filling]
    found: JsonObject = {}
    for store in takers:
        one = history.filling.get(store.id)
        if one is None or not old:
            continue
        mean_score, mean_regions = min(
            _means(others) for others in _compared(store, old, location_labels)
        )
        found[str(store.id)] = {
            "seconds": round(now - one.since, 1),
            "region_count": store.status.region_count,
            "gained_per_minute": round(one.gained_per_minute, 3),
            "score_share": round(store.status.region_score / mean_score, 4) if mean_score else 1.0,
            "missing_regions": round(mean_regions - store.status.region_count, 1),
        }
    return found


def _compared(
    store: StoreInfo, others: Sequence[StoreInfo], location_labels: Sequence[str]
) -> list[Sequence[StoreInfo]]:
    """Return all other stores, and those of the same place at each level that has some."""
    near = others
    found = [others]
    for label in location_labels:
        place = store.labels.get(label)
        near = [one for one in near if place is not None and one.labels.get(label) == place]
        if near:
            found.append(near)
    return found


def _means(stores: Sequence[StoreInfo]) -> tuple[float, float]:
    """Return the mean region score and the mean count of regions."""
    count = len(stores)
    score = sum(one.status.region_score for one in stores) / count
    return score, sum(one.status.region_count for one in stores) / count


def misplaced_regions(pd_metrics: JsonObject) -> tuple[float, float]:
    """Return how many regions no location label keeps apart, and of how many, as PD counts."""
    by_member: JsonObject = pd_metrics.get("readings", {}).get("regions_by_isolation", {})
    levels: JsonObject = max(by_member.values(), key=lambda one: sum(one.values()), default={})
    return float(levels.get("none", 0.0)), float(sum(levels.values()))


def misplaced_facts(history: History, now: float) -> JsonObject:
    """Return how long there have been ``regions`` that nothing keeps apart.

    ``seconds`` since there were first some, ``unchanged_seconds`` since they last became fewer.
    """
    found = history.misplaced
    if found is None:
        return {}
    return {
        "regions": found.regions,
        "seconds": round(now - found.since, 1),
        "unchanged_seconds": round(now - found.fewer_since, 1),
    }


def lagging_facts(history: History, now: float) -> JsonObject:
    """Return the data of the part `lagging`.

    Store id → for how many ``seconds`` its longest lagging replicas have lagged without a
    break, the longest first, and the ``region_ids`` of those.
    """
    by_store: dict[int, list[tuple[float, int]]] = {}
    for (region_id, store_id), since in history.lagging.items():
        by_store.setdefault(store_id, []).append((since, region_id))
    found: JsonObject = {}
    for store_id, some in sorted(by_store.items()):
        longest = sorted(some)[:LISTED_LAGGING]
        found[str(store_id)] = {
            "seconds": [round(now - since, 1) for since, _ in longest],
            "region_ids": [region_id for _, region_id in longest],
        }
    return found

"""Pure functions from PD's answers to the data of an observation's parts.

Ids are text where they are keys and numbers where they are values.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from operator_core.clock import to_text
from operator_core.types import JsonObject
from operator_tikv.pd.api import BALANCE_LEADER
from operator_tikv.pd.parse import shorten
from operator_tikv.pd.types import (
    Member,
    RegionInfo,
    Regions,
    StoreInfo,
)

LISTED_REGIONS: Final = 20
DISCONNECTED_SECONDS: Final = 20.0
ALWAYS_RUN: Final = (BALANCE_LEADER, "balance-region-scheduler", "balance-hot-region-scheduler")
SLOW_SCORE: Final = 80
"""From this score on TiKV calls a store slow (1 is best, 100 worst)."""
_CLOCK_TOLERANCE: Final = timedelta(seconds=60)
_OFFLINE: Final = 1
SILENT_STATES: Final = frozenset({"Disconnected", "Down"})


def pd_time(stores: Iterable[StoreInfo], date: datetime | None) -> datetime | None:
    """Return what PD's own clock shows, against which the age of heartbeats is measured.

    That is the `Date` header of PD's answer, which follows the clock that stamped the
    heartbeats. A proxy may write its own: if it lies before a heartbeat, or makes a store
    old that PD itself calls Up, the newest heartbeat is taken instead; ages may then be too
    short by one heartbeat (10 s).
    """
    seen = [(store, beat) for store in stores if (beat := store.last_heartbeat)]
    newest = max((beat for _, beat in seen), default=None)
    if date is None or newest is None:
        return newest or date
    up = [beat for store, beat in seen if store.store.state_name == "Up"]
    is_foreign = date < newest - _CLOCK_TOLERANCE or any(
        date - beat > _CLOCK_TOLERANCE for beat in up
    )
    return newest if is_foreign else max(date, newest)


def store_facts(store: StoreInfo, now: datetime | None) -> JsonObject:
    """Return what an observation keeps of a store."""
    meta, status = store.store, store.status
    beat = store.last_heartbeat
    age = max(0.0, (now - beat).total_seconds()) if now and beat else None
    return {
        "address": shorten(meta.address),
        "status_address": shorten(meta.status_address),
        "state_name": shorten(meta.state_name),
        "state": meta.state,
        "node_state": meta.node_state,
        "version": meta.version,
        "labels": store.labels,
        "is_tiflash": store.is_tiflash,
        "is_healthy": is_healthy(store, age),
        "leader_count": status.leader_count,
        "region_count": status.region_count,
        "leader_weight": status.leader_weight,
        "region_weight": status.region_weight,
        "region_score": status.region_score,
        "sending_snap_count": status.sending_snap_count,
        "receiving_snap_count": status.receiving_snap_count,
        "pending_peer_count": status.pending_peer_count,
        "capacity_bytes": status.capacity,
        "available_bytes": status.available,
        "used_bytes": status.used_size,
        "available_share": _share(status.available, status.capacity),
        "last_heartbeat_age_seconds": None if age is None else round(age, 3),
        "slow_score": status.slow_score,
        "is_busy": status.is_busy,
    }


def is_healthy(store: StoreInfo, age_seconds: float | None) -> bool:
    """Return whether a store serves TiKV regions and PD hears it: counted by ourselves.

    PD's own count takes in stores that are Down, and TiFlash.
    """
    heard = age_seconds is None or age_seconds <= DISCONNECTED_SECONDS
    return store.store.state_name == "Up" and heard and not store.is_tiflash


def stores_facts(stores: Iterable[StoreInfo], now: datetime | None) -> JsonObject:
    """Return the data of the part `stores`: one entry a store, keyed by its id."""
    return {str(store.id): store_facts(store, now) for store in stores}


def scheduler_facts(
    names: Sequence[str],
    paused: Sequence[str],
    evicted: Sequence[int],
    paused_checkers: Sequence[str] = (),
    granted: Sequence[int] = (),
) -> JsonObject:
    """Return the data of the part `schedulers`.

    ``missing``: those that every PD runs unless somebody removed them; ``states``: each name with
    ``running`` or ``paused``.
    """
    return {
        "names": list(names),
        "states": {name: "paused" if name in paused else "running" for name in names},
        "paused": list(paused),
        "missing": [name for name in ALWAYS_RUN if name not in names],
        "paused_checkers": list(paused_checkers),
        "evict_leader_store_ids": list(evicted),
        "grant_leader_store_ids": list(granted),
        "balance_leader_exists": BALANCE_LEADER in names,
        "balance_leader_paused": BALANCE_LEADER in paused,
    }


def check_facts(regions: Regions, kind: str) -> JsonObject:
    """Return what is kept of one of PD's checks.

    ``count``, the first ``region_ids``, and ``peers_by_store`` of the ``listed`` regions: of a
    very long list only the beginning is read.
    """
    ids = sorted(region.id for region in regions.regions)
    data: JsonObject = {
        "count": regions.count,
        "listed": len(regions.regions),
        "region_ids": ids[:LISTED_REGIONS],
    }
    if kind == "down-peer":
        stores = (down.peer.store_id for r in regions.regions for down in r.down_peers)
    elif kind == "pending-peer":
        stores = (peer.store_id for r in regions.regions for peer in r.pending_peers)
    else:
        return data
    data["peers_by_store"] = {str(key): n for key, n in sorted(Counter(stores).items())}
    return data


def leader_facts(regions: Sequence[RegionInfo], silent: Collection[int]) -> JsonObject:
    """Return the data of the part `leaders`: regions that cannot be led.

    PD goes on showing the last leader it heard of, so a region whose voters sit mostly on
    silent stores is counted too.

    Args:
        regions: all regions.
        silent: ids of the stores that PD does not hear.
    """
    unled = sorted(region.id for region in regions if not region.leader_store_id)
    lost = sorted(region.id for region in regions if has_lost_quorum(region, silent))
    both = sorted({*unled, *lost})
    return {
        "checked": True,
        "region_count": len(regions),
        "without_leader_count": len(both),
        "without_leader_region_ids": both[:LISTED_REGIONS],
        "quorum_lost_count": len(lost),
        "quorum_lost_region_ids": lost[:LISTED_REGIONS],
        "quorum_is_partial": False,
    }


def counted_leader_facts(
    region_count: int,
    stores: Iterable[StoreInfo],
    on_silent: Iterable[RegionInfo],
    silent: Collection[int],
    *,
    is_partial: bool,
) -> JsonObject:
    """Return the data of the part `leaders` where there are too many regions to read each.

    A region without a leader is counted at no store, so the difference is their number, give
    or take what splits between two questions. One that lost its quorum has a replica on a
    silent store, so it is found among the regions of those.

    Args:
        region_count: how many regions there are.
        stores: the stores, with the leaders that PD counts.
        on_silent: the regions with a replica on a silent store.
        silent: ids of the stores that PD does not hear.
        is_partial: whether more are there than could be read.
    """
    led = sum(store.status.leader_count for store in stores)
    lost = sorted({one.id for one in on_silent if has_lost_quorum(one, silent)})
    unled = max(0, region_count - led)
    return {
        "checked": False,
        "region_count": region_count,
        "without_leader_count": max(unled, len(lost)),
        "without_leader_region_ids": lost[:LISTED_REGIONS],
        "quorum_lost_count": len(lost),
        "quorum_lost_region_ids": lost[:LISTED_REGIONS],
        "quorum_is_partial": is_partial,
    }


def has_lost_quorum(region: RegionInfo, silent: Collection[int]) -> bool:
    """Return whether most voters of a region are on silent stores."""
    voters = region.voters
    alive = sum(peer.store_id not in silent for peer in voters)
    return bool(voters) and 2 * alive <= len(voters)


def pd_facts(members: Sequence[Member], leader: Member | None) -> JsonObject:
    """Return the data of the part `pd`."""
    healthy = [member.name for member in members if member.health]
    return {
        "leader": leader.name if leader else None,
        "has_leader": leader is not None,
        "member_count": len(members),
        "healthy_member_count": len(healthy),
        "unhealthy_members": [m.name for m in members if m.health is False],
        "members": {
            member.name: {"member_id": member.member_id, "health": member.health}
            for member in members
        },
    }


def silent_store_ids(stores: Iterable[StoreInfo], now: datetime | None) -> list[int]:
    """Return the stores that PD does not hear, also those whose state hides it (Offline)."""
    facts = {store.id: store_facts(store, now) for store in stores}
    return [store_id for store_id, data in facts.items() if _is_silent(data)]


def cluster_facts(
    stores: Sequence[StoreInfo], now: datetime | None, evicted: Collection[int] = ()
) -> JsonObject:
    """Return the data of the part `cluster`: what follows from the others.

    Args:
        stores: the stores.
        now: PD's time.
        evicted: stores whose leaders are being evicted.
    """
    facts = {store.id: store_facts(store, now) for store in stores}
    healthy = [store_id for store_id, data in facts.items() if data["is_healthy"]]
    takers = [store_id for store_id in healthy if store_id not in evicted]
    silent = [store_id for store_id, data in facts.items() if _is_silent(data)]
    slow = [store_id for store_id in healthy if facts[store_id]["slow_score"] >= SLOW_SCORE]
    return {
        "pd_time": to_text(now) if now else None,
        "store_count": len(facts),
        "healthy_store_ids": healthy,
        "healthy_store_count": len(healthy),
        "leader_taker_count": len(takers),
        "silent_store_ids": silent,
        "silent_store_count": len(silent),
        "leaving_store_ids": sorted(key for key, one in facts.items() if one["state"] == _OFFLINE),
        "slow_store_ids": slow,
        "slow_store_count": len(slow),
        "used_share": _used_share(stores),
        "leader_count": sum(facts[store_id]["leader_count"] for store_id in facts),
        "leaders_by_store": {str(key): facts[key]["leader_count"] for key in healthy},
    }


def _used_share(stores: Iterable[StoreInfo]) -> float | None:
    """Return how full the TiKV stores are together."""
    sizes = [
        (store.status.available, store.status.capacity)
        for store in stores
        if not store.is_tiflash and store.status.capacity and store.status.available is not None
    ]
    free, whole = sum(free or 0 for free, _ in sizes), sum(whole or 0 for _, whole in sizes)
    return round(1.0 - free / whole, 4) if whole else None


def _is_silent(data: Mapping[str, object]) -> bool:
    age = data["last_heartbeat_age_seconds"]
    is_old = isinstance(age, float) and age > DISCONNECTED_SECONDS
    return data["state_name"] in SILENT_STATES or is_old


def _share(available: int | None, capacity: int | None) -> float | None:
    return round(available / capacity, 4) if available is not None and capacity else None

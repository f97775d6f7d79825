"""Clusters as the twin sees them, and calls on them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from operator_core.actions.rehearsal import Rehearsal, rehearse
from operator_core.actions.types import ActionRequest
from operator_tikv.twin.twin import twin_of
from tikv_support import make_observation, make_store

if TYPE_CHECKING:
    from operator_core.monitor.types import Observation
    from operator_core.types import JsonObject

Given = dict[str, Any]


def pd(healthy: int = 3, members: int = 3) -> JsonObject:
    names = [f"pd-{number}" for number in range(members)]
    return {
        "has_leader": 2 * healthy > members,
        "leader": "pd-0" if 2 * healthy > members else None,
        "member_count": members,
        "healthy_member_count": healthy,
        "unhealthy_members": names[healthy:],
        "members": {
            name: {"member_id": str(10 + number), "health": number < healthy}
            for number, name in enumerate(names)
        },
    }


def troubles(**kinds: dict[int, list[int]]) -> JsonObject:
    """PD's lists: kind → store → regions; store 0 for replicas that are missing."""
    return {
        kind: {
            "count": sum(map(len, kinds.get(kind, {}).values())),
            "region_ids": sorted(one for ids in kinds.get(kind, {}).values() for one in ids),
            "peers_by_store": {
                str(store): len(ids) for store, ids in kinds.get(kind, {}).items() if store
            },
        }
        for kind in ("miss_peer", "down_peer", "pending_peer")
    }


def cluster(
    count: int = 4,
    *,
    silent: tuple[int, ...] = (),
    down: tuple[int, ...] = (),
    offline: tuple[int, ...] = (),
    evicted: tuple[int, ...] = (),
    unled: int = 0,
    free: str = "60GiB",
    config: Given | None = None,
    parts: dict[str, JsonObject] | None = None,
    **changes: Given,
) -> Observation:
    """Stores 1 to `count`; `store_2={…}` changes what one of them says."""
    stores = []
    for key in range(1, count + 1):
        said: Given = {"available": free}
        if key in silent or key in down:
            state = "Down" if key in down else "Disconnected"
            said |= {"meta_state_name": state, "age_seconds": 3600, "leader_count": 0}
        if key in offline:
            said |= {"meta_state_name": "Offline", "meta_state": 1}
        stores.append(make_store(key, **(said | changes.get(f"store_{key}", {}))))
    leaders: JsonObject = {"region_count": 80, "without_leader_count": unled}
    whole = {"pd": pd(), "leaders": leaders, "regions": troubles(), **(parts or {})}
    return make_observation(stores, evicted=evicted, config=config, parts=whole)


def labelled(key: str, value: str) -> Given:
    return {"meta_labels": [{"key": key, "value": value}]}


HEALTHY = cluster()
THREE = cluster(3)
FIVE = cluster(5)
ONE_DOWN = cluster(down=(4,))
THREE_ONE_DOWN = cluster(3, down=(3,))
JUST_SILENT = cluster(silent=(4,))
LEAVING = cluster(5, offline=(4,))
EVICTED = cluster(evicted=(4,))
FULL = cluster(free="22GiB")
STILL = cluster(config={"leader-schedule-limit": 0})
HALTED = cluster(config={"halt-scheduling": True})
LABELLED = cluster(
    3,
    store_1=labelled("zone", "a"),
    store_2=labelled("zone", "b"),
    store_3=labelled("zone", "c"),
)
BEHIND = cluster(parts={"regions": troubles(pending_peer={2: [7, 8]})})
MISSING = cluster(parts={"regions": troubles(miss_peer={0: [7]})})
PD_ONE_DOWN = cluster(parts={"pd": pd(2)})
PD_LOST = cluster(parts={"pd": pd(1)})
PD_FIVE = cluster(parts={"pd": pd(5, 5)})
QUORUM_LOST = cluster(down=(3, 4), unled=30)
SLOW = cluster(store_2={"slow_score": 100})
TIFLASH = cluster(store_4=labelled("engine", "tiflash"))


def on(store_id: int, **more: object) -> Given:
    return {"store_id": store_id, **more}


def move(region_id: int, source: int, target: int) -> Given:
    return {"region_id": region_id, "from_store_id": source, "to_store_id": target}


def item(name: str, value: str) -> Given:
    return {"item": name, "value": value}


def member(number: int) -> Given:
    return {"name": f"pd-{number}", "member_id": str(10 + number)}


def rehearsed(seen: Observation, action: str, given: Given) -> Rehearsal:
    twin = twin_of(seen)
    assert twin is not None
    return rehearse(twin, [ActionRequest(action_name=action, parameters=given)])[0]

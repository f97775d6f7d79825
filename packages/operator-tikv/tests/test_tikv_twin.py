"""The twin of TiKV: what is safe and what is not, as tables, and what it predicts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from operator_core.actions.rehearsal import Rehearsal, rehearse
from operator_core.actions.types import ActionRequest
from operator_tikv.actions.table import CHANGES
from operator_tikv.twin.twin import EFFECTS, twin_of
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
    parts={},
    store_1={"meta_labels": [{"key": "zone", "value": "a"}]},
    store_2={"meta_labels": [{"key": "zone", "value": "b"}]},
    store_3={"meta_labels": [{"key": "zone", "value": "c"}]},
)
BEHIND = cluster(parts={"regions": troubles(pending_peer={2: [7, 8]})})
MISSING = cluster(parts={"regions": troubles(miss_peer={0: [7]})})
PD_ONE_DOWN = cluster(parts={"pd": pd(2)})
PD_LOST = cluster(parts={"pd": pd(1)})
PD_FIVE = cluster(parts={"pd": pd(5, 5)})
QUORUM_LOST = cluster(down=(3, 4), unled=30)
SLOW = cluster(store_2={"slow_score": 100})
TIFLASH = cluster(store_4={"meta_labels": [{"key": "engine", "value": "tiflash"}]})


def on(store_id: int, **more: object) -> Given:
    return {"store_id": store_id, **more}


def move(region_id: int, source: int, target: int) -> Given:
    return {"region_id": region_id, "from_store_id": source, "to_store_id": target}


def item(name: str, value: str) -> Given:
    return {"item": name, "value": value}


def member(number: int) -> Given:
    return {"name": f"pd-{number}", "member_id": str(10 + number)}


UNSAFE: list[tuple[Observation, str, Given, str]] = [
    # A second store of few.
    (THREE_ONE_DOWN, "drain_store", on(1), "PD does not hear store 3"),
    (THREE_ONE_DOWN, "delete_store", on(2), "nowhere to go"),
    (ONE_DOWN, "drain_store", on(1), "PD does not hear store 4"),
    (ONE_DOWN, "delete_store", on(1), "PD does not hear store 4"),
    (JUST_SILENT, "delete_store", on(2), "PD does not hear store 4"),
    (JUST_SILENT, "delete_store", on(4), "may come back"),
    (QUORUM_LOST, "delete_store", on(3), "PD does not hear store 4"),
    # Nowhere to go.
    (THREE, "delete_store", on(1), "nowhere to go"),
    (cluster(1), "drain_store", on(1), "leaders have places"),
    (cluster(2), "drain_store", on(1), "leaders have places"),
    (cluster(3, evicted=(2,)), "drain_store", on(1), "evicted already"),
    (cluster(2), "set_store_weight", on(1, leader_weight=0.0, region_weight=1.0), "leaders have"),
    (FULL, "delete_store", on(4), "disks have room"),
    (cluster(4, free="25GiB"), "delete_store", on(1), "disks have room"),
    # While something else goes on.
    (EVICTED, "drain_store", on(1), "evicted already"),
    (EVICTED, "delete_store", on(1), "evicted already"),
    (LEAVING, "drain_store", on(1), "on its way out"),
    (LEAVING, "delete_store", on(1), "on its way out"),
    (BEHIND, "drain_store", on(1), "pending peer elsewhere"),
    (MISSING, "delete_store", on(1), "too few replicas"),
    (STILL, "drain_store", on(1), "leader-schedule-limit is 0"),
    (HALTED, "drain_store", on(1), "halt-scheduling"),
    (HALTED, "delete_store", on(1), "halt-scheduling"),
    (PD_LOST, "drain_store", on(1), "PD has no majority"),
    (HEALTHY, "drain_store", on(9), "knows no store 9"),
    (TIFLASH, "drain_store", on(4), "TiFlash"),
    (HEALTHY, "cancel_delete_store", on(1), "not on its way out"),
    (SLOW, "grant_leaders", on(2), "not well enough"),
    (ONE_DOWN, "grant_leaders", on(1), "PD does not hear"),
    # Single regions.
    (ONE_DOWN, "transfer_leader", {"region_id": 1, "to_store_id": 4}, "not healthy"),
    (EVICTED, "transfer_leader", {"region_id": 1, "to_store_id": 4}, "should not lead"),
    (SLOW, "transfer_leader", {"region_id": 1, "to_store_id": 2}, "should not lead"),
    (ONE_DOWN, "transfer_peer", move(1, 1, 4), "not healthy"),
    (BEHIND, "transfer_peer", move(7, 1, 4), "pending peer elsewhere"),
    (cluster(free="15GiB"), "add_peer", {"region_id": 1, "store_id": 4}, "disk left"),
    (ONE_DOWN, "remove_peer", {"region_id": 1, "store_id": 1}, "another failure takes"),
    (MISSING, "remove_peer", {"region_id": 7, "store_id": 1}, "another failure takes"),
    (BEHIND, "scatter_region", {"region_id": 8}, "pending peer elsewhere"),
    # PD.
    (HEALTHY, "delete_pd_member", member(1), "a PD member may fail"),
    (HEALTHY, "delete_pd_member", member(0), "leads PD"),
    (PD_ONE_DOWN, "delete_pd_member", member(1), "no majority"),
    (HEALTHY, "delete_pd_member", {"name": "pd-1", "member_id": "99"}, "has the id"),
    (PD_ONE_DOWN, "transfer_pd_leader", {"name": "pd-2"}, "not healthy"),
    (cluster(parts={"pd": pd(1, 1)}), "resign_pd_leader", {}, "nobody could follow"),
    # Switches.
    (HEALTHY, "set_schedule_config", item("replica-schedule-limit", "0"), "PD repairs"),
    (HEALTHY, "set_schedule_config", item("halt-scheduling", "true"), "PD repairs"),
    (HEALTHY, "set_schedule_config", item("enable-make-up-replica", "false"), "PD repairs"),
    (HEALTHY, "set_schedule_config", item("max-store-down-time", "5m"), "only restarts"),
    (HEALTHY, "set_replication_config", item("max-replicas", "5"), "replicas have places"),
    (HEALTHY, "set_replication_config", item("max-replicas", "1"), "a store may fail"),
    (ONE_DOWN, "pause_checker", {"name": "rule", "seconds": 60}, "nothing to repair waits"),
    (HEALTHY, "remove_scheduler", {"name": "balance-leader-scheduler"}, "PD balances"),
    (ONE_DOWN, "add_test_scheduler", {"name": "shuffle-region-scheduler"}, "PD does not hear"),
    (HEALTHY, "set_store_limit", on(1, rate=1e8, direction="remove-peer"), "without limit"),
    # Unsafe recovery where it is not the last resort.
    (HEALTHY, "unsafe_remove_failed_stores", {"store_ids": [1]}, "not Down"),
    (ONE_DOWN, "unsafe_remove_failed_stores", {"store_ids": [4]}, "no majority"),
    (QUORUM_LOST, "unsafe_remove_failed_stores", {"store_ids": [3]}, "left out"),
    (cluster(5, down=(4, 5)), "unsafe_remove_failed_stores", {"store_ids": [4, 5]}, "nothing to"),
]

SAFE: list[tuple[Observation, str, Given]] = [
    (HEALTHY, "drain_store", on(1)),
    (THREE, "drain_store", on(2)),
    (FIVE, "drain_store", on(5)),
    (SLOW, "drain_store", on(2)),
    (ONE_DOWN, "drain_store", on(4)),
    (cluster(parts={"regions": troubles(pending_peer={2: [7]})}), "drain_store", on(2)),
    (EVICTED, "undrain_store", on(4)),
    (HEALTHY, "grant_leaders", on(3)),
    (HEALTHY, "delete_store", on(4)),
    (FIVE, "delete_store", on(1)),
    (ONE_DOWN, "delete_store", on(4)),
    (cluster(5, down=(5,)), "delete_store", on(5)),
    (LEAVING, "cancel_delete_store", on(4)),
    (HEALTHY, "remove_tombstones", {}),
    (HEALTHY, "set_store_limit", on(1, rate=30.0)),
    (HEALTHY, "set_all_store_limits", {"rate": 5.0}),
    (HEALTHY, "set_store_weight", on(1, leader_weight=0.5, region_weight=1.0)),
    (HEALTHY, "set_store_weight", on(1, leader_weight=0.0, region_weight=1.0)),
    (LABELLED, "set_store_labels", on(1, labels={"disk": "ssd"})),
    (LABELLED, "delete_store_label", on(1, key="disk")),
    (QUORUM_LOST, "unsafe_remove_failed_stores", {"store_ids": [3, 4]}),
    (HEALTHY, "transfer_leader", {"region_id": 1, "to_store_id": 2}),
    (ONE_DOWN, "transfer_leader", {"region_id": 1, "to_store_id": 2}),
    (HEALTHY, "transfer_peer", move(1, 1, 4)),
    (BEHIND, "transfer_peer", move(1, 1, 4)),
    (BEHIND, "transfer_peer", move(7, 2, 4)),
    (HEALTHY, "add_peer", {"region_id": 1, "store_id": 4}),
    (HEALTHY, "add_learner", {"region_id": 1, "store_id": 4}),
    (ONE_DOWN, "remove_peer", {"region_id": 1, "store_id": 4}),
    (HEALTHY, "split_region", {"region_id": 1}),
    (HEALTHY, "merge_regions", {"source_region_id": 1, "target_region_id": 2}),
    (HEALTHY, "scatter_region", {"region_id": 1}),
    (HEALTHY, "transfer_pd_leader", {"name": "pd-1"}),
    (PD_ONE_DOWN, "transfer_pd_leader", {"name": "pd-1"}),
    (HEALTHY, "resign_pd_leader", {"leader": "pd-0"}),
    (PD_ONE_DOWN, "delete_pd_member", member(2)),
    (PD_FIVE, "delete_pd_member", member(4)),
    (HEALTHY, "add_scheduler", {"name": "balance-leader-scheduler"}),
    (HEALTHY, "add_test_scheduler", {"name": "shuffle-leader-scheduler"}),
    (HEALTHY, "pause_scheduler", {"name": "balance-region-scheduler", "seconds": 60}),
    (HEALTHY, "resume_scheduler", {"name": "balance-region-scheduler"}),
    (HEALTHY, "pause_checker", {"name": "merge", "seconds": 60}),
    (HEALTHY, "pause_checker", {"name": "rule", "seconds": 60}),
    (ONE_DOWN, "resume_checker", {"name": "rule"}),
    (HEALTHY, "set_schedule_config", item("leader-schedule-limit", "8")),
    (STILL, "set_schedule_config", item("leader-schedule-limit", "4")),
    (HALTED, "set_schedule_config", item("halt-scheduling", "false")),
    (HEALTHY, "set_schedule_config", item("max-store-down-time", "1h")),
    (HEALTHY, "set_schedule_config", item("merge-schedule-limit", "0")),
    (FIVE, "set_replication_config", item("max-replicas", "5")),
    (HEALTHY, "set_pd_log_level", {"level": "warn"}),
]


def rehearsed(seen: Observation, action: str, given: Given) -> Rehearsal:
    twin = twin_of(seen)
    assert twin is not None
    return rehearse(twin, [ActionRequest(action_name=action, parameters=given)])[0]


@pytest.mark.parametrize(("seen", "action", "given", "why"), UNSAFE)
def test_what_is_unsafe_is_refused(seen: Observation, action: str, given: Given, why: str) -> None:
    assert why in "; ".join(rehearsed(seen, action, given).worse)


@pytest.mark.parametrize(("seen", "action", "given"), SAFE)
def test_what_is_safe_passes(seen: Observation, action: str, given: Given) -> None:
    found = rehearsed(seen, action, given)
    assert found.worse == ()
    assert found.blast is not None
    assert all(share is not None and 0 <= share <= 1 for share in found.blast)


def test_a_label_that_keeps_replicas_apart_stays() -> None:
    config = {**LABELLED.data("config"), "location_labels": "zone"}
    part = LABELLED.parts["config"].model_copy(update={"data": config})
    seen = LABELLED.model_copy(update={"parts": {**LABELLED.parts, "config": part}})
    found = rehearsed(seen, "delete_store_label", on(1, key="zone"))
    assert found.worse == (
        "replicas are kept apart: stores 1 lack labels that keep replicas apart",
    )


def test_the_same_move_is_large_where_a_replica_is_gone() -> None:
    given = {"region_id": 1, "to_store_id": 2}
    small, large = (rehearsed(one, "transfer_leader", given) for one in (HEALTHY, ONE_DOWN))
    assert (small.tier, large.tier) == ("small", "large")
    assert large.blast is not None
    assert large.blast.quorum_share == 1.0


def test_a_drain_says_where_the_leaders_go() -> None:
    found = rehearsed(HEALTHY, "drain_store", on(1))
    assert {one.path: (one.before, one.after) for one in found.changes} == {
        "stores/1/leader_count": (20, 0),
        "stores/2/leader_count": (20, 27),
        "stores/3/leader_count": (20, 27),
        "stores/4/leader_count": (20, 27),
        "cluster/leader_taker_count": (4, 3),
    }
    assert found.blast is not None
    assert found.blast.leader_share == 0.25


def test_replicas_go_where_there_is_room() -> None:
    roomy = cluster(store_4={"available": "100GiB"}, store_3={"available": "20GiB"})
    changes = {one.path: one.after for one in rehearsed(roomy, "delete_store", on(1)).changes}
    assert changes["stores/1/region_count"] is None
    assert changes["stores/2/region_count"] == 80
    assert "stores/3/region_count" not in changes
    assert changes["stores/4/region_count"] == 100


def test_a_workflow_is_rehearsed_step_by_step() -> None:
    twin = twin_of(FIVE)
    assert twin is not None
    drain, delete, second = (
        ActionRequest(action_name=name, parameters=on(key))
        for name, key in (("drain_store", 1), ("delete_store", 1), ("drain_store", 2))
    )
    assert [one.worse for one in rehearse(twin, [drain, delete, second])] == [(), (), ()]
    both = rehearse(twin, [drain, second])
    assert both[0].worse == both[1].worse
    assert both[0].worse[0].startswith("step 2 (drain_store): the leaders of store 1 are being")


def test_what_has_no_model_is_not_known() -> None:
    assert set(EFFECTS) <= set(CHANGES)
    assert rehearsed(HEALTHY, "set_placement_rules", {"rules": []}).tier == "unknown"
    assert rehearsed(HEALTHY, "remove_peer", {"region_id": 1, "store_id": 1}).blast is None


def test_too_little_seen_is_no_twin() -> None:
    part = HEALTHY.parts["regions"].model_copy(update={"complete": False})
    seen = HEALTHY.model_copy(update={"parts": {**HEALTHY.parts, "regions": part}})
    assert twin_of(seen) is None

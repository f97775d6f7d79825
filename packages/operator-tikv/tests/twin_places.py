"""More for the twin of TiKV: zones, five replicas, TiFlash, PD, one thing down already."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twin_pictures import (
    EVICTED,
    HEALTHY,
    JUST_SILENT,
    LEAVING,
    ONE_DOWN,
    THREE,
    Given,
    cluster,
    item,
    labelled,
    member,
    move,
    on,
    pd,
)

if TYPE_CHECKING:
    from operator_core.monitor.types import Observation


def configured(seen: Observation, **values: object) -> Observation:
    part = seen.parts["config"]
    other = part.model_copy(update={"data": {**seen.data("config"), **values}})
    return seen.model_copy(update={"parts": {**seen.parts, "config": other}})


def zoned(zones: str, *, down: tuple[int, ...] = (), replicas: int = 3) -> Observation:
    """A store a letter, which is its zone."""
    labels: dict[str, Any] = {
        f"store_{number}": labelled("zone", zone) for number, zone in enumerate(zones, 1)
    }
    seen = cluster(len(zones), down=down, **labels)
    return configured(seen, location_labels="zone", max_replicas=replicas)


def members(healthy: int, count: int) -> Observation:
    return cluster(parts={"pd": pd(healthy, count)})


def five(count: int, *, down: tuple[int, ...] = (), unled: int = 0) -> Observation:
    return configured(cluster(count, down=down, unled=unled), max_replicas=5)


def flash(count: int, *store_ids: int) -> Observation:
    labels: dict[str, Any] = {f"store_{key}": labelled("engine", "tiflash") for key in store_ids}
    return cluster(count, **labels)


def lead(to: int) -> Given:
    return {"region_id": 1, "to_store_id": to}


def to(*store_ids: int) -> Given:
    return {"region_id": 1, "to_store_ids": list(store_ids)}


def weight(store_id: int, leader: float, region: float) -> Given:
    return on(store_id, leader_weight=leader, region_weight=region)


SPREAD, TIGHT = zoned("aabc"), zoned("abc")
PAUSED = cluster(parts={"schedulers": {**HEALTHY.data("schedulers"), "paused_checkers": ["rule"]}})
SLOW = cluster(5, store_5={"slow_score": 100})
PD_MUTE = members(1, 3)
ALL_DOWN = cluster(3, down=(1, 2, 3), unled=80)
TWO_WANTED, ONE_WANTED = (configured(THREE, max_replicas=count) for count in (2, 1))

UNSAFE_TOO: list[tuple[Observation, str, Given, str]] = [
    # The last store of a zone, and what makes it so.
    (SPREAD, "delete_store", on(3), "a zone holds 2 of 3"),
    (SPREAD, "delete_store", on(4), "a zone holds 2 of 3"),
    (zoned("aabbc"), "delete_store", on(5), "a zone holds 2 of 3"),
    (zoned("aabbc", replicas=5), "delete_store", on(5), "nowhere to go"),
    (zoned("aabbbc", replicas=5), "delete_store", on(6), "a zone holds 3 of 5"),
    (TIGHT, "delete_store", on(1), "nowhere to go"),
    (SPREAD, "set_store_labels", on(3, labels={"zone": "a"}), "a zone holds 2 of 3"),
    (TIGHT, "set_store_labels", on(3, labels={"zone": "a"}), "a zone holds 2 of 3"),
    (SPREAD, "delete_store_label", on(3, key="zone"), "kept apart"),
    (SPREAD, "set_store_labels", on(3, labels={"disk": "x"}, replace=True), "kept apart"),
    (zoned("aabc", down=(1,)), "delete_store", on(2), "does not hear store 1"),
    (zoned("aabc", down=(1,)), "drain_store", on(2), "does not hear store 1"),
    (SPREAD, "transfer_region", to(1, 2, 3), "2 of its replicas would be in one zone"),
    (SPREAD, "set_replication_config", item("location-labels", "host"), "kept apart"),
    (SPREAD, "set_replication_config", item("isolation-level", "host"), "0 places of host"),
    # What a store is.
    (HEALTHY, "set_store_labels", on(2, labels={"engine": "tiflash"}), "what a store is"),
    (THREE, "set_store_labels", on(2, labels={"$dedicated": "x"}), "keeps a store to itself"),
    # Five replicas.
    (five(5), "delete_store", on(1), "nowhere to go"),
    (five(6, down=(6,)), "delete_store", on(1), "does not hear store 6"),
    (five(6, down=(6,)), "drain_store", on(2), "does not hear store 6"),
    (five(7, down=(6, 7)), "drain_store", on(1), "does not hear store 6, 7"),
    (five(5), "set_replication_config", item("max-replicas", "7"), "replicas have places"),
    (five(5), "set_replication_config", item("max-replicas", "1"), "a store may fail"),
    # TiFlash.
    (flash(5, 5), "delete_store", on(5), "no other TiFlash"),
    (flash(4, 4), "delete_store", on(1), "nowhere to go"),
    (flash(4, 4), "grant_leaders", on(4), "not well enough"),
    (flash(5, 5), "transfer_leader", lead(5), "not healthy"),
    (flash(5, 5), "transfer_peer", move(1, 1, 5), "not healthy"),
    (flash(5, 5), "transfer_region", to(1, 2, 5), "not healthy"),
    # Members of PD.
    (members(4, 5), "delete_pd_member", member(2), "pd-4 is not healthy"),
    (members(3, 4), "delete_pd_member", member(1), "pd-3 is not healthy"),
    (members(3, 5), "delete_pd_member", member(0), "leads PD"),
    (members(2, 5), "delete_pd_member", member(4), "no majority"),
    (members(2, 5), "transfer_pd_leader", {"name": "pd-1"}, "no majority"),
    (PD_MUTE, "set_store_limit", on(1, rate=5.0), "no majority"),
    (PD_MUTE, "set_store_weight", weight(1, 1.0, 1.0), "no majority"),
    (PD_MUTE, "set_store_labels", on(1, labels={"a": "b"}), "no majority"),
    (PD_MUTE, "cancel_delete_store", on(1), "no majority"),
    (PD_MUTE, "set_schedule_config", item("leader-schedule-limit", "8"), "no majority"),
    (PD_MUTE, "add_scheduler", {"name": "balance-leader-scheduler"}, "no majority"),
    (PD_MUTE, "remove_tombstones", {}, "no majority"),
    (PD_MUTE, "undrain_store", on(1), "no majority"),
    (PD_MUTE, "pause_scheduler", {"name": "hot", "seconds": 60}, "no majority"),
    # All that is left.
    (ALL_DOWN, "unsafe_remove_failed_stores", {"store_ids": [1, 2, 3]}, "all data be lost"),
    (cluster(4, free="24GiB"), "set_store_weight", weight(1, 1.0, 0.0), "disks have room"),
    # Settings.
    (HEALTHY, "set_schedule_config", item("low-space-ratio", "0.99"), "fill disks beyond 95%"),
    (HEALTHY, "set_schedule_config", item("high-space-ratio", "0.95"), "less than low-space"),
    (HEALTHY, "set_schedule_config", item("low-space-ratio", "0"), "disks have room"),
    (HEALTHY, "set_schedule_config", item("high-space-ratio", "x"), "not from 0 to 1"),
    (HEALTHY, "set_schedule_config", item("max-store-down-time", "720h"), "that is lost"),
    (HEALTHY, "set_schedule_config", item("max-pending-peer-count", "0"), "makes no replicas"),
    (HEALTHY, "set_schedule_config", item("hot-region-schedule-limit", "0"), "PD repairs"),
    # While something goes on.
    (SLOW, "delete_store", on(1), "store 5 is slow"),
    (SLOW, "drain_store", on(1), "store 5 is slow"),
    (PAUSED, "delete_store", on(1), "checker rule is paused"),
    (EVICTED, "grant_leaders", on(4), "not well enough"),
    (LEAVING, "add_peer", on(4, region_id=1), "not healthy"),
    (LEAVING, "transfer_region", to(1, 2, 4), "not healthy"),
    (JUST_SILENT, "cancel_delete_store", on(4), "not on its way out"),
    (cluster(4, offline=(3,), down=(4,)), "delete_store", on(1), "does not hear store 4"),
    (cluster(offline=(3,)), "pause_checker", {"name": "rule", "seconds": 60}, "to repair waits"),
]

SAFE_TOO: list[tuple[Observation, str, Given]] = [
    (zoned("aabbcc"), "delete_store", on(1)),
    (SPREAD, "delete_store", on(1)),
    (SPREAD, "drain_store", on(3)),
    (TIGHT, "drain_store", on(1)),
    (zoned("aabc", down=(1,)), "delete_store", on(1)),
    (zoned("aabbcc"), "set_store_labels", on(1, labels={"rack": "r1"})),
    (SPREAD, "set_store_labels", on(2, labels={"zone": "b"})),
    (SPREAD, "delete_store_label", on(1, key="disk")),
    (SPREAD, "transfer_peer", move(1, 1, 2)),
    (TIGHT, "transfer_region", to(1, 2, 3)),
    (zoned("aabbc"), "set_replication_config", item("max-replicas", "5")),
    (zoned("aabbccc", replicas=5), "delete_store", on(7)),
    (zoned("aabbc", replicas=5), "drain_store", on(1)),
    (zoned("aabbc", replicas=5), "transfer_region", to(1, 2, 3, 4, 5)),
    (five(6), "delete_store", on(6)),
    (five(6, down=(6,)), "delete_store", on(6)),
    (five(5), "drain_store", on(1)),
    (five(5), "set_replication_config", item("max-replicas", "3")),
    (five(5, down=(3, 4, 5), unled=30), "unsafe_remove_failed_stores", {"store_ids": [3, 4, 5]}),
    (flash(6, 5, 6), "delete_store", on(6)),
    (flash(5, 5), "delete_store", on(1)),
    (flash(5, 5), "drain_store", on(1)),
    (members(5, 5), "delete_pd_member", member(3)),
    (members(4, 5), "delete_pd_member", member(4)),
    (members(3, 5), "delete_pd_member", member(4)),
    (members(4, 4), "delete_pd_member", member(1)),
    (members(2, 3), "resign_pd_leader", {"leader": "pd-0"}),
    (members(3, 5), "transfer_pd_leader", {"name": "pd-2"}),
    (PD_MUTE, "set_pd_log_level", {"level": "info"}),
    (HEALTHY, "set_schedule_config", item("low-space-ratio", "0.85")),
    (HEALTHY, "set_schedule_config", item("high-space-ratio", "0.6")),
    (HEALTHY, "set_schedule_config", item("max-store-down-time", "2h")),
    (HEALTHY, "set_store_weight", weight(1, 2.0, 1.0)),
    (HEALTHY, "set_store_weight", weight(1, 1.0, 0.5)),
    (HEALTHY, "set_store_weight", weight(1, 1.0, 0.0)),
    (SLOW, "drain_store", on(5)),
    (SLOW, "delete_store", on(5)),
    (ONE_DOWN, "set_schedule_config", item("replica-schedule-limit", "64")),
    (ONE_DOWN, "set_store_limit", on(1, rate=60.0)),
    (TWO_WANTED, "remove_peer", {"region_id": 1, "store_id": 1}),
    (ONE_WANTED, "remove_peer", {"region_id": 1, "store_id": 1}),
    (PAUSED, "resume_checker", {"name": "rule"}),
]

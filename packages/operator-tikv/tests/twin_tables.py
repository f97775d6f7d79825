"""What the twin of TiKV must refuse, with the reason, and what it must let pass."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twin_pictures import (
    BEHIND,
    EVICTED,
    FIVE,
    FULL,
    HALTED,
    HEALTHY,
    JUST_SILENT,
    LABELLED,
    LEAVING,
    MISSING,
    ONE_DOWN,
    PD_FIVE,
    PD_LOST,
    PD_ONE_DOWN,
    QUORUM_LOST,
    SLOW,
    STILL,
    THREE,
    THREE_ONE_DOWN,
    TIFLASH,
    Given,
    cluster,
    item,
    labelled,
    member,
    move,
    on,
    pd,
    troubles,
)

if TYPE_CHECKING:
    from operator_core.monitor.types import Observation

FIVE_DOWN = cluster(5, down=(5,))
RULED = cluster(parts={"placement": {"rule_count": 2}})
SSD = [{"key": "disk", "op": "in", "values": ["ssd"]}]
TWO_OF_A = cluster(3, store_1=labelled("zone", "a"), store_2=labelled("zone", "a"))
OVERRIDE = {"group_id": "x", "index": 2, "override": True}
REJECT_A = {"property_type": "reject-leader", "label_key": "zone", "label_value": "a"}
RANGE = {"start_key": "", "end_key": ""}
SITES = {"settings": {"replication-mode": "dr-auto-sync", "dr-auto-sync": {"label-key": "dc"}}}


def _rule(name: str = "zones", **more: object) -> Given:
    return {"group_id": "pd", "id": name, "role": "voter", "count": 3, **more}


def rules(name: str = "zones", **more: object) -> Given:
    return {"rules": [_rule(name, **more)]}


def bundle(group: str, *, count: int) -> Given:
    return {"group_id": group, "bundle": {"rules": [_rule("default", count=count)]}}


def bundles(*, count: int) -> Given:
    return {"bundles": [{"group_id": "pd", "rules": [_rule("zones", count=count)]}]}


def rule(name: str) -> Given:
    return {"group_id": "pd", "rule_id": name}


def deny(start_key: str = "") -> Given:
    labels = [{"key": "schedule", "value": "deny"}]
    ranges = [{"start_key": start_key, "end_key": ""}]
    return {"rule_id": "x", "rule": {"labels": labels, "data": ranges}}


def hot(leader: int, *others: int) -> Given:
    return {"leader_store_id": leader, "store_ids": [str(key) for key in others]}


def service(name: str) -> Given:
    return {"service_id": name, "safe_point": "1"}


def priority(number: int, wanted: int) -> Given:
    return {"name": f"pd-{number}", "priority": wanted}


def pair(source: int, target: int) -> Given:
    return {"source_region_id": source, "target_region_id": target}


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
    # Places for replicas.
    (HEALTHY, "set_placement_rules", rules(count=5), "wants 5 replicas and has 4"),
    (HEALTHY, "set_placement_rules", rules(count=0), "wants 0 replicas"),
    (HEALTHY, "set_placement_rules", rules(label_constraints=SSD), "has 0 healthy places"),
    (ONE_DOWN, "set_placement_rules", rules(count=1), "PD does not hear store 4"),
    (HEALTHY, "set_placement_rules", rules(name="default", count=2), "fewer than 3"),
    (LABELLED, "set_placement_rules", rules(count=2, isolation_level="rack"), "1 healthy places"),
    (HEALTHY, "replace_placement_rules", rules(count=2), "keep 2 voters"),
    (HEALTHY, "replace_placement_rules", rules(role="learner"), "keep 0 voters"),
    (LEAVING, "replace_placement_rules", rules(), "on its way out"),
    (HEALTHY, "delete_placement_rule", rule("default"), "what no other rule names"),
    (MISSING, "delete_placement_rule", rule("zones"), "too few replicas"),
    (JUST_SILENT, "enable_placement_rules", {}, "PD does not hear store 4"),
    (TIFLASH, "disable_placement_rules", {}, "lives by placement rules"),
    (RULED, "disable_placement_rules", {}, "2 placement rules are in use"),
    (RULED, "set_replication_config", item("enable-placement-rules", "false"), "are in use"),
    (ONE_DOWN, "set_rule_group", {"group_id": "pd", "index": 2}, "PD does not hear"),
    (ONE_DOWN, "set_rule_group", OVERRIDE, "PD does not hear"),
    (ONE_DOWN, "delete_rule_group", {"group_id": "pd"}, "PD does not hear"),
    (HEALTHY, "set_rule_bundle", bundle("pd", count=1), "keep 1 voters"),
    (HEALTHY, "set_rule_bundle", bundle("x", count=9), "wants 9 replicas"),
    (HEALTHY, "delete_rule_bundle", {"group_id": "pd"}, "what no other rule names"),
    (BEHIND, "delete_rule_bundle", {"group_id": "x"}, "pending peer elsewhere"),
    (HEALTHY, "replace_rule_bundles", bundles(count=1), "keep 1 voters"),
    (HEALTHY, "set_region_label_rule", deny(), "forbids to schedule every key"),
    (ONE_DOWN, "set_region_label_rule", deny("7480"), "PD could not repair"),
    (PD_LOST, "delete_region_label_rule", {"rule_id": "x"}, "PD has no majority"),
    (TWO_OF_A, "set_label_property", REJECT_A, "leaders have places"),
    (ONE_DOWN, "set_label_property", REJECT_A, "PD does not hear"),
    (PD_LOST, "delete_label_property", REJECT_A, "PD has no majority"),
    (THREE, "set_replication_config", item("location-labels", "zone"), "kept apart"),
    (THREE, "set_replication_config", item("isolation-level", "zone"), "0 places of zone"),
    (LABELLED, "set_replication_config", item("max-replicas", "4"), "replicas have places"),
    (HEALTHY, "set_replication_config", item("max-replicas", "0"), "no replica"),
    (HEALTHY, "set_replication_config", item("max-replicas", "2"), "a store may fail"),
    (FIVE_DOWN, "set_replication_config", item("max-replicas", "5"), "PD does not hear"),
    (FIVE_DOWN, "set_replication_config", item("max-replicas", "2"), "a store may fail"),
    # Schedulers.
    (ONE_DOWN, "add_scatter_range_scheduler", RANGE, "PD does not hear"),
    (BEHIND, "add_balance_range_scheduler", RANGE, "pending peer elsewhere"),
    (HEALTHY, "add_grant_hot_region_scheduler", hot(1, 9), "knows no store 9"),
    (SLOW, "add_grant_hot_region_scheduler", hot(1, 2), "store 2 is not well enough"),
    (EVICTED, "set_grant_hot_region_stores", hot(4, 1), "store 4 is not well enough"),
    (ONE_DOWN, "set_grant_hot_region_stores", hot(1, 2), "PD does not hear"),
    (ONE_DOWN, "set_shuffle_region_roles", {"roles": ["learner"]}, "PD does not hear"),
    (HEALTHY, "stop_granting_leaders", on(9), "knows no store 9"),
    (HEALTHY, "remove_scheduler", {"name": "evict-leader-scheduler"}, "several stores"),
    (ONE_DOWN, "remove_scheduler", {"name": "balance-region-scheduler"}, "PD balances"),
    # Limits and switches.
    (ONE_DOWN, "set_schedule_config", item("halt-scheduling", "true"), "PD repairs"),
    (ONE_DOWN, "set_schedule_config", item("replica-schedule-limit", "0"), "PD repairs"),
    (HEALTHY, "set_schedule_config", item("region-schedule-limit", "-1"), "not from 0"),
    (HEALTHY, "set_schedule_config", item("leader-schedule-limit", "many"), "not from 0"),
    (HEALTHY, "set_schedule_config", item("low-space-ratio", "80"), "not from 0 to 1"),
    (HEALTHY, "set_schedule_config", item("low-space-ratio", "0.2"), "disks have room"),
    (HEALTHY, "set_schedule_config", item("max-snapshot-count", "0"), "makes no replicas"),
    (HEALTHY, "set_schedule_config", item("enable-remove-down-replica", "false"), "PD repairs"),
    (HEALTHY, "set_replication_mode", SITES, "lack the label dc"),
    (PD_LOST, "set_pd_server_config", item("flow-round-by-digit", "4"), "PD has no majority"),
    (ONE_DOWN, "set_cluster_version", {"version": "9.0.0"}, "PD does not hear"),
    (PD_LOST, "set_service_middleware_config", item("audit.enable-audit", "1"), "no majority"),
    (PD_LOST, "configure_scheduler", item("batch", "4"), "PD has no majority"),
    (HEALTHY, "delete_gc_safepoint", service("gc_worker"), "garbage collection itself"),
    (PD_ONE_DOWN, "set_pd_leader_priority", priority(2, 5), "should not lead"),
    (HEALTHY, "set_pd_leader_priority", priority(7, 5), "is not there"),
    (PD_LOST, "set_store_limit_scene", {"scene": "idle", "rate": 9}, "PD has no majority"),
    (cluster(parts={"pd": pd(1, 1)}), "delete_pd_member", member(0), "leads PD"),
    # Ids of nothing.
    (HEALTHY, "drain_store", on(2**63), "knows no store"),
    (HEALTHY, "delete_store", on(0), "knows no store"),
    (HEALTHY, "transfer_peer", move(1, 99, 4), "knows no store 99"),
    (HEALTHY, "set_store_weight", on(7, leader_weight=1.0, region_weight=1.0), "no store 7"),
    (HEALTHY, "set_store_limit", on(7, rate=1.0), "knows no store 7"),
    # Regions in trouble.
    (BEHIND, "split_region", {"region_id": 7}, "pending peer elsewhere"),
    (MISSING, "merge_regions", pair(1, 7), "miss peer elsewhere"),
    (MISSING, "merge_regions", pair(7, 1), "miss peer elsewhere"),
    (HEALTHY, "merge_regions", pair(1, 1), "with itself"),
    (HEALTHY, "transfer_region", {"region_id": 1, "to_store_ids": [1, 2]}, "have 2 voters"),
    (ONE_DOWN, "transfer_region", {"region_id": 1, "to_store_ids": [1, 2, 4]}, "not healthy"),
    (BEHIND, "transfer_region", {"region_id": 7, "to_store_ids": [1, 2, 3]}, "pending peer"),
    (MISSING, "cancel_operator", {"region_id": 7}, "may be repairing it"),
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
    (HEALTHY, "transfer_region", {"region_id": 1, "to_store_ids": [1, 2, 3]}),
    (MISSING, "cancel_operator", {"region_id": 1}),
    (HEALTHY, "stop_granting_leaders", on(1)),
    (HEALTHY, "set_store_limit_scene", {"scene": "idle", "rate": 60}),
    (HEALTHY, "add_scatter_range_scheduler", RANGE),
    (HEALTHY, "add_balance_range_scheduler", RANGE),
    (HEALTHY, "add_grant_hot_region_scheduler", hot(1, 2)),
    (HEALTHY, "set_grant_hot_region_stores", hot(2, 3)),
    (HEALTHY, "set_shuffle_region_roles", {"roles": ["learner"]}),
    (HEALTHY, "remove_scheduler", {"name": "shuffle-leader-scheduler"}),
    (ONE_DOWN, "remove_scheduler", {"name": "shuffle-region-scheduler"}),
    (HEALTHY, "configure_scheduler", item("batch", "4")),
    (HEALTHY, "set_pd_server_config", item("flow-round-by-digit", "4")),
    (HEALTHY, "set_service_middleware_config", item("audit.enable-audit", "1")),
    (HEALTHY, "set_cluster_version", {"version": "9.0.0"}),
    (HEALTHY, "set_replication_mode", {"settings": {"replication-mode": "majority"}}),
    (LABELLED, "set_label_property", REJECT_A | {"label_value": "far"}),
    (HEALTHY, "delete_label_property", REJECT_A),
    (HEALTHY, "set_placement_rules", rules()),
    (HEALTHY, "set_placement_rules", rules(count=4, role="learner")),
    (LABELLED, "set_placement_rules", rules(isolation_level="zone")),
    (HEALTHY, "replace_placement_rules", rules(name="default")),
    (HEALTHY, "delete_placement_rule", rule("zones")),
    (HEALTHY, "enable_placement_rules", {}),
    (HEALTHY, "disable_placement_rules", {}),
    (HEALTHY, "set_rule_group", {"group_id": "pd", "index": 2, "override": True}),
    (HEALTHY, "delete_rule_group", {"group_id": "pd"}),
    (HEALTHY, "set_rule_bundle", bundle("x", count=1)),
    (HEALTHY, "set_rule_bundle", bundle("pd", count=3)),
    (HEALTHY, "delete_rule_bundle", {"group_id": "x"}),
    (HEALTHY, "replace_rule_bundles", bundles(count=3)),
    (HEALTHY, "set_region_label_rule", deny("7480")),
    (HEALTHY, "delete_region_label_rule", {"rule_id": "x"}),
    (HEALTHY, "set_pd_leader_priority", priority(1, 5)),
    (PD_ONE_DOWN, "set_pd_leader_priority", priority(2, -5)),
    (HEALTHY, "delete_gc_safepoint", service("ticdc-old")),
    (LABELLED, "set_replication_config", item("location-labels", "zone")),
    (LABELLED, "set_replication_config", item("isolation-level", "zone")),
    (LABELLED, "set_replication_config", item("strictly-match-label", "true")),
    (HEALTHY, "set_schedule_config", item("max-snapshot-count", "64")),
    (HEALTHY, "set_schedule_config", item("low-space-ratio", "0.7")),
]

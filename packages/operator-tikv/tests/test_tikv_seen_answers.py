"""Answers in shapes that people have shown in public mean what they meant there.

The values are made up; the shapes are those of the places named beside each case.
"""

from __future__ import annotations

from typing import Any

import pytest

from operator_tikv import facts
from operator_tikv.facts_moving import hot_facts
from operator_tikv.pd.parse import fit
from operator_tikv.pd.types import EvictConfig, Members, Regions, StoreInfo
from operator_tikv.watched import HotRegions, RegionLabelRules, Rules, SafePoints

Json = Any
GIB = 1024**3
START = "2017-08-24T10:22:55+08:00"
BEAT = "2017-08-24T10:25:06.133247517+08:00"


def of_2017(state: int, name: str, **status: Json) -> Json:
    store = {"id": 1, "address": "10.0.1.1:20160", "state": state, "state_name": name}
    return {"store": store, "status": {"region_count": 1, **status}}


# https://github.com/tikv/pd/pull/712: Up, Down, Offline, and one that PD has not heard of.
@pytest.mark.parametrize(
    ("answer", "is_up", "free_share", "is_heard"),
    [
        (of_2017(0, "Up", capacity="200 GiB", available="80 GiB", start_ts=START), True, 0.4, 0),
        (of_2017(0, "Down", capacity="9 GiB", available="9 GiB", last_heartbeat_ts=BEAT), 0, 1, 1),
        (of_2017(1, "Offline", capacity="8 GB", available="2 GB", uptime="2m11.1s"), 0, 0.25, 0),
        (of_2017(1, "Offline"), False, None, False),
    ],
)
def test_a_store_of_2017_is_understood(
    answer: Json, is_up: bool, free_share: float | None, is_heard: bool
) -> None:
    store = fit(StoreInfo, answer, "GET /store/1")
    told = facts.store_facts(store, None)
    assert store.is_up_tikv == is_up
    assert told["available_share"] == free_share
    assert (store.last_heartbeat is not None) == is_heard
    assert told["region_count"] == 1


# `pd-ctl region topread` of PD 3.0, https://github.com/pingcap-incubator/tidb-in-action.
def test_hot_regions_of_pd_3_are_understood() -> None:
    hot: Json = {
        "region_id": 44,
        "flow_bytes": 2.5e5,
        "hot_degree": 15,
        "AntiCount": 1,
        "Stats": None,
    }
    leads: Json = {"1": {"total_flow_bytes": 248535, "regions_count": 1, "statistics": [hot]}}
    found = fit(HotRegions, {"as_peer": None, "as_leader": leads}, "GET /hotspot/regions/read")
    told = hot_facts({"read": found})["read"]
    assert told["count"] == 1
    assert told["regions"][0]["region_id"] == 44


# https://docs.pingcap.com/tidb/stable/pd-control: service-gc-safepoint, of a young cluster.
def test_a_cluster_that_never_collected_garbage_says_0() -> None:
    worker: Json = {
        "service_id": "gc_worker",
        "expired_at": 2**63 - 1,
        "safe_point": 439923410637160448,
    }
    found = fit(SafePoints, {"service_gc_safe_points": [worker], "gc_safe_point": 0}, "GET /gc")
    assert found.gc_safe_point == 0
    assert found.services[0].expired_at == 2**63 - 1


# https://docs.pingcap.com/tidb/stable/configure-placement-rules and .../table-attributes.
def test_rules_of_tiflash_and_labels_of_tables_are_understood() -> None:
    flash: Json = {
        "group_id": "tiflash",
        "id": "table-45-r",
        "override": True,
        "role": "learner",
        "count": 1,
        "label_constraints": [{"key": "engine", "op": "in", "values": ["tiflash"]}],
    }
    leader: Json = {"group_id": "g", "id": "l", "index": 40, "role": "leader", "count": 1}
    leader["label_constraints"] = [{"key": "engine", "op": "notExists"}]
    rules = fit(Rules, {"rules": [flash, leader]}, "GET /config/rules").rules
    assert [one.label_constraints[0].admits({"engine": "tiflash"}) for one in rules] == [
        True,
        False,
    ]
    ends: Json = {
        "key": "schedule",
        "value": "deny",
        "ttl": "5m0s",
        "start_at": "2022-08-29T14:29:36.9Z",
    }
    stays: Json = {"key": "merge_option", "value": "deny"}
    table: Json = {
        "id": "schema/a/b",
        "labels": [stays, ends],
        "rule_type": "key-range",
        "data": None,
    }
    (rule,) = fit(RegionLabelRules, {"rules": [table]}, "GET /config/region-label/rules").rules
    assert [one.ttl for one in rule.labels] == ["", "5m0s"]


# PD 4.0 without a leader, and with ids that fit into no float; issues of tikv/pd show both.
def test_members_without_a_leader_and_with_large_ids_are_understood() -> None:
    member: Json = {
        "name": "pd",
        "member_id": 13805696380853990001,
        "client_urls": ["http://a:2379"],
    }
    found = fit(Members, {"members": [member], "leader": None, "etcd_leader": {}}, "GET /members")
    assert found.leader is None
    assert found.members[0].member_id == 13805696380853990001


# A learner that is down, as before roles had names (v4.0), and no list where nothing is pending.
def test_a_learner_that_is_down_is_understood_without_the_name_of_its_role() -> None:
    down: Json = {"peer": {"id": 9, "store_id": 4, "is_learner": True}, "down_seconds": 1211}
    region: Json = {
        "id": 2,
        "peers": [{"id": 3, "store_id": 1}],
        "leader": {"id": 3, "store_id": 1},
    }
    answer: Json = {
        "count": 1,
        "regions": [{**region, "down_peers": [down], "pending_peers": None}],
    }
    (found,) = fit(Regions, answer, "GET /regions/check/down-peer").regions
    assert found.unhealthy_store_ids == {4}
    assert not found.down_peers[0].peer.is_voter


# evict-leader of 4.0 (one range a store) and a store whose ranges are null.
def test_stores_that_are_evicted_are_read_whatever_their_ranges() -> None:
    ranges: Json = {"1": [{"start-key": "", "end-key": ""}], "4": None}
    answer = {"store-id-ranges": ranges}
    assert set(fit(EvictConfig, answer, "GET /scheduler-config").stores) == {1, 4}

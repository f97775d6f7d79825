"""The reads that are compared, and what each should be answered. All of them are safe."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from operator_tikv.compare.shapes import ANY_KEY, Shape

OK: Final = frozenset({200})
ABSENT_IS_FINE: Final = frozenset({200, 404})
V1: Final = "/pd/api/v1"


@dataclass(frozen=True)
class Step:
    """One read.

    Attributes:
        path: what is read; ``{store}`` and ``{region}`` are filled in with the first ones.
        shape: what a 200 should look like.
        statuses: which statuses are fine.
        error: what the body of another status should look like; None: it is not looked at.
        query: query parameters.
        prefix: what the path begins with.
    """

    path: str
    shape: Shape = "any"
    statuses: frozenset[int] = OK
    error: Shape | None = None
    query: Mapping[str, str] = field(default_factory=dict)
    prefix: str = V1


_PEER: Final[Mapping[str, Shape]] = {
    "id": "int",
    "store_id": "int",
    "role?": "int",
    "role_name?": "text",
    "is_learner?": "bool",
    "is_witness?": "bool",
}
_REGION: Final[Mapping[str, Shape]] = {
    "id": "int",
    "start_key": "text",
    "end_key": "text",
    "epoch?": {"conf_ver?": "int", "version?": "int"},
    "peers?": [_PEER],
    "down_peers?": [{"peer": _PEER, "down_seconds?": "int"}],
    "pending_peers?": [_PEER],
    "cpu_usage?": "number",
    "written_bytes?": "int",
    "read_bytes?": "int",
    "written_keys?": "int",
    "read_keys?": "int",
    "approximate_size?": "int",
    "approximate_keys?": "int",
    "approximate_kv_size?": "int",
    "buckets?": ["any"],
    "replication_status?": "any",
}
REGION: Final[Shape] = {**_REGION, "leader": _PEER}
ZERO_REGION: Final[Shape] = {**_REGION, "leader?": {"role_name?": "text"}}
"""PD's answer for a region that it does not know; before 6.5 it was null."""

REGIONS: Final[Shape] = {"count": "int", "regions?": [REGION]}
STORE: Final[Shape] = {
    "store": {
        "id": "int",
        "address": "text",
        "state?": "int",
        "labels?": [{"key": "text", "value?": "text"}],
        "version?": "text",
        "peer_address?": "text",
        "status_address?": "text",
        "git_hash?": "text",
        "start_timestamp?": "int",
        "deploy_path?": "text",
        "last_heartbeat?": "int",
        "physically_destroyed?": "bool",
        "node_state?": "int",
        "state_name": "text",
    },
    "status": {
        "capacity?": "size",
        "available?": "size",
        "used_size?": "size",
        "leader_count?": "int",
        "leader_weight?": "number",
        "leader_score?": "number",
        "leader_size?": "number",
        "region_count?": "int",
        "region_weight?": "number",
        "region_score?": "number",
        "region_size?": "number",
        "learner_count?": "int",
        "witness_count?": "int",
        "pending_peer_count?": "int",
        "sending_snap_count?": "int",
        "receiving_snap_count?": "int",
        "applying_snap_count?": "int",
        "slow_score?": "int",
        "network_slow_score?": {ANY_KEY: "number"},
        "slow_trend?": {ANY_KEY: "number"},
        "is_busy?": "bool",
        "start_ts?": "time",
        "last_heartbeat_ts?": "time",
        "uptime?": "duration",
    },
}
STORES: Final[Shape] = {"count": "int", "stores": [STORE]}
_MEMBER: Final[Mapping[str, Shape]] = {
    "name": "text",
    "member_id": "int",
    "peer_urls?": ["text"],
    "client_urls": ["text"],
    "leader_priority?": "int",
    "deploy_path?": "text",
    "binary_version?": "text",
    "git_hash?": "text",
}
SCHEDULE: Final[Shape] = {
    "leader-schedule-limit": "int",
    "region-schedule-limit": "int",
    "replica-schedule-limit": "int",
    "hot-region-schedule-limit?": "int",
    "merge-schedule-limit?": "int",
    "low-space-ratio": "number",
    "high-space-ratio?": "number",
    "max-store-down-time": "duration",
    "max-snapshot-count?": "int",
    "max-pending-peer-count?": "int",
    "leader-schedule-policy?": "text",
    "halt-scheduling?": "switch",
    "enable-make-up-replica?": "switch",
    "enable-replace-offline-replica?": "switch",
    "enable-remove-down-replica?": "switch",
    "enable-remove-extra-replica?": "switch",
    "enable-location-replacement?": "switch",
    "store-limit?": {ANY_KEY: {"add-peer": "number", "remove-peer": "number"}},
    "schedulers-v2?": [
        {"type": "text", "args": ["text"], "disable": "switch", "args-payload": "text"}
    ],
    ANY_KEY: "any",
}
REPLICATE: Final[Shape] = {
    "max-replicas": "int",
    "location-labels": "text",
    "enable-placement-rules?": "switch",
    "isolation-level?": "text",
    "strictly-match-label?": "switch",
    ANY_KEY: "any",
}
_RULE: Final[Shape] = {
    "group_id": "text",
    "id": "text",
    "index?": "int",
    "override?": "bool",
    "start_key": "text",
    "end_key": "text",
    "role": "text",
    "is_witness?": "bool",
    "count": "int",
    "label_constraints?": [{"key": "text", "op": "text", "values?": ["text"]}],
    "location_labels?": ["text"],
    "isolation_level?": "text",
    "version?": "int",
    "create_timestamp?": "int",
}
_LABEL_RULE: Final[Shape] = {
    "id": "text",
    "index?": "int",
    "labels": [{"key": "text", "value": "text", "ttl?": "text", "start_at?": "text"}],
    "rule_type": "text",
    "data": "any",
}
_SAFE_POINTS: Final[Shape] = {
    "service_gc_safe_points?": [
        {"service_id": "text", "expired_at": "int", "safe_point": "int", "keyspace_id?": "int"}
    ],
    "min_service_gc_safe_point?": "int",
    "gc_safe_point": "int",
}
_PROGRESS: Final[Shape] = {
    "action": "text",
    "store_id?": "int",
    "progress": "number",
    "current_speed": "number",
    "left_seconds": "number",
}
_RATES: Final[Shape] = {ANY_KEY: {ANY_KEY: "number"}}
_HOT: Final[Shape] = {"as_peer": "any", "as_leader": "any", ANY_KEY: "any"}
_CHECKS: Final = (
    "miss-peer",
    "down-peer",
    "pending-peer",
    "extra-peer",
    "offline-peer",
    "learner-peer",
)
_CHECKERS: Final = ("replica", "rule", "learner", "merge", "split", "joint-state")

SCRIPT: Final = (
    Step(
        "/members",
        {"header?": "any", "members": [_MEMBER], "leader": _MEMBER, "etcd_leader?": _MEMBER},
    ),
    Step(
        "/health", [{"name": "text", "member_id": "int", "client_urls": ["text"], "health": "bool"}]
    ),
    Step("/leader", _MEMBER),
    Step(
        "/status",
        {"build_ts?": "text", "version": "text", "git_hash": "text", "start_timestamp": "int"},
    ),
    Step("/version", {"version": "text", ANY_KEY: "text"}),
    Step("/cluster", {"id": "int", "max_peer_count?": "int"}),
    Step(
        "/cluster/status",
        {"raft_bootstrap_time?": "time", "is_initialized": "bool", "replication_status?": "text"},
    ),
    Step("/stores", STORES),
    Step("/stores", STORES, query={"state": "2"}),
    Step("/store/{store}", STORE),
    Step("/store/18446744073709551", statuses=frozenset({404}), error="text"),
    Step(
        "/store/x", statuses=frozenset({400}), error={"code": "text", "msg": "text", "data?": "any"}
    ),
    Step("/stores/limit", {ANY_KEY: {"add-peer": "number", "remove-peer": "number"}}),
    Step("/stores/progress", _PROGRESS, ABSENT_IS_FINE, "text", {"action": "removing"}),
    Step("/regions/count", {"count": "int", "regions?": "null"}),
    Step("/regions/key", REGIONS, query={"key": "", "limit": "3"}),
    Step("/region/id/{region}", REGION),
    Step("/region/id/18446744073709551", ZERO_REGION),
    *(Step(f"/regions/check/{kind}", REGIONS) for kind in _CHECKS),
    Step("/operators", ["text"]),
    Step("/operators/18446744073709551", statuses=frozenset({500}), error="text"),
    Step("/schedulers", ["text"]),
    Step("/schedulers", ["text"], query={"status": "paused"}),
    Step(
        "/scheduler-config/evict-leader-scheduler/list",
        {"store-id-ranges": {ANY_KEY: [{"start-key": "text", "end-key": "text"}]}, "batch?": "int"},
        ABSENT_IS_FINE,
    ),
    *(Step(f"/checker/{name}", {"paused": "bool"}) for name in _CHECKERS),
    Step("/config", {"schedule": SCHEDULE, "replication": REPLICATE, ANY_KEY: "any"}),
    Step("/config/schedule", SCHEDULE),
    Step("/config/replicate", REPLICATE),
    Step("/config/rules", [_RULE], frozenset({200, 412}), "text"),
    Step("/config/region-label/rules", [_LABEL_RULE], frozenset({200, 404, 412})),
    Step("/gc/safepoint", _SAFE_POINTS),
    Step("/hotspot/stores", _RATES),
    Step("/hotspot/regions/write", _HOT),
    Step("/min-resolved-ts", {"min_resolved_ts": "int", ANY_KEY: "any"}),
    Step("/replication_mode/status", {"mode": "text", ANY_KEY: "any"}),
    Step(
        "/admin/unsafe/remove-failed-stores/show",
        [{"info": "text", "time?": "text", ANY_KEY: "any"}],
    ),
    Step("/no-such-page", statuses=frozenset({404})),
    Step("/pd/api/v2/ready", "any", prefix=""),
    Step("/metrics", "any", prefix=""),
)

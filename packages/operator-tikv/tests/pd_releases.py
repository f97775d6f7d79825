"""What PD of each release answers to a look at a healthy cluster, written after its sources.

Three TiKV stores and, from 4.0 on, TiFlash. Each release adds what it prints more.
"""

from __future__ import annotations

import copy
import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import httpx

from operator_core.testing.clock import ManualClock
from operator_tikv.metrics.sight import MetricsSettings
from operator_tikv.observation import Eyes
from operator_tikv.pd.api import PdApi
from operator_tikv.pd.client import API, PdClient
from tikv_support import NOW, PD_URL

if TYPE_CHECKING:
    from collections.abc import Callable

    from operator_core.monitor.types import Observation

Json = Any

RELEASES: Final = ("4.0.16", "5.4.3", "6.5.11", "7.5.6", "8.5.7", "dr-auto-sync", "of tomorrow")
LARGE_ID: Final = 18_446_744_073_709_551_557
BEAT: Final = NOW - timedelta(seconds=4)
NANOSECONDS: Final = int(BEAT.timestamp()) * 1_000_000_000 + 792_220_820
RFC3339: Final = BEAT.strftime("%Y-%m-%dT%H:%M:%S.792220820Z")
NO_PAGE: Final = httpx.Response(404, text="404 page not found\n")


def _store(number: int, version: str, **labels: str) -> Json:
    is_flash = labels.get("engine", "").startswith("tiflash")
    return {
        "store": {
            "id": number,
            "address": f"10.0.1.{number}:{3930 if is_flash else 20160}",
            "labels": [{"key": key, "value": value} for key, value in labels.items()],
            "version": version,
            "status_address": f"10.0.1.{number}:{20292 if is_flash else 20180}",
            "git_hash": "d7dc4fff51ca71c76a928a0780a069efaaeaae70",
            "start_timestamp": 1636421304,
            "deploy_path": "/tidb-deploy/tikv-20160/bin",
            "last_heartbeat": NANOSECONDS,
            "state_name": "Up",
        },
        "status": {
            "capacity": "446.8GiB",
            "available": "432.7GiB",
            "used_size": "4.071GiB",
            "leader_count": 0 if is_flash else 50,
            "leader_weight": 1,
            "leader_score": 0 if is_flash else 50,
            "leader_size": 2839,
            "region_count": 150,
            "region_weight": 1,
            "region_score": 6111,
            "region_size": 6111,
            "start_ts": "2021-11-09T09:28:24+08:00",
            "last_heartbeat_ts": RFC3339,
            "uptime": "827h39m41.79222082s",
        },
    }


def _member(name: str, member_id: int) -> Json:
    return {
        "name": name,
        "member_id": member_id,
        "peer_urls": [f"http://{name}:2380"],
        "client_urls": [PD_URL if name == "pd-0" else f"http://{name}:2379"],
    }


def _region(number: int) -> Json:
    peers = [{"id": number + store, "store_id": store} for store in (1, 2, 3)]
    return {
        "id": number,
        "start_key": "7480000000000000FF5F72800000000000FF0A00000000000000F8",
        "end_key": "",
        "epoch": {"conf_ver": 6, "version": 88120},
        "peers": peers,
        "leader": peers[0],
        "written_bytes": 0,
        "read_bytes": 0,
        "approximate_size": 96,
        "approximate_keys": 0,
    }


def v4() -> dict[str, Json]:
    """PD 4.0: no roles, no node states, no region labels, no readiness; switches are texts."""
    stores = [
        _store(1, "4.0.16"),
        _store(2, "4.0.16"),
        _store(3, "4.0.16"),
        _store(9, "v4.1.0-alpha-TiFlash", engine="tiflash"),
    ]
    members = [_member("pd-0", 13248060353287547571), _member("pd-1", 8776556846936845803)]
    flow = {"total_flow_bytes": 120.5, "total_flow_keys": 3, "regions_count": 0, "statistics": None}
    return {
        "/stores": {"count": 4, "stores": stores},
        "/stores?state=2": {"count": 0, "stores": []},
        "/regions/count": {"count": 150, "regions": None},
        "/regions": {"count": 150, "regions": [_region(1000 + 10 * n) for n in range(150)]},
        **{
            f"/regions/check/{kind}-peer": {"count": 0, "regions": []}
            for kind in ("miss", "down", "pending", "extra", "offline")
        },
        "/schedulers": [
            "balance-hot-region-scheduler",
            "balance-leader-scheduler",
            "balance-region-scheduler",
            "label-scheduler",
        ],
        "/operators": None,
        **_config_v4(),
        "/members": {
            "header": {"cluster_id": 6973530669239952773},
            "members": members,
            "leader": members[0],
            "etcd_leader": members[0],
        },
        "/health": [
            {key: one[key] for key in ("name", "member_id", "client_urls")} | {"health": True}
            for one in members
        ],
        "/hotspot/regions/write": {"as_peer": {"1": flow}, "as_leader": {"1": flow}},
        "/hotspot/regions/read": {"as_peer": None, "as_leader": {}},
        "/gc/safepoint": {"service_gc_safe_points": None, "gc_safe_point": _safe_point()},
    }


def _config_v4() -> dict[str, Json]:
    return {
        "/config/schedule": {
            "max-snapshot-count": 3,
            "max-pending-peer-count": 16,
            "max-store-down-time": "30m0s",
            "leader-schedule-limit": 4,
            "leader-schedule-policy": "count",
            "region-schedule-limit": 2048,
            "replica-schedule-limit": 64,
            "merge-schedule-limit": 8,
            "hot-region-schedule-limit": 4,
            "store-limit": {
                **{n: {"add-peer": 15, "remove-peer": 15} for n in "123"},
                "9": {"add-peer": 30, "remove-peer": 30},
            },
            "tolerant-size-ratio": 0,
            "low-space-ratio": 0.8,
            "enable-remove-down-replica": "true",
            "enable-replace-offline-replica": "true",
            "enable-make-up-replica": "true",
            "enable-remove-extra-replica": "true",
            "enable-location-replacement": "true",
            "schedulers-v2": [{"type": "balance-region", "args": None, "disable": False}],
            "schedulers-payload": {"balance-hot-region-scheduler": None},
            "store-limit-mode": "manual",
        },
        "/config/replicate": {
            "max-replicas": 3,
            "location-labels": "",
            "strictly-match-label": "false",
            "enable-placement-rules": "true",
        },
        "/config/rules": [_rule("pd", "default", "voter", 3)],
    }


def _rule(group: str, name: str, role: str, count: int) -> Json:
    return {
        "group_id": group,
        "id": name,
        "start_key": "",
        "end_key": "",
        "role": role,
        "count": count,
    }


def _safe_point() -> int:
    return int((NOW - timedelta(minutes=10)).timestamp() * 1000) << 18


def v5() -> dict[str, Json]:
    """PD 5.4: names of roles, region labels, versions of members, a rule for TiFlash."""
    made = _renewed(v4(), "5.4.3")
    for region in made["/regions"]["regions"]:
        for peer in region["peers"]:
            peer["role_name"] = "Voter"
        learner = {"id": region["id"] + 9, "store_id": 9, "role": 1, "role_name": "Learner"}
        region["peers"].append({**learner, "is_learner": True})
        region["leader"] = region["peers"][0]
        region["replication_status"] = {"state": "UNKNOWN", "state_id": 0}
    flash = _rule("tiflash", "table-45-r", "learner", 1)
    flash["label_constraints"] = [{"key": "engine", "op": "in", "values": ["tiflash"]}]
    flash |= {"index": 120, "version": 1, "create_timestamp": 1658745600}
    made["/config/rules"].append(flash)
    for member in made["/members"]["members"]:
        member |= {
            "deploy_path": "/tidb-deploy/pd-2379/bin",
            "binary_version": "v5.4.3",
            "git_hash": "0c1246dd219fd16b4b2ff5108941e5d3e958922d",
            "dc_location": "",
        }
    made["/config/region-label/rules"] = None
    made["/checker/rule"] = {"paused": False}
    return made


def v6() -> dict[str, Json]:
    """PD 6.5: states of nodes, slow scores, witnesses, buckets, evict-slow-store."""
    made = _renewed(v5(), "6.5.11")
    for store in made["/stores"]["stores"]:
        store["store"]["node_state"] = 1
        store["status"] |= {"slow_score": 1, "learner_count": 0, "region_size": -1}
        store["status"]["slow_trend"] = {
            "cause_value": 250090.4,
            "cause_rate": 0,
            "result_value": 6.5,
            "result_rate": -1e-9,
        }
    # A store that still fills prints no node state: it is the zero of its kind.
    made["/stores"]["stores"][1]["store"].pop("node_state")
    for region in made["/regions"]["regions"]:
        region["peers"][2]["is_witness"] = True
        region |= {"buckets": ["", "7480", ""], "cpu_usage": 0, "approximate_kv_size": 0}
    made["/schedulers"] += ["evict-slow-store-scheduler", "split-bucket-scheduler"]
    made["/config/schedule"] |= {"enable-witness": "true", "store-limit-version": "v1"}
    made["/operators"] = []
    return made


def v7() -> dict[str, Json]:
    """PD 7.5: nodes of TiFlash that only compute, ids of any size, key spaces, numbers as texts."""
    made = _renewed(v6(), "7.5.6")
    compute = _store(LARGE_ID, "v7.5.6", engine="tiflash_compute", exclusive="no-data")
    compute["status"] = {"capacity": "0B", "available": "0B", "used_size": "0B"}
    made["/stores"]["stores"].insert(0, compute)
    made["/stores"]["count"] = 5
    made["/gc/safepoint"] = {
        "service_gc_safe_points": [
            {
                "service_id": "gc_worker",
                "expired_at": 9223372036854775807,
                "safe_point": _safe_point(),
                "keyspace_id": 4294967295,
            }
        ],
        "min_service_gc_safe_point": _safe_point(),
        "gc_safe_point": _safe_point(),
    }
    made["/config/replicate"] |= {"location-labels": ["zone", "host"], "isolation-level": ""}
    for store in made["/stores"]["stores"]:
        place = f"z{store['store']['id'] % 100}"
        store["store"]["labels"] = [
            *(store["store"].get("labels") or []),
            {"key": "zone", "value": place},
            {"key": "host", "value": place},
        ]
    return made


def v8() -> dict[str, Json]:
    """PD 8.5: more of everything, nulls, and a wildcard for a status address."""
    made = _renewed(v7(), "8.5.7")
    for store in made["/stores"]["stores"]:
        store["store"] |= {"peer_address": "", "physically_destroyed": False, "state": None}
        store["status"] |= {"pause_leader_transfer_in": False, "pending_peer_count": None}
    made["/stores"]["stores"][2]["store"]["status_address"] = "0.0.0.0:20180"
    made["/schedulers"] += ["evict-stopping-store-scheduler", "balance-range-scheduler"]
    made["/scheduler-config/evict-leader-scheduler/list"] = NO_PAGE
    made["/config/region-label/rules"] = [
        {
            "id": "keyspaces/0",
            "index": 0,
            "labels": [{"key": "id", "value": "0"}],
            "rule_type": "key-range",
            "data": [{"start_key": "78000000", "end_key": "78000001"}],
        }
    ]
    made["/hotspot/regions/read"] = {
        "as_peer": {"1": {"statistics": None}},
        "as_leader": {"1": {"statistics": [{"region_id": 1000, "flow_bytes": 1.2e3}]}},
    }
    return made


def dr_auto_sync() -> dict[str, Json]:
    """PD that replicates over two sites: followers and learners by rules, states of regions."""
    made = _renewed(v5(), "6.5.11")
    made["/config/rules"] = [
        _rule("pd", "az-north", "voter", 2),
        _rule("pd", "az-south", "follower", 1),
    ]
    for region in made["/regions"]["regions"]:
        region["replication_status"] = {"state": "INTEGRITY_OVER_LABEL", "state_id": 9}
        region["peers"] = region["peers"][:3]
    made["/replication_mode/status"] = {
        "mode": "dr-auto-sync",
        "dr-auto-sync": {"label-key": "az", "state": "sync_recover", "state_id": 9, "progress": 1},
    }
    return made


def tomorrow() -> dict[str, Json]:
    """A release to come: keys unknown today everywhere, and numbers in other forms."""
    made = _renewed(v8(), "9.1.0-alpha-12-gabcdef0")

    def strange(value: Json) -> Json:
        if isinstance(value, dict):
            changed = {key: strange(item) for key, item in value.items()}
            return {**changed, "new_of_tomorrow": {"a": [None, 1e3, "x"]}}
        if isinstance(value, list):
            return [strange(item) for item in value]
        return value

    plain = {"/schedulers", "/config/schedule", "/hotspot/regions/read", "/hotspot/regions/write"}
    return {
        path: answer if path in plain or isinstance(answer, httpx.Response) else strange(answer)
        for path, answer in made.items()
    }


def _renewed(answers: dict[str, Json], version: str) -> dict[str, Json]:
    made = copy.deepcopy({k: v for k, v in answers.items() if not isinstance(v, httpx.Response)})
    for store in made["/stores"]["stores"]:
        if not any(label["value"].startswith("tiflash") for label in store["store"]["labels"]):
            store["store"]["version"] = version
    return made


_MAKERS: Final[dict[str, Callable[[], dict[str, Json]]]] = dict(
    zip(RELEASES, (v4, v5, v6, v7, v8, dr_auto_sync, tomorrow), strict=True)
)


class Release(httpx.AsyncBaseTransport):
    """A PD of a release; what it has no answer for is an unknown page."""

    def __init__(self, name: str) -> None:
        self.answers = _MAKERS[name]()
        self.methods: set[str] = set()
        self.asked: list[str] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.methods.add(request.method)
        self.asked.append(str(request.url))
        if not request.url.path.startswith(API):
            return httpx.Response(404)
        path = request.url.path.removeprefix(API)
        query = request.url.query.decode()
        known = f"{path}?{query}" in self.answers
        answer = self.answers.get(f"{path}?{query}" if known else path, NO_PAGE)
        if isinstance(answer, httpx.Response):
            return httpx.Response(answer.status_code, content=answer.content)
        return httpx.Response(200, content=json.dumps(answer).encode())


async def look(release: Release) -> Observation:
    """Look at a cluster of a release once, without metrics."""
    client = PdClient([PD_URL], transport=release)
    eyes = Eyes(PdApi(client), ManualClock(NOW), MetricsSettings(is_on=False))
    found = await eyes.look("prod")
    await eyes.close()
    await client.close()
    return found

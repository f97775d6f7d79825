"""What the tests of the TiKV subject share: made-up answers of PD, and a simulated cluster."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from operator_core.monitor.types import Observation, Part
from operator_tikv import facts, facts_config
from operator_tikv.pd.client import PdClient
from operator_tikv.pd.types import RegionInfo, StoreInfo
from operator_tikv.simulator import SimulatedCluster, create_app
from operator_tikv.subject import TikvSubject
from operator_tikv.watched import WatchedReplicate, WatchedSchedule

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from operator_core.types import JsonObject

FIXTURES = Path(__file__).parent / "fixtures" / "pd"
NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
NO_METRICS: JsonObject = {"readings": {}, "unseen": {}, "unrated": [], "ages_seconds": {}}
PD_URL = "http://pd.test:2379"
API_URL = f"{PD_URL}/pd/api/v1"


def fixture(name: str) -> Any:  # noqa: ANN401 - JSON of any shape
    return json.loads((FIXTURES / name).read_text(encoding="utf-8"))


def make_store(store_id: int, **changes: Any) -> StoreInfo:  # noqa: ANN401 - any key of PD
    """A healthy store; `meta_x` changes the metadata, anything else the status."""
    age = timedelta(seconds=changes.pop("age_seconds", 5))
    store = {
        "id": store_id,
        "address": f"kv-{store_id}:20160",
        "state_name": "Up",
        **{key.removeprefix("meta_"): v for key, v in changes.items() if key.startswith("meta_")},
    }
    status = {
        "capacity": "100GiB",
        "available": "60GiB",
        "leader_count": 20,
        "region_count": 60,
        "slow_score": 1,
        "last_heartbeat_ts": (NOW - age).isoformat(),
        **{key: value for key, value in changes.items() if not key.startswith("meta_")},
    }
    return StoreInfo.model_validate({"store": store, "status": status})


def make_region(region_id: int, stores: Sequence[int], leader: int = 0, **more: Any) -> RegionInfo:  # noqa: ANN401 - any key of PD
    peers = [
        {"id": 1000 + store_id, "store_id": store_id, "role_name": "Voter"} for store_id in stores
    ]
    led = next((peer for peer in peers if peer["store_id"] == leader), {"role_name": ""})
    return RegionInfo.model_validate({"id": region_id, "peers": peers, "leader": led, **more})


PD_FACTS: JsonObject = {
    "has_leader": True,
    "leader": "pd-0",
    "member_count": 3,
    "healthy_member_count": 3,
    "unhealthy_members": [],
    "leader_changes": 0,
}


def make_observation(
    stores: Sequence[StoreInfo] = (),
    *,
    schedulers: Sequence[str] = facts.ALWAYS_RUN,
    paused: Sequence[str] = (),
    evicted: Sequence[int] = (),
    regions: Sequence[RegionInfo] = (),
    config: Mapping[str, object] | None = None,
    parts: Mapping[str, JsonObject] | None = None,
) -> Observation:
    """An observation as the real one is built, without asking anybody."""
    known = list(stores) or [make_store(store_id) for store_id in (1, 2, 3)]
    silent = facts.silent_store_ids(known, NOW)
    checks = {
        name: {"count": 0, "region_ids": [], "peers_by_store": {}}
        for name in ("miss_peer", "down_peer", "pending_peer")
    }
    data: dict[str, JsonObject] = {
        "stores": facts.stores_facts(known, NOW),
        "cluster": {
            **facts.cluster_facts(known, NOW, evicted),
            "versions": facts_config.version_facts(known),
            "shared_addresses": facts_config.shared_addresses(known),
            "tombstone_store_ids": [],
        },
        "schedulers": facts.scheduler_facts(list(schedulers), list(paused), list(evicted)),
        "regions": checks,
        "leaders": facts.leader_facts(list(regions), silent),
        "operators": {"count": 0, "list": []},
        "config": facts_config.config_facts(
            WatchedSchedule.model_validate(config or {}), WatchedReplicate()
        ),
        "placement": facts_config.placement_facts([], [], known, []),
        "gc": {"safe_point_age_seconds": 600.0, "services": {}, "oldest_service": None},
        "progress": {},
        "leaving": {},
        "filling": {},
        "lagging": {},
        "hotspots": {},
        "store_metrics": dict(NO_METRICS),
        "pd_metrics": dict(NO_METRICS),
        "pd": PD_FACTS,
        **(parts or {}),
    }
    made = {
        name: Part(source=PD_URL, observed_at=NOW, data=content) for name, content in data.items()
    }
    return Observation(subject="tikv", observed_at=NOW, parts=made)


class ClusterClock:
    """A clock whose sleep lets the simulated cluster's time pass."""

    def __init__(self, cluster: SimulatedCluster) -> None:
        self.cluster = cluster

    def now(self) -> datetime:
        return NOW + timedelta(seconds=self.cluster.now_seconds)

    async def sleep(self, seconds: float) -> None:
        self.cluster.advance(seconds)


class Meddler(httpx.AsyncBaseTransport):
    """The way to a simulated PD, on which chosen requests go wrong.

    `instead` answers in PD's place; `lost` lets PD act and loses its answer. Both are found by
    method and path below the API's prefix. `refuse_effects` and `lose_effects` do the same to
    everything that is no `GET`; `forget_effects` says 200 to it and does nothing.
    """

    def __init__(self, cluster: SimulatedCluster) -> None:
        self._real = httpx.ASGITransport(app=create_app(cluster))
        self.instead: dict[str, httpx.Response] = {}
        self.lost: set[str] = set()
        self.sent: list[str] = []
        self.refuse_effects: httpx.Response | None = None
        self.lose_effects = False
        self.forget_effects = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        name = f"{request.method} {request.url.path.removeprefix('/pd/api/v1')}"
        self.sent.append(name)
        is_effect = request.method != "GET"
        if name in self.instead:
            return self.instead[name]
        if is_effect and self.refuse_effects is not None:
            return self.refuse_effects
        if is_effect and self.forget_effects:
            return httpx.Response(200, json="The operator is created.")
        response = await self._real.handle_async_request(request)
        if name in self.lost or (is_effect and self.lose_effects):
            raise httpx.ReadTimeout("no answer", request=request)
        return response


def simulated_subject(
    cluster: SimulatedCluster, transport: httpx.AsyncBaseTransport | None = None
) -> TikvSubject:
    way = transport or httpx.ASGITransport(app=create_app(cluster))
    return TikvSubject(PdClient([PD_URL], transport=way), clock=ClusterClock(cluster))

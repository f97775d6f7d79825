"""`/hotspot/*`, as far as the flow of the model goes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from operator_tikv.simulator import heat
from operator_tikv.simulator.api import http
from operator_tikv.simulator.load import (
    BYTES_PER_KEY,
    INTERVAL_SECONDS,
    region_flow,
    store_rates,
)
from operator_tikv.simulator.model import Role
from operator_tikv.simulator.units import rfc3339_nano

if TYPE_CHECKING:
    from operator_tikv.simulator.api.http import Answer, Call, Handler
    from operator_tikv.simulator.model import Peer, Region
    from operator_tikv.simulator.world import World


def hot_writes(world: World, call: Call) -> Answer:
    """The regions written most, by the stores of all their peers and of their leaders."""
    return http.ok(_hot(world, call, "write"))


def hot_reads(world: World, call: Call) -> Answer:
    """The regions read most, by the stores of their leaders."""
    return http.ok(_hot(world, call, "read"))


def _hot(world: World, call: Call, kind: str) -> dict[str, object]:
    wanted = set(call.values("store_id"))
    stores = [s for s in world.stores if not wanted or str(s) in wanted]
    hot = _hot_regions(world, kind)
    as_leader = {str(store_id): _store_info(world, hot, store_id, kind) for store_id in stores}
    peers = hot if kind == "write" else []
    as_peer = {
        str(store_id): _store_info(world, peers, store_id, kind, every_peer=True)
        for store_id in stores
    }
    return {"as_peer": as_peer, "as_leader": as_leader}


class HotRegion(NamedTuple):
    """A region that PD holds for hot, and how many reports in a row have shown it so."""

    region: Region
    degree: int


def _hot_regions(world: World, kind: str) -> list[HotRegion]:
    """Regions with several times the usual flow: by their own weight, or by a hot range."""
    heats = heat.heat_by_region(world)
    ids = heat.hot_region_ids(world)
    return [
        HotRegion(region, heat.degree(world, region.region_id, heats.get(region.region_id), kind))
        for region in world.pd.regions
        if region.leader is not None and (region.region_id in ids or heat.is_heavy(world, region))
    ]


def _store_info(
    world: World, hot: list[HotRegion], store_id: int, kind: str, *, every_peer: bool = False
) -> dict[str, object]:
    here = [
        (one, peer)
        for one in hot
        if (peer := one.region.peer_on(store_id)) is not None
        and (every_peer or peer.peer_id == one.region.leader_peer_id)
    ]
    total_bytes = sum(_bytes_per_second(world, one.region, kind) for one, _peer in here)
    total_keys = total_bytes / BYTES_PER_KEY
    return {
        "store_bytes": total_bytes,
        "store_keys": total_keys,
        "store_query": total_keys,
        "store_cpu": 0,
        "total_flow_bytes": total_bytes,
        "total_flow_keys": total_keys,
        "total_flow_query": total_keys,
        "total_flow_cpu": 0,
        "regions_count": len(here),
        "statistics": [_peer_info(world, one, peer, kind) for one, peer in here],
    }


def _peer_info(world: World, one: HotRegion, peer: Peer, kind: str) -> dict[str, object]:
    region = one.region
    flow_bytes = _bytes_per_second(world, region, kind)
    return {
        "store_id": peer.store_id,
        "stores": [other.store_id for other in region.peers],
        "is_leader": peer.peer_id == region.leader_peer_id,
        "is_learner": peer.role is Role.LEARNER,
        "region_id": region.region_id,
        "hot_degree": one.degree,
        "flow_bytes": flow_bytes,
        "flow_keys": flow_bytes / BYTES_PER_KEY,
        "flow_query": flow_bytes / BYTES_PER_KEY,
        "flow_cpu": 0,
        "anti_count": 2,
        "last_update_time": rfc3339_nano(int(world.unix_seconds(world.now_seconds))),
    }


def _bytes_per_second(world: World, region: Region, kind: str) -> float:
    flow = region_flow(world, region, world.now_seconds)
    total = flow.written_bytes if kind == "write" else flow.read_bytes
    return total / INTERVAL_SECONDS


def stores(world: World, _call: Call) -> Answer:
    """Bytes a second, by store."""
    rates = {str(s): store_rates(world, s, world.now_seconds) for s in world.stores}
    return http.ok(
        {
            "bytes-write-rate": {store: written for store, (written, _read) in rates.items()},
            "bytes-read-rate": {store: read for store, (_written, read) in rates.items()},
        }
    )


ROUTES: Final[list[tuple[str, str, Handler]]] = [
    ("GET", "/hotspot/regions/write", hot_writes),
    ("GET", "/hotspot/regions/read", hot_reads),
    ("GET", "/hotspot/stores", stores),
]

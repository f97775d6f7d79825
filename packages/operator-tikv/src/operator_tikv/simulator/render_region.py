"""Regions as PD prints them, with its order of keys and its omissions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from operator_tikv.simulator.heartbeats import contact_seconds
from operator_tikv.simulator.load import Flow, region_flow
from operator_tikv.simulator.model import Role

if TYPE_CHECKING:
    from collections.abc import Iterable

    from operator_tikv.simulator.model import Peer, Region
    from operator_tikv.simulator.world import World


def regions_info(world: World, regions: Iterable[Region]) -> dict[str, object]:
    """A list of regions."""
    rendered = [region_info(world, region) for region in regions]
    return {"count": len(rendered), "regions": rendered}


def region_info(world: World, region: Region | None) -> dict[str, object]:
    """One region as of its last heartbeat; an unknown one is not an error but all zeros."""
    if region is None:
        head: dict[str, object] = {"id": 0, "start_key": "", "end_key": ""}
        return {**head, "leader": {"role_name": ""}, **_figures(Flow(0, 0, 0, 0, 0), 0, 0)}
    heard_seconds = contact_seconds(world, region)
    flow = region_flow(world, region, heard_seconds) if region.leader else Flow(0, 0, 0, 0, 0)
    fields: dict[str, object] = {
        "id": region.region_id,
        "start_key": region.start_key,
        "end_key": region.end_key,
        "epoch": {"conf_ver": region.conf_ver, "version": region.version},
        "peers": [peer_info(peer) for peer in region.peers],
        "leader": peer_info(region.leader),
    }
    down = [_down_info(region, *pair, heard_seconds) for pair in region.down]
    pending = [peer_info(region.peer(peer_id)) for peer_id in region.pending]
    lists = {"down_peers": down, "pending_peers": pending}
    fields |= {key: value for key, value in lists.items() if value}
    return fields | _figures(flow, region.size_mib, region.keys)


def peer_info(peer: Peer | None) -> dict[str, object]:
    """One peer; none at all is a role without a name."""
    if peer is None:
        return {"role_name": ""}
    fields: dict[str, object] = {"role_name": peer.role.label}
    if peer.role is Role.LEARNER:
        fields["is_learner"] = True
    fields |= {"id": peer.peer_id, "store_id": peer.store_id}
    if peer.role:
        fields["role"] = int(peer.role)
    if peer.is_witness:
        fields["is_witness"] = True
    return fields


def _down_info(
    region: Region, peer_id: int, since_seconds: float, heard_seconds: float
) -> dict[str, object]:
    missed_seconds = max(0, int(heard_seconds - since_seconds))
    return {"peer": peer_info(region.peer(peer_id)), "down_seconds": missed_seconds}


def _figures(flow: Flow, size_mib: int, keys: int) -> dict[str, object]:
    return {
        "cpu_usage": flow.cpu_usage_percent,
        "written_bytes": flow.written_bytes,
        "read_bytes": flow.read_bytes,
        "written_keys": flow.written_keys,
        "read_keys": flow.read_keys,
        "approximate_size": size_mib,
        "approximate_keys": keys,
    }

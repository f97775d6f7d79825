"""When PD makes a replica a witness, which votes without data, and when it gives it its data.

The switch `enable-witness` is off by default; while it is off every witness becomes a replica.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from operator_tikv.simulator import builder
from operator_tikv.simulator.model import Role

if TYPE_CHECKING:
    from operator_tikv.simulator.model import Peer, Region
    from operator_tikv.simulator.operator_model import Plan
    from operator_tikv.simulator.world import World

INTERVAL: Final = "swtich-witness-interval"
"""PD spells it so: how long a region that got its data back is not made a witness again."""


def enabled(world: World) -> bool:
    """Whether PD makes witnesses at all."""
    return world.pd.config.enabled("enable-witness")


def wanted(world: World, rule: dict[str, Any]) -> bool:
    """Whether the replicas of a placement rule are to be witnesses."""
    return enabled(world) and bool(rule.get("is_witness"))


def fails_over_fast(world: World, rule: dict[str, Any], peer: Peer, *, is_down: bool) -> bool:
    """Whether the replacement of a peer begins as a witness, which is there at once."""
    store = world.stores.get(peer.store_id)
    is_tiflash = store is not None and store.is_tiflash
    return enabled(world) and not is_tiflash and (is_down or bool(rule.get("is_witness")))


def switch(world: World, region: Region, rule: dict[str, Any], peer: Peer) -> Plan | None:
    """Plan to make a peer what its rule wants: a witness, or a replica with its data."""
    if peer.is_witness:
        lacks_data = not wanted(world, rule)
        return builder.plan_non_witness(peer, "fix-non-witness-peer") if lacks_data else None
    leads = peer.peer_id == region.leader_peer_id
    if not wanted(world, rule) or leads or region.pending or _was_switched(world, region):
        return None
    return builder.plan_witness(peer)


def _was_switched(world: World, region: Region) -> bool:
    """Whether the region got a replica from a witness a short while ago: that may still help it."""
    at_seconds = world.pd.unwitnessed_seconds.get(region.region_id)
    interval_seconds = world.pd.config.seconds(INTERVAL)
    return at_seconds is not None and world.now_seconds - at_seconds < interval_seconds


def promote_for_down(world: World, region: Region, peers: tuple[Peer, ...]) -> Plan | None:
    """Plan to give a witness its data at once when a voter is down, long before it is replaced."""
    down = [one for one in peers if one.peer_id in region.down_peer_ids and one.role is Role.VOTER]
    for lost in down if enabled(world) else ():
        for peer in region.peers:
            if peer.is_witness and peer != lost and peer.peer_id not in region.down_peer_ids:
                return builder.plan_non_witness(peer, "promote-witness-for-down")
    return None

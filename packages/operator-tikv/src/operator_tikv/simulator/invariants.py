"""What must hold in the model at any moment, whatever was done to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from operator_tikv.simulator.model import MetaState, Role

if TYPE_CHECKING:
    from collections.abc import Iterator

    from operator_tikv.simulator.model import Region
    from operator_tikv.simulator.world import World

EXTRA_PEERS: Final = 2


def broken(world: World) -> list[str]:
    """Say in plain sentences what does not hold; an empty list is a sound model."""
    found = list(_ids(world))
    for region in world.raft:
        found += _region(world, region)
    for store in world.stores.values():
        if store.meta_state is MetaState.TOMBSTONE and world.raft.region_count(store.store_id):
            found.append(f"tombstone {store.store_id} has peers")
        if min(store.sending_snapshots, store.receiving_snapshots) < 0:
            found.append(f"store {store.store_id} counts snapshots below zero")
    return found


def _ids(world: World) -> Iterator[str]:
    peer_ids = [peer.peer_id for region in world.raft for peer in region.peers]
    region_ids = [region.region_id for region in world.raft]
    every = [*peer_ids, *region_ids, *world.stores]
    if len(every) != len(set(every)):
        yield "an id is used twice"


def _region(world: World, region: Region) -> Iterator[str]:
    name = f"region {region.region_id}"
    wanted = world.pd.config.max_replicas
    if not 1 <= len(region.peers) <= wanted + EXTRA_PEERS:
        yield f"{name} has {len(region.peers)} peers"
    stores = [peer.store_id for peer in region.peers]
    if len(stores) != len(set(stores)):
        yield f"{name} has two peers on one store"
    if not any(peer.is_voter for peer in region.peers):
        yield f"{name} has no voter"
    leader = region.leader
    if region.leader_peer_id and (leader is None or leader.role is Role.LEARNER):
        yield f"{name} is led by what is no voter"
    if leader is not None and leader.is_witness:
        yield f"{name} is led by a witness"
    yield from _reports(world, region, name)


def _reports(world: World, region: Region, name: str) -> Iterator[str]:
    peer_ids = {peer.peer_id for peer in region.peers}
    if not {*region.pending, *region.down_peer_ids} <= peer_ids:
        yield f"{name} misses peers that it has not"
    believed = world.pd.regions.get(region.region_id)
    if believed is None or believed.term > region.term or believed.conf_ver > region.conf_ver:
        yield f"{name} is known to PD from the future"

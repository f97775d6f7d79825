"""Makes up regions so that every store has the peers and the leaders that were counted on it."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

from operator_tikv.simulator import bootstrap
from operator_tikv.simulator.model import Peer, Region, Role

if TYPE_CHECKING:
    from collections.abc import Iterator

    from operator_tikv.simulator.picture import ClusterPicture
    from operator_tikv.simulator.world import World


def place(world: World, picture: ClusterPicture) -> Iterator[Region]:
    """Make up the regions of a picture that lists none.

    Each region takes the stores that still lack most peers, and its leader is where most
    leaders still lack; so the counts come out as seen, up to what cannot be divided.

    Args:
        world: the world with its stores.
        picture: the counts by store.
    """
    replicas = world.pd.config.max_replicas
    kv = [s for s in picture.stores if not world.stores[s.store_id].is_tiflash]
    learners = {s.store_id: s.region_count for s in picture.stores if s not in kv}
    leaders = {s.store_id: s.leader_count for s in kv}
    heap = [(-s.region_count, s.store_id) for s in kv if s.region_count > 0]
    heapq.heapify(heap)
    total = max(
        round(sum(s.region_count for s in kv) / replicas), max((-n for n, _id in heap), default=0)
    )
    for index in range(total):
        chosen = [heapq.heappop(heap) for _ in range(min(replicas, len(heap)))]
        for lacking, store_id in chosen:
            if lacking < -1:
                heapq.heappush(heap, (lacking + 1, store_id))
        stores = sorted(store_id for _lacking, store_id in chosen)
        if stores:
            yield _make(world, picture, stores, leaders, learners, place_of=(index, total))


def _make(
    world: World,
    picture: ClusterPicture,
    stores: list[int],
    leaders: dict[int, int],
    learners: dict[int, int],
    *,
    place_of: tuple[int, int],
) -> Region:
    index, total = place_of
    region_id = world.next_id()
    peers = [Peer(world.next_id(), store_id) for store_id in stores]
    leader = max(peers, key=lambda peer: (leaders[peer.store_id], -peer.store_id))
    leaders[leader.store_id] -= 1
    for store_id, lacking in learners.items():
        if lacking > 0:
            learners[store_id] = lacking - 1
            peers.append(Peer(world.next_id(), store_id, Role.LEARNER))
    return Region(
        region_id=region_id,
        start_key="" if index == 0 else bootstrap.table_key(index),
        end_key="" if index == total - 1 else bootstrap.table_key(index + 1),
        peers=tuple(peers),
        leader_peer_id=leader.peer_id,
        conf_ver=5,
        version=20 + index,
        led_since_seconds=-bootstrap.RUNNING_FOR_SECONDS,
        size_mib=picture.region_size_mib,
        keys=picture.region_size_mib * bootstrap.KEYS_PER_MIB,
    )

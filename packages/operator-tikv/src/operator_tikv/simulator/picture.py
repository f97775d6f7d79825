"""A world made of an explicit picture: what somebody has seen of a cluster at one moment."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from operator_tikv.simulator import bootstrap, heartbeats, limits, placement, scheduling
from operator_tikv.simulator.config import ConfigError
from operator_tikv.simulator.faults import timeline
from operator_tikv.simulator.faults.stores import Stop
from operator_tikv.simulator.model import Disk, MetaState, NodeState, Peer, Region, Store
from operator_tikv.simulator.schedulers import DEFAULT_NAMES
from operator_tikv.simulator.units import MIB
from operator_tikv.simulator.world import PD_ID_BASE, Member, Pd, Scheduler, World

if TYPE_CHECKING:
    from collections.abc import Mapping

_NODE_STATES: Final = {
    MetaState.UP: NodeState.SERVING,
    MetaState.OFFLINE: NodeState.REMOVING,
    MetaState.TOMBSTONE: NodeState.REMOVED,
}


class PictureError(ValueError):
    """A picture that no cluster can look like; the text says what does not fit."""


@dataclass(frozen=True, slots=True)
class StorePicture:
    """One store as it was seen. The counts are used where no regions are listed."""

    store_id: int
    address: str
    capacity_bytes: int
    available_bytes: int
    leader_count: int = 0
    region_count: int = 0
    meta_state: MetaState = MetaState.UP
    heartbeat_age_seconds: float = 0.0
    slow_score: int = 1
    leader_weight: float = 1.0
    region_weight: float = 1.0
    version: str = "8.5.7"
    labels: Mapping[str, str] = field(default_factory=dict)
    limits: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RegionPicture:
    """One region as it was seen; `down` and `pending` are ids of peers."""

    region_id: int
    start_key: str
    end_key: str
    peers: tuple[Peer, ...]
    leader_store_id: int
    size_mib: int = 96
    keys: int = 768_000
    down: tuple[int, ...] = ()
    pending: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class ClusterPicture:
    """A cluster as it was seen.

    Without `regions` they are made up so that every store has the counts seen on it.
    `schedulers` gives the stores of those that act on named stores; `paused` the seconds left.
    """

    stores: tuple[StorePicture, ...]
    regions: tuple[RegionPicture, ...] = ()
    region_size_mib: int = 96
    members: tuple[str, ...] = ("pd-0", "pd-1", "pd-2")
    leader: str = ""
    schedulers: Mapping[str, tuple[int, ...]] = field(
        default_factory=lambda: dict.fromkeys(DEFAULT_NAMES, ())
    )
    paused: Mapping[str, float] = field(default_factory=dict)
    config: Mapping[str, object] = field(default_factory=dict)
    seed: int = 7
    epoch_unix_seconds: float = 1_750_000_000.0


def build_world(picture: ClusterPicture) -> World:
    """Build the world that a picture shows, at virtual time zero.

    Args:
        picture: what was seen.

    Raises:
        PictureError: it contradicts itself.
    """
    world = _empty(picture)
    for seen in picture.stores:
        _add_store(world, seen)
    regions = [_region(world, seen) for seen in picture.regions]
    for region in regions or placement.place(world, picture):
        world.raft.put(region)
        world.pd.regions.put(region)
        heartbeats.note_suspect(world, region)
    _finish(world, picture)
    return world


def _empty(picture: ClusterPicture) -> World:
    if not picture.members or not picture.stores:
        raise PictureError("a cluster has at least one PD member and one store")
    rng = random.Random(picture.seed)
    members = tuple(Member(name, PD_ID_BASE + rng.getrandbits(62) | 1) for name in picture.members)
    leader = picture.leader or members[0].name
    if leader not in picture.members:
        raise PictureError(f"the leader {leader!r} is not among the members")
    world = World(
        seed=picture.seed,
        rng=rng,
        epoch_unix_seconds=picture.epoch_unix_seconds,
        pd=Pd(members=members, leader_name=leader),
        cluster_id=PD_ID_BASE + rng.getrandbits(60),
    )
    world.last_id = _last_id(picture)
    try:
        for item, value in picture.config.items():
            world.pd.config.update(item, value)
    except ConfigError as error:
        raise PictureError(str(error)) from error
    return world


def _last_id(picture: ClusterPicture) -> int:
    ids = [seen.store_id for seen in picture.stores]
    if len(ids) != len(set(ids)):
        raise PictureError("two stores have the same id")
    for region in picture.regions:
        ids += [region.region_id, *(peer.peer_id for peer in region.peers)]
    return max(ids)


def _add_store(world: World, seen: StorePicture) -> None:
    host = seen.address.rpartition(":")[0] or seen.address
    store = Store(
        store_id=seen.store_id,
        address=seen.address,
        status_address=f"{host}:20180",
        start_seconds=-bootstrap.RUNNING_FOR_SECONDS,
        disk=Disk(capacity_bytes=seen.capacity_bytes, slow_score=max(1, seen.slow_score)),
        labels=dict(seen.labels),
        version=seen.version,
        meta_state=seen.meta_state,
        node_state=_NODE_STATES[seen.meta_state],
        leader_weight=seen.leader_weight,
        region_weight=seen.region_weight,
        last_heartbeat_seconds=-seen.heartbeat_age_seconds,
        persisted_heartbeat_seconds=-seen.heartbeat_age_seconds,
    )
    world.stores[store.store_id] = store
    for kind, rate in seen.limits.items():
        if kind not in limits.KINDS:
            raise PictureError(f"store {seen.store_id}: no limit is called {kind!r}")
        limits.set_rate(world, store.store_id, kind, rate)


def _region(world: World, seen: RegionPicture) -> Region:
    leader = next((p for p in seen.peers if p.store_id == seen.leader_store_id), None)
    unknown = [p.store_id for p in seen.peers if p.store_id not in world.stores]
    known = {peer.peer_id for peer in seen.peers}
    if unknown or not {*seen.down, *seen.pending} <= known:
        raise PictureError(f"region {seen.region_id} names stores or peers that are not there")
    if leader is None and seen.leader_store_id:
        raise PictureError(f"region {seen.region_id} has no peer on its leader's store")
    return Region(
        region_id=seen.region_id,
        start_key=seen.start_key,
        end_key=seen.end_key,
        peers=seen.peers,
        leader_peer_id=leader.peer_id if leader else 0,
        led_since_seconds=-bootstrap.RUNNING_FOR_SECONDS,
        down=tuple((peer_id, -heartbeats.UNHEALTHY_SECONDS) for peer_id in seen.down),
        pending=seen.pending,
        size_mib=seen.size_mib,
        keys=seen.keys,
    )


def _finish(world: World, picture: ClusterPicture) -> None:
    world.load.total_weight = max(1.0, sum(region.weight for region in world.raft))
    for seen in picture.stores:
        store = world.stores[seen.store_id]
        data_bytes = world.raft.region_size_mib(store.store_id) * MIB
        left_bytes = seen.capacity_bytes - seen.available_bytes
        store.disk.foreign_bytes = max(0, left_bytes - data_bytes)
        store.stats = heartbeats.read_stats(world, store)
    _set_schedulers(world, picture)
    bootstrap.first_events(world)
    for seen in picture.stores:
        _silence(world, seen)


def _set_schedulers(world: World, picture: ClusterPicture) -> None:
    for name, store_ids in picture.schedulers.items():
        world.pd.schedulers[name] = Scheduler(name, list(store_ids))
    for name, seconds in picture.paused.items():
        if name not in world.pd.schedulers:
            raise PictureError(f"{name!r} is paused and does not run")
        scheduling.pause(world, name, seconds)


def _silence(world: World, seen: StorePicture) -> None:
    """A store that was not heard of is taken to be stopped, since its last heartbeat."""
    store = world.stores[seen.store_id]
    if seen.meta_state is MetaState.TOMBSTONE:
        store.process.running = False
        store.process.silent_since_seconds = -seen.heartbeat_age_seconds
    elif seen.heartbeat_age_seconds > heartbeats.DISCONNECTED_SECONDS:
        timeline.begin(world, "stop", Stop(stores=(seen.store_id,)))
        store.process.silent_since_seconds = -seen.heartbeat_age_seconds

"""The cluster as it is at virtual time zero."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from operator_tikv.simulator.heartbeats import (
    STORE_HEARTBEAT_SECONDS,
    count_registration,
    read_stats,
)
from operator_tikv.simulator.model import Disk, NodeState, Peer, Region, Store
from operator_tikv.simulator.schedulers import DEFAULT_NAMES, MIN_INTERVAL_SECONDS
from operator_tikv.simulator.units import GIB, memcomparable_hex
from operator_tikv.simulator.world import PD_ID_BASE, Member, Pd, Scheduler, World

if TYPE_CHECKING:
    from collections.abc import Mapping

PD_MEMBERS: Final = 3
RUNNING_FOR_SECONDS: Final = 86_400.0
HOT_REGIONS_SHARE: Final = 0.05
HOT_WEIGHT: Final = 6.0
SMALLEST_MIB: Final = 60
LARGEST_MIB: Final = 140
CANDIDATES: Final = 8
KEYS_PER_MIB: Final = 8_000
_TABLE_ID_SIGN: Final = 1 << 63


@dataclass(frozen=True, slots=True)
class ClusterSpec:
    """What a simulated cluster starts as.

    `epoch_unix_seconds` is the Unix time at virtual time zero. `labels` are further ones of stores
    by their ids, and replicas stand apart as `location_labels` ask, the widest first.
    """

    seed: int = 7
    stores: int = 4
    regions: int = 60
    replicas: int = 3
    tiflash_stores: int = 0
    capacity_gib: int = 200
    pd_members: int = PD_MEMBERS
    epoch_unix_seconds: float = 1_750_000_000.0
    location_labels: tuple[str, ...] = ()
    labels: Mapping[int, Mapping[str, str]] = field(default_factory=dict)


def make_world(spec: ClusterSpec) -> World:
    """Build a healthy cluster.

    Args:
        spec: its size, its seed and its epoch.

    Raises:
        ValueError: there are fewer stores than replicas, or nothing to build.
    """
    if spec.stores < spec.replicas or spec.regions < 1 or spec.pd_members < 1:
        message = (
            f"cannot build {spec.regions} regions with {spec.replicas} replicas "
            f"on {spec.stores} stores with {spec.pd_members} PD members"
        )
        raise ValueError(message)
    rng = random.Random(spec.seed)
    world = _empty_world(spec, rng)
    kv_ids = _add_stores(world, spec)
    for index in range(spec.regions):
        _add_region(world, spec, kv_ids, index)
    world.load.total_weight = sum(region.weight for region in world.raft)
    _first_reports(world)
    first_events(world)
    return world


def _empty_world(spec: ClusterSpec, rng: random.Random) -> World:
    members = tuple(
        Member(f"pd-{index}", PD_ID_BASE + rng.getrandbits(62) | 1)
        for index in range(spec.pd_members)
    )
    pd = Pd(members=members, leader_name=members[0].name)
    for state in pd.states.values():
        state.start_seconds = -RUNNING_FOR_SECONDS
    pd.config.replication["max-replicas"] = spec.replicas
    pd.schedulers = {name: Scheduler(name) for name in DEFAULT_NAMES}
    return World(
        seed=spec.seed,
        rng=rng,
        epoch_unix_seconds=spec.epoch_unix_seconds,
        pd=pd,
        cluster_id=PD_ID_BASE + rng.getrandbits(60),
        last_id=0,
    )


def _add_stores(world: World, spec: ClusterSpec) -> list[int]:
    for index in range(spec.stores):
        _add_store(world, spec, index, engine="tikv")
    kv_ids = list(world.stores)
    for index in range(spec.tiflash_stores):
        _add_store(world, spec, index, engine="tiflash")
    return kv_ids


def _add_store(world: World, spec: ClusterSpec, index: int, engine: str) -> None:
    store_id = world.next_id()
    host = f"{engine}-{index}.{engine}-peer"
    labels = {"host": f"{engine}-{index}", "zone": f"z{index % 3 + 1}"}
    if engine == "tiflash":
        labels["engine"] = "tiflash"
    labels.update(spec.labels.get(store_id, {}))
    world.stores[store_id] = Store(
        store_id=store_id,
        address=f"{host}:20160",
        status_address=f"{host}:20180",
        start_seconds=-RUNNING_FOR_SECONDS - index,
        disk=Disk(capacity_bytes=spec.capacity_gib * GIB),
        labels=labels,
        version="8.5.7" if engine == "tikv" else "v8.5.7",
    )


def join_store(
    world: World,
    labels: dict[str, str],
    capacity_gib: int,
    version: str,
    *,
    silent_seconds: float | None = None,
) -> Store:
    """Add an empty store to a running cluster.

    Args:
        world: the simulation.
        labels: its labels.
        capacity_gib: its disk.
        version: what it runs.
        silent_seconds: how old its only heartbeat is, None for a store that really runs.
    """
    store_id = world.next_id()
    host = f"tikv-joined-{store_id}.tikv-peer"
    heard_seconds = world.now_seconds - (silent_seconds or 0.0)
    store = Store(
        store_id=store_id,
        address=f"{host}:20160",
        status_address=f"{host}:20180",
        start_seconds=heard_seconds,
        disk=Disk(capacity_bytes=capacity_gib * GIB),
        labels={"host": host.partition(".")[0], **labels},
        version=version,
        node_state=NodeState.PREPARING if silent_seconds is None else NodeState.SERVING,
        last_heartbeat_seconds=heard_seconds,
        persisted_heartbeat_seconds=heard_seconds,
    )
    world.stores[store_id] = store
    world.record("store", f"{store_id} joined")
    if silent_seconds is None:
        world.schedule(0.0, "store.heartbeat", store_id)
        count_registration(world)
        world.log(store.node, "INFO", "Welcome to TiKV")
    else:
        store.process.running = False
        store.process.silent_since_seconds = heard_seconds
    return store


def _add_region(world: World, spec: ClusterSpec, kv_ids: list[int], index: int) -> None:
    region_id = world.next_id()
    first = index % len(kv_ids)
    turned = kv_ids[first:] + kv_ids[:first]
    size_mib = world.rng.randint(SMALLEST_MIB, LARGEST_MIB)
    mixed = world.rng.sample(turned[1:], min(len(turned) - 1, CANDIDATES))
    chosen = _placed(world, spec, turned[0], mixed)
    peers = tuple(Peer(world.next_id(), store_id) for store_id in sorted(chosen))
    leader = next(peer for peer in peers if peer.store_id == turned[0])
    world.raft.put(
        Region(
            region_id=region_id,
            start_key="" if index == 0 else table_key(index),
            end_key="" if index == spec.regions - 1 else table_key(index + 1),
            peers=peers,
            leader_peer_id=leader.peer_id,
            conf_ver=5,
            version=20 + index,
            led_since_seconds=-RUNNING_FOR_SECONDS,
            size_mib=size_mib,
            keys=size_mib * KEYS_PER_MIB,
            weight=HOT_WEIGHT if world.rng.random() < HOT_REGIONS_SHARE else 1.0,
        )
    )


def _placed(world: World, spec: ClusterSpec, first: int, candidates: list[int]) -> list[int]:
    """Choose the stores of a region: as far apart as the labels allow, then the emptiest."""
    emptiest = sorted(candidates, key=world.raft.region_size_mib)
    chosen = [first]
    while len(chosen) < spec.replicas:
        left = [store_id for store_id in emptiest if store_id not in chosen]
        chosen.append(max(left, key=lambda one: _apart(world, spec, one, chosen)))
    return chosen


def _apart(world: World, spec: ClusterSpec, store_id: int, others: list[int]) -> tuple[int, ...]:
    """Return for each location label how many of the others stand elsewhere."""
    here = world.stores[store_id].labels
    there = [world.stores[other].labels for other in others]
    return tuple(
        sum(one.get(label) != here.get(label) for one in there) for label in spec.location_labels
    )


def table_key(table_id: int) -> str:
    """The encoded start key of a table, as PD prints it."""
    return memcomparable_hex(b"t" + (table_id + 100 | _TABLE_ID_SIGN).to_bytes(8, "big"))


def _first_reports(world: World) -> None:
    for region in list(world.raft):
        world.pd.regions.put(region)
    for store in world.stores.values():
        age_seconds = world.rng.uniform(0.0, STORE_HEARTBEAT_SECONDS)
        store.last_heartbeat_seconds = -age_seconds
        store.persisted_heartbeat_seconds = -age_seconds
        store.stats = read_stats(world, store)


def first_events(world: World) -> None:
    """Let the heartbeats, the schedulers and the checkers of a new world begin."""
    world.pd.loaded_at_seconds = -RUNNING_FOR_SECONDS
    for store in world.stores.values():
        delay_seconds = max(0.0, STORE_HEARTBEAT_SECONDS + store.last_heartbeat_seconds)
        world.schedule(delay_seconds, "store.heartbeat", store.store_id)
    world.pd.patrolled_replicas = world.pd.config.max_replicas
    world.schedule(world.rng.random(), "pd.state_check")
    world.schedule(world.rng.random(), "checker.patrol", world.pd.patrol_number)
    world.schedule(STORE_HEARTBEAT_SECONDS, "checker.merge")
    world.schedule(MIN_INTERVAL_SECONDS, "schedulers.tick", world.pd.tick_number)

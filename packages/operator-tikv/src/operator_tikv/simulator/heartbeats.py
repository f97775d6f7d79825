"""Heartbeats of stores and regions: how PD comes to know, and how it judges the silence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from operator_tikv.simulator.load import grow_garbage, used_bytes
from operator_tikv.simulator.model import MetaState, StoreStats

if TYPE_CHECKING:
    from operator_tikv.simulator.model import Region, Store
    from operator_tikv.simulator.world import World

STORE_HEARTBEAT_SECONDS: Final = 10.0
REGION_HEARTBEAT_SECONDS: Final = 60.0
DISCONNECTED_SECONDS: Final = 20.0
UNHEALTHY_SECONDS: Final = 600.0
WAKE_SECONDS: Final = 0.5
PERSIST_SECONDS: Final = 300.0
SLOW_DISK_SECONDS: Final = 0.1
SLOW_SCORE_MAX: Final = 100
SLOW_SCORE_RECOVERY_STEP: Final = 12


def on_store_heartbeat(world: World, args: tuple[int, ...]) -> None:
    """Let one store report to PD if it can, and plan its next report."""
    store = world.stores.get(args[0])
    if store is None or store.meta_state is MetaState.TOMBSTONE:
        return
    world.schedule(STORE_HEARTBEAT_SECONDS, "store.heartbeat", store.store_id)
    if store.process.alive:
        _age_disk(world, store)
    if store.process.talks_to_pd and world.pd.has_leader:
        receive_store_heartbeat(world, store)


def receive_store_heartbeat(world: World, store: Store) -> None:
    """Let PD take in what a store reports now; its time is persisted only every five minutes."""
    now = world.now_seconds
    store.last_heartbeat_seconds = now
    if now - store.persisted_heartbeat_seconds >= PERSIST_SECONDS:
        store.persisted_heartbeat_seconds = now
    store.stats = read_stats(world, store)


def read_stats(world: World, store: Store) -> StoreStats:
    """Read a store's true figures."""
    disk = store.disk
    used = used_bytes(world, store)
    available = max(0, disk.capacity_bytes - used - disk.foreign_bytes)
    return StoreStats(
        capacity_bytes=disk.capacity_bytes,
        available_bytes=available,
        used_bytes=used,
        slow_score=disk.slow_score,
        sending_snapshots=store.sending_snapshots,
        receiving_snapshots=store.receiving_snapshots,
        is_busy=store.ailments.stalled or "raftstore" in store.ailments.busy_pools,
    )


def down_seconds(world: World, store: Store) -> float:
    """How long PD has not heard of a store."""
    return world.now_seconds - store.last_heartbeat_seconds


def is_disconnected(world: World, store: Store) -> bool:
    """Whether a store's last heartbeat is more than 20 s old."""
    return down_seconds(world, store) > DISCONNECTED_SECONDS


def is_unhealthy(world: World, store: Store) -> bool:
    """Whether a store's last heartbeat is more than 10 min old."""
    return down_seconds(world, store) > UNHEALTHY_SECONDS


def is_down(world: World, store: Store) -> bool:
    """Whether a store's last heartbeat is older than `max-store-down-time` (30 min)."""
    return down_seconds(world, store) > world.pd.config.seconds("max-store-down-time")


def state_name(world: World, store: Store) -> str:
    """The state PD prints: the age of the heartbeat shows only while the store is Up."""
    if store.meta_state is not MetaState.UP:
        return store.meta_state.name.capitalize()
    if is_down(world, store):
        return "Down"
    return "Disconnected" if is_disconnected(world, store) else "Up"


def is_low_on_space(world: World, store: Store) -> bool:
    """Whether less than 20 % of a store's disk is left, as PD last heard."""
    stats = store.stats
    if stats is None or stats.capacity_bytes == 0:
        return False
    low_ratio = 1.0 - world.pd.config.number("low-space-ratio")
    return stats.available_bytes < stats.capacity_bytes * low_ratio


def reaches_pd(world: World, region: Region) -> bool:
    """Whether the leader of a region can report to PD now."""
    store = world.stores.get(region.leader_store_id)
    return store is not None and store.process.talks_to_pd and world.pd.has_leader


def report_region(world: World, region_id: int) -> bool:
    """Send a region's heartbeat to PD; returns whether it arrived.

    PD keeps the whole value, so a region without a leader stays as it was last heard.
    """
    region = world.raft.get(region_id)
    if region is None or not reaches_pd(world, region):
        return False
    world.pd.regions.put(region)
    note_suspect(world, region)
    operator = world.pd.operators.get(region_id)
    if operator is not None:
        world.schedule(0.0, "operator.poke", region_id, operator.operator_id)
    return True


def on_region_heartbeats(world: World, args: tuple[int, ...]) -> None:
    """After PD loaded its regions: let the leaders of one phase of the minute report."""
    election_number, phase = args
    if election_number != world.pd.election_number:
        return
    for region_id in world.pd.reload_phases[phase]:
        report_region(world, region_id)


def region_phase(region_id: int) -> int:
    """The second of the minute in which a region's leader reports."""
    return region_id * 7919 % int(REGION_HEARTBEAT_SECONDS)


def contact_seconds(world: World, region: Region) -> float:
    """The virtual time up to which PD has heard of a region."""
    store = world.stores.get(region.leader_store_id)
    if store is None or store.process.pd_silent_since_seconds is None:
        return world.now_seconds
    return store.process.pd_silent_since_seconds


def forget_reports(world: World) -> None:
    """What a new PD leader starts with: regions from storage, no leaders, no statistics."""
    world.pd.regions.forget_leaders()
    phases: list[list[int]] = [[] for _ in range(int(REGION_HEARTBEAT_SECONDS))]
    for region in world.raft:
        phases[region_phase(region.region_id)].append(region.region_id)
    world.pd.reload_phases = phases
    for store in world.stores.values():
        store.stats = None
        store.last_heartbeat_seconds = store.persisted_heartbeat_seconds


def note_suspect(world: World, region: Region) -> None:
    """Remember a region while it is not as it should be."""
    pd, region_id = world.pd, region.region_id
    shape_is_right = len(region.peers) == pd.config.max_replicas and not any(
        peer.role for peer in region.peers
    )
    if not shape_is_right:
        if not pd.irregular:
            wake_patrol(world)
        pd.irregular[region_id] = None
    elif pd.irregular:
        pd.irregular.pop(region_id, None)
    if not shape_is_right or region.down or region.pending:
        pd.suspects[region_id] = None
    elif pd.suspects:
        pd.suspects.pop(region_id, None)


def wake_patrol(world: World) -> None:
    """Let the checker look within a second instead of when its idle turn comes."""
    world.pd.patrol_number += 1
    world.schedule(WAKE_SECONDS, "checker.patrol", world.pd.patrol_number)


def _age_disk(world: World, store: Store) -> None:
    grow_garbage(world, store, STORE_HEARTBEAT_SECONDS)
    disk = store.disk
    if store.ailments.disk_seconds >= SLOW_DISK_SECONDS:
        disk.slow_score = min(SLOW_SCORE_MAX, disk.slow_score * 2)
    else:
        disk.slow_score = max(1, disk.slow_score - SLOW_SCORE_RECOVERY_STEP)


def count_registration(world: World) -> None:
    """A TiKV process that starts registers its store with PD, which counts the call."""
    world.pd.count("grpc_server_handled_total", "pdpb.PD", "PutStore")

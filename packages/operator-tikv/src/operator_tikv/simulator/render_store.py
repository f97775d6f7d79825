"""Stores as PD prints them."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from operator_tikv.simulator import filters
from operator_tikv.simulator.heartbeats import state_name
from operator_tikv.simulator.units import (
    byte_size_text,
    go_duration_text,
    nanoseconds,
    rfc3339_nano,
)

if TYPE_CHECKING:
    from operator_tikv.simulator.model import Region, Store, StoreStats
    from operator_tikv.simulator.world import World


def stores_info(world: World, stores: list[Store]) -> dict[str, object]:
    """A list of stores in the random order of a Go map; the model's own randomness is not used."""
    order = random.Random(f"{world.seed} {world.now_seconds} {len(stores)}")
    mixed = order.sample(stores, len(stores))
    return {"count": len(mixed), "stores": [store_info(world, store) for store in mixed]}


def store_info(world: World, store: Store) -> dict[str, object]:
    """One store: what it is, and what PD knows of its state."""
    return {"store": _meta(world, store), "status": _status(world, store)}


def _meta(world: World, store: Store) -> dict[str, object]:
    heartbeat = world.unix_seconds(store.last_heartbeat_seconds)
    fields: dict[str, object] = {
        "id": store.store_id,
        "address": store.address,
        "state": int(store.meta_state),
        "labels": [{"key": key, "value": value} for key, value in store.labels.items()],
        "version": store.version,
        "peer_address": store.address,
        "status_address": store.status_address,
        "git_hash": "3f446cfa0000000000000000000000000000000a",
        "start_timestamp": int(world.unix_seconds(store.start_seconds)),
        "deploy_path": "/tikv/bin",
        "last_heartbeat": nanoseconds(heartbeat),
        "physically_destroyed": store.physically_destroyed,
        "node_state": int(store.node_state),
        "state_name": state_name(world, store),
    }
    return {key: value for key, value in fields.items() if value}


def _status(world: World, store: Store) -> dict[str, object]:
    counts = _counts(world, store)
    if store.stats is None:
        sizes = dict.fromkeys(("capacity", "available", "used_size"), "0B")
        return {**sizes, **counts}
    return {**_sizes(store.stats), **counts, **_activity(store.stats), **_times(world, store)}


def _sizes(stats: StoreStats) -> dict[str, object]:
    return {
        "capacity": byte_size_text(stats.capacity_bytes),
        "available": byte_size_text(stats.available_bytes),
        "used_size": byte_size_text(stats.used_bytes),
    }


def _counts(world: World, store: Store) -> dict[str, object]:
    regions = world.pd.regions
    store_id = store.store_id
    fields: dict[str, object] = {
        "leader_count": regions.leader_count(store_id),
        "leader_weight": store.leader_weight,
        "leader_score": filters.leader_score(world, store),
        "leader_size": regions.leader_size_mib(store_id),
        "region_count": regions.region_count(store_id),
        "region_weight": store.region_weight,
        "region_score": filters.region_score(world, store),
        "region_size": regions.region_size_mib(store_id),
    }
    unusual = [world.pd.regions.get(region_id) for region_id in world.pd.suspects]
    learners = sum(_is_learner(region, store_id) for region in unusual if region)
    pending = sum(_is_pending(region, store_id) for region in unusual if region)
    witnesses = regions.witness_count(store_id)
    extra = {
        "learner_count": learners,
        "witness_count": witnesses,
        "pending_peer_count": pending,
    }
    return fields | {name: count for name, count in extra.items() if count}


def _activity(stats: StoreStats) -> dict[str, object]:
    fields: dict[str, object] = {
        "sending_snap_count": stats.sending_snapshots,
        "receiving_snap_count": stats.receiving_snapshots,
        "is_busy": stats.is_busy,
        "slow_score": stats.slow_score,
    }
    trend = {"cause_value": 250_000 * stats.slow_score, "cause_rate": 0}
    slow_trend = {**trend, "result_value": 1000 // stats.slow_score, "result_rate": 0}
    return {key: value for key, value in fields.items() if value} | {"slow_trend": slow_trend}


def _times(world: World, store: Store) -> dict[str, object]:
    started = int(world.unix_seconds(store.start_seconds))
    heartbeat = world.unix_seconds(store.last_heartbeat_seconds)
    return {
        "start_ts": rfc3339_nano(started),
        "last_heartbeat_ts": rfc3339_nano(heartbeat),
        "uptime": go_duration_text(heartbeat - started),
    }


def _is_learner(region: Region, store_id: int) -> bool:
    peer = region.peer_on(store_id)
    return peer is not None and not peer.is_voter


def _is_pending(region: Region, store_id: int) -> bool:
    peer = region.peer_on(store_id)
    return peer is not None and peer.peer_id in region.pending

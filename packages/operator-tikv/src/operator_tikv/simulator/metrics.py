"""PD's `/metrics`, with PD's names and labels for what the model knows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from operator_tikv.simulator import failover, filters, heartbeats, limits, schedulers
from operator_tikv.simulator.load import store_rates
from operator_tikv.simulator.model import MetaState, NodeState
from operator_tikv.simulator.region_status import CHECKS, regions_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from operator_tikv.simulator.model import Store
    from operator_tikv.simulator.world import World

SLOW_SCORE_SLOW: Final = 80
CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
COUNTER_LABELS: Final = {
    "pd_schedule_operators_count": ("type", "event"),
    "pd_schedule_operator_exceeded_store_limit": ("desc", ""),
    "pd_scheduler_event_count": ("type", "name"),
    "pd_checker_event_count": ("type", "name"),
}

Sample = tuple[str, dict[str, str], float]


def exposition(world: World) -> str:
    """Print all metrics. Only a PD leader exports those of the cluster."""
    samples = list(_server_samples(world))
    if world.pd.has_leader:
        samples += [*_cluster_samples(world), *_counter_samples(world)]
    by_name: dict[str, list[str]] = {}
    for name, labels, value in samples:
        by_name.setdefault(name, []).append(f"{name}{_label_text(labels)} {_number(value)}")
    return "\n".join(_family(name, lines) for name, lines in by_name.items()) + "\n"


def _family(name: str, lines: list[str]) -> str:
    kind = "counter" if name in COUNTER_LABELS else "gauge"
    return "\n".join([f"# TYPE {name} {kind}", *lines])


def _label_text(labels: dict[str, str]) -> str:
    shown = ",".join(f'{key}="{_escape(value)}"' for key, value in labels.items())
    return f"{{{shown}}}" if shown else ""


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else repr(value)


def _server_samples(world: World) -> Iterator[Sample]:
    leads = float(world.pd.has_leader)
    yield "etcd_server_is_leader", {}, leads
    yield "service_member_role", {"service": "PD"}, leads
    info = {"version": "v8.5.7", "hash": "6dce4a68"}
    yield "pd_server_info", info, float(int(world.unix_seconds(0.0)))
    yield "process_start_time_seconds", {}, float(int(world.unix_seconds(0.0)))
    healthy = {member.name for member in failover.healthy_members(world)}
    for member in world.pd.members:
        yield "pd_cluster_health_status", {"name": member.name}, float(member.name in healthy)


def _cluster_samples(world: World) -> Iterator[Sample]:
    for store in world.stores.values():
        yield from _store_samples(world, store)
    for check in CHECKS:
        kind = check if check.endswith("-region") else f"{check}-region"
        yield "pd_regions_status", {"type": f"{kind}-count"}, float(len(regions_of(world, check)))
    for scheduler in world.pd.schedulers.values():
        labels = {"kind": scheduler.name, "type": "allow"}
        yield "pd_scheduler_status", labels, float(not schedulers.is_paused(world, scheduler))
    for item, value in world.pd.config.schedule.items():
        if isinstance(value, bool | int | float):
            yield "pd_config_status", {"type": item}, float(value)
    yield "pd_config_status", {"type": "max-replicas"}, float(world.pd.config.max_replicas)
    halted = world.pd.config.enabled("halt-scheduling")
    yield "pd_scheduling_allowance_status", {"kind": "halt-scheduling"}, float(halted)
    yield "pd_cluster_metadata", {"type": f"cluster{world.cluster_id}"}, float(world.cluster_id)


def _store_samples(world: World, store: Store) -> Iterator[Sample]:
    engine = "tiflash" if store.is_tiflash else "tikv"
    labels = {"engine": engine, "store": str(store.store_id)}
    for kind, value in {**_states(world, store), **_totals(world, store)}.items():
        yield "pd_cluster_status", {"type": kind, **labels}, value
    place = {"address": store.address, "store": str(store.store_id)}
    for kind, value in _figures(world, store).items():
        yield "pd_scheduler_store_status", {**place, "type": kind}, value
    if store.meta_state is not MetaState.TOMBSTONE:
        for kind in limits.KINDS:
            rate = limits.rate_per_minute(world, store.store_id, kind)
            yield "pd_cluster_store_limit", {"store": str(store.store_id), "type": kind}, rate
    evicted = store.store_id in world.pd.slow_evicted
    slow_labels = {"store": str(store.store_id), "slow_type": "disk"}
    yield "pd_scheduler_evicted_slow_store_status", slow_labels, float(evicted)


def _states(world: World, store: Store) -> dict[str, float]:
    """One of the first five is 1 for a store that is up; the rest is independent."""
    up = store.meta_state is MetaState.UP
    tests = {
        "store_down_count": heartbeats.is_down(world, store),
        "store_unhealth_count": heartbeats.is_unhealthy(world, store),
        "store_disconnected_count": heartbeats.is_disconnected(world, store),
        "store_slow_count": store.stats is not None and store.stats.slow_score >= SLOW_SCORE_SLOW,
        "store_up_count": True,
    }
    first = next(kind for kind, holds in tests.items() if holds)
    low = up and heartbeats.is_low_on_space(world, store)
    return {
        **{kind: float(up and kind == first) for kind in reversed(tests)},
        "store_offline_count": float(store.meta_state is MetaState.OFFLINE),
        "store_tombstone_count": float(store.meta_state is MetaState.TOMBSTONE),
        "store_low_space_count": float(low),
        "store_preparing_count": float(store.node_state is NodeState.PREPARING),
        "store_serving_count": float(store.node_state is NodeState.SERVING),
        "store_removing_count": float(store.node_state is NodeState.REMOVING),
        "store_removed_count": float(store.node_state is NodeState.REMOVED),
    }


def _totals(world: World, store: Store) -> dict[str, float]:
    stats, regions = store.stats, world.pd.regions
    return {
        "storage_size": float(stats.used_bytes if stats else 0),
        "storage_capacity": float(stats.capacity_bytes if stats else 0),
        "region_count": float(regions.region_count(store.store_id)),
        "leader_count": float(regions.leader_count(store.store_id)),
        "witness_count": 0.0,
        "learner_count": 0.0,
    }


def _figures(world: World, store: Store) -> dict[str, float]:
    stats, regions, store_id = store.stats, world.pd.regions, store.store_id
    written, read = store_rates(world, store_id, world.now_seconds)
    return {
        "region_score": filters.region_score(world, store),
        "leader_score": filters.leader_score(world, store),
        "region_size": float(regions.region_size_mib(store_id)),
        "region_count": float(regions.region_count(store_id)),
        "leader_size": float(regions.leader_size_mib(store_id)),
        "leader_count": float(regions.leader_count(store_id)),
        "store_available": float(stats.available_bytes if stats else 0),
        "store_used": float(stats.used_bytes if stats else 0),
        "store_capacity": float(stats.capacity_bytes if stats else 0),
        "store_write_rate_bytes": written,
        "store_read_rate_bytes": read,
    }


def _counter_samples(world: World) -> Iterator[Sample]:
    for (metric, first, second), value in sorted(world.pd.states[world.pd.leader_name].counters.items()):
        names = COUNTER_LABELS[metric]
        labels = {name: text for name, text in zip(names, (first, second), strict=True) if name}
        yield metric, labels, float(value)

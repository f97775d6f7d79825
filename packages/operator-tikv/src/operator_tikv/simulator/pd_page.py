"""PD's `/metrics`: a server's own figures, and those of the cluster on the one that leads."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from operator_tikv.simulator import failover, filters, gc, heartbeats, limits, pd_meter, schedulers
from operator_tikv.simulator.exposition import SECONDS, Page
from operator_tikv.simulator.load import BYTES_PER_KEY, hot_rates, store_rates
from operator_tikv.simulator.model import MetaState, NodeState, Role
from operator_tikv.simulator.region_status import CHECKS, regions_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from operator_tikv.simulator.model import Store
    from operator_tikv.simulator.world import World

SLOW_SCORE_SLOW: Final = 80
DATABASE_QUOTA_BYTES: Final = 8 << 30
COUNTER_LABELS: Final[Mapping[str, tuple[str, ...]]] = {
    "pd_schedule_operators_count": ("type", "event"),
    "pd_tso_events": ("type",),
    "pd_schedule_operator_exceeded_store_limit": ("desc",),
    "pd_schedule_operator_limit": ("type", "name"),
    "pd_scheduler_event_count": ("type", "name"),
    "pd_checker_event_count": ("type", "name"),
    "grpc_server_handled_total": ("grpc_service", "grpc_method"),
}
FIXED_LABELS: Final[Mapping[str, Mapping[str, str]]] = {
    "pd_tso_events": {"group": "0", "dc": "global"},
    "grpc_server_handled_total": {"grpc_code": "OK", "grpc_type": "unary"},
}


def page(world: World, name: str) -> str:
    """Print all metrics of one PD server.

    Args:
        world: the simulation.
        name: a server whose process answers.
    """
    made = Page()
    leads = world.pd.has_leader and name == world.pd.leader_name
    _server(made, world, name, leads=leads)
    made.meter(world.pd.states[name].meter, world.now_seconds, SECONDS)
    _counters(made, world, name, leads=leads)
    if leads:
        _cluster(made, world)
        for store in world.stores.values():
            _store(made, world, store)
    return made.text()


def _server(made: Page, world: World, name: str, *, leads: bool) -> None:
    cores, memory = pd_meter.CORES, float(pd_meter.MEMORY_BYTES)
    error_seconds = world.pd.clock_offset_seconds.get(name, 0.0)
    started = world.unix_seconds(world.pd.states[name].start_seconds) + error_seconds
    made.gauge("etcd_server_is_leader", float(leads or name == world.pd.leader_name))
    made.gauge("service_member_role", float(leads), service="PD")
    made.gauge("pd_server_info", float(int(started)), version="v8.5.7", hash="6dce4a68")
    made.gauge("process_start_time_seconds", float(int(started)))
    share = pd_meter.usage(world, name)[1]
    made.gauge("process_resident_memory_bytes", float(int(memory * share)))
    made.gauge("pd_service_maxprocs", cores)
    made.gauge("pd_service_memory_quota_bytes", memory)
    database_bytes = int(DATABASE_QUOTA_BYTES * world.pd.database_share)
    made.gauge("etcd_mvcc_db_total_size_in_bytes", float(database_bytes))
    made.gauge("etcd_mvcc_db_total_size_in_use_in_bytes", float(database_bytes // 2))
    made.gauge("etcd_server_quota_backend_bytes", float(DATABASE_QUOTA_BYTES))
    made.gauge("go_goroutines", 400.0)
    healthy = {member.name for member in failover.healthy_members(world)}
    for member in world.pd.members:
        made.gauge("pd_cluster_health_status", float(member.name in healthy), name=member.name)


def _counters(made: Page, world: World, name: str, *, leads: bool) -> None:
    """Counters stay with the process that counted, whoever leads now."""
    del leads
    for (metric, *texts), value in sorted(world.pd.states[name].counters.items()):
        labels = dict(zip(COUNTER_LABELS[metric], texts, strict=False))
        made.counter(metric, float(value), **labels, **FIXED_LABELS.get(metric, {}))


def _cluster(made: Page, world: World) -> None:
    pd = world.pd
    for check in CHECKS:
        kind = check if check.endswith("-region") else f"{check}-region"
        made.gauge("pd_regions_status", float(len(regions_of(world, check))), type=f"{kind}-count")
    for level, count in _label_levels(world).items():
        made.gauge("pd_regions_label_level", float(count), type=level)
    halted = pd.config.enabled("halt-scheduling")
    for scheduler in pd.schedulers.values():
        allowed = not halted and not schedulers.is_paused(world, scheduler)
        made.gauge("pd_scheduler_status", float(allowed), kind=scheduler.name, type="allow")
    for item, value in pd.config.schedule.items():
        if isinstance(value, bool | int | float):
            made.gauge("pd_config_status", float(value), type=item)
    made.gauge("pd_config_status", float(pd.config.max_replicas), type="max-replicas")
    made.gauge("pd_scheduling_allowance_status", float(halted), kind="halt-scheduling")
    cluster = f"cluster{world.cluster_id}"
    made.gauge("pd_cluster_metadata", float(world.cluster_id), type=cluster)
    made.gauge("pd_cluster_id", float(world.cluster_id), type="cluster_id")
    made.gauge("pd_gc_gc_safepoint", float(gc.safe_point(world)), type="gc_safepoint")
    now = (world.unix_seconds(world.now_seconds) + pd.clock_error_seconds) * 1000.0
    made.gauge("pd_cluster_tso", float(int(now)), type="tso", group="0", dc="global")


def _label_levels(world: World) -> dict[str, int]:
    """How many regions reach which isolation; without location labels none is claimed.

    Regions on the same stores stand equally, so each set of stores is judged once.
    """
    wanted = filters.location_labels(world)
    sets = (
        Counter(
            tuple(peer.store_id for peer in region.peers if peer.role is Role.VOTER)
            for region in world.pd.regions
        )
        if wanted
        else Counter({(): len(world.pd.regions)})
    )
    levels = dict.fromkeys((*wanted, "none"), 0)
    for store_ids, count in sets.items():
        levels[_level(world, store_ids, wanted)] += count
    return levels


def _level(world: World, store_ids: tuple[int, ...], wanted: list[str]) -> str:
    stores = [world.stores[i] for i in store_ids if i in world.stores]
    for label in wanted:
        values = {store.labels.get(label) for store in stores}
        if stores and None not in values and len(values) == len(stores):
            return label
    return "none"


def _store(made: Page, world: World, store: Store) -> None:
    store_id = str(store.store_id)
    engine = "tiflash" if store.is_tiflash else "tikv"
    for kind, value in {**_states(world, store), **_totals(world, store)}.items():
        made.gauge("pd_cluster_status", value, type=kind, engine=engine, store=store_id)
    for kind, value in _figures(world, store).items():
        name = "pd_scheduler_store_status"
        made.gauge(name, value, address=store.address, store=store_id, type=kind)
    for kind, value in _hot(world, store).items():
        made.gauge("pd_hotspot_status", value, address=store.address, store=store_id, type=kind)
    if store.meta_state is not MetaState.TOMBSTONE:
        for kind in limits.KINDS:
            rate = limits.rate_per_minute(world, store.store_id, kind)
            made.gauge("pd_cluster_store_limit", rate, store=store_id, type=kind)
        for label, text in store.labels.items():
            name = f"{label}:{text}"
            made.gauge("pd_cluster_placement_status", 1.0, type=label, name=name, store=store_id)
    evicted = float(store.store_id in world.pd.slow_evicted)
    name = "pd_scheduler_evicted_slow_store_status"
    made.gauge(name, evicted, store=store_id, slow_type="disk")


def _hot(world: World, store: Store) -> dict[str, float]:
    """The flow of the hot ranges on a store; there are few, so regions are looked up by them."""
    written = read = 0.0
    hot_regions = 0
    for hot in world.load.hot.values():
        for region in world.pd.regions.overlapping(hot.start_key, hot.end_key or hot.start_key):
            if region.leader_store_id == store.store_id:
                flow = hot_rates(world, region)
                written, read, hot_regions = written + flow[0], read + flow[1], hot_regions + 1
    return {
        "total_written_bytes_as_leader": written,
        "total_read_bytes_as_leader": read,
        "hot_write_region_as_leader": float(hot_regions if written else 0),
        "hot_read_region_as_leader": float(hot_regions if read else 0),
    }


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
        "witness_count": float(regions.witness_count(store.store_id)),
        "learner_count": float(_learners(world, store.store_id)),
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
        "witness_count": float(regions.witness_count(store_id)),
        "learner_count": float(_learners(world, store_id)),
        "store_available": float(stats.available_bytes if stats else 0),
        "store_used": float(stats.used_bytes if stats else 0),
        "store_capacity": float(stats.capacity_bytes if stats else 0),
        "store_write_rate_bytes": written,
        "store_read_rate_bytes": read,
        "store_write_rate_keys": written / BYTES_PER_KEY,
        "store_read_rate_keys": read / BYTES_PER_KEY,
    }


def _learners(world: World, store_id: int) -> int:
    found = (world.pd.regions.get(region_id) for region_id in world.pd.irregular)
    peers = (region.peer_on(store_id) for region in found if region is not None)
    return sum(peer is not None and peer.role is Role.LEARNER for peer in peers)

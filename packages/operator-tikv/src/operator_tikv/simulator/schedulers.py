"""PD's schedulers of leaders: evict, grant, balance, and the eviction of a slow store."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from operator_tikv.simulator import balance_region, failover, filters, heat, hot_region, operators
from operator_tikv.simulator.builder import RefusedError, plan_transfer_leader
from operator_tikv.simulator.heartbeats import is_disconnected, is_down
from operator_tikv.simulator.operator_model import Plan, Priority, TransferLeader
from operator_tikv.simulator.rule_fit import may_lead

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from operator_tikv.simulator.model import Region, Store
    from operator_tikv.simulator.world import Scheduler, World

EVICT: Final = "evict-leader-scheduler"
GRANT: Final = "grant-leader-scheduler"
BALANCE_LEADER: Final = "balance-leader-scheduler"
BALANCE_REGION: Final = "balance-region-scheduler"
EVICT_SLOW: Final = "evict-slow-store-scheduler"
DEFAULT_NAMES: Final = (
    BALANCE_REGION,
    BALANCE_LEADER,
    hot_region.NAME,
    EVICT_SLOW,
    "evict-stopping-store-scheduler",
)
TYPES: Final = {
    BALANCE_REGION: "balance-region",
    BALANCE_LEADER: "balance-leader",
    hot_region.NAME: hot_region.KIND,
    EVICT_SLOW: "evict-slow-store",
    "evict-stopping-store-scheduler": "evict-stopping-store",
    EVICT: "evict-leader",
    GRANT: "grant-leader",
    "shuffle-leader-scheduler": "shuffle-leader",
    "shuffle-region-scheduler": "shuffle-region",
    "random-merge-scheduler": "random-merge",
    "label-scheduler": "label",
}
BALANCE_LEADER_BATCH: Final = 4
TOLERANT_LEADERS: Final = 5
MIN_INTERVAL_SECONDS: Final = 0.1
MAX_INTERVAL_SECONDS: Final = 5.0
IDLE_GROWTH: Final = 1.3
SLOW_SCORE_EVICTED: Final = 100
SLOW_RECOVERY_SECONDS: Final = 600.0


def on_tick(world: World, args: tuple[int, ...]) -> None:
    """Run every scheduler once; the interval grows while there is nothing to do."""
    pd = world.pd
    if args[0] != pd.tick_number:
        return
    created = 0
    if pd.has_leader and failover.is_prepared(world) and not pd.config.enabled("halt-scheduling"):
        created = sum(run(world, scheduler) for scheduler in list(pd.schedulers.values()))
    grown = min(MAX_INTERVAL_SECONDS, pd.tick_interval_seconds * IDLE_GROWTH)
    pd.tick_interval_seconds = MIN_INTERVAL_SECONDS if created else grown
    world.schedule(pd.tick_interval_seconds, "schedulers.tick", pd.tick_number)


def wake(world: World) -> None:
    """Let the schedulers run soon, after one of them was changed."""
    world.pd.tick_number += 1
    world.pd.tick_interval_seconds = MIN_INTERVAL_SECONDS
    world.schedule(MIN_INTERVAL_SECONDS, "schedulers.tick", world.pd.tick_number)


def is_paused(world: World, scheduler: Scheduler) -> bool:
    """Whether a scheduler is paused now."""
    return scheduler.paused_until_seconds > world.now_seconds


def run(world: World, scheduler: Scheduler) -> int:
    """Run one scheduler once and return how many operators it made."""
    if is_paused(world, scheduler):
        return 0
    if scheduler.name == EVICT:
        return sum(_evict(world, s, EVICT, scheduler.batch) for s in scheduler.stores)
    if scheduler.name == GRANT:
        return sum(_grant(world, store_id) for store_id in scheduler.stores)
    own = _RUNS.get(scheduler.name)
    return own(world) if own is not None else 0


def has_leader_room(world: World) -> bool:
    """Whether `leader-schedule-limit` allows one more operator."""
    limit = world.pd.config.number("leader-schedule-limit")
    return operators.running_of_kind(world, "leader") < limit


def _evict(world: World, store_id: int, name: str, batch: int) -> int:
    ids = world.pd.regions.led_by(store_id)
    if not ids:
        world.pd.count("pd_scheduler_event_count", name, "no-leader")
        return 0
    created = 0
    for region in _open_regions(world, world.rng.sample(ids, len(ids))):
        if created >= batch or not has_leader_room(world):
            break
        target = _pick_target(world, region)
        if target is None:
            world.pd.count("pd_scheduler_event_count", name, "no-target-store")
            continue
        created += _move(world, region, target, name, Priority.URGENT)
    return created


def _grant(world: World, store_id: int) -> int:
    created = 0
    for region_id in world.pd.regions.on_store(store_id):
        region = world.pd.regions.get(region_id)
        if created >= BALANCE_LEADER_BATCH or not has_leader_room(world):
            break
        if region is None or region.leader_store_id == store_id:
            continue
        peer = region.peer_on(store_id)
        if peer is not None and peer.may_lead and region.is_healthy(peer):
            created += _push(world, region, store_id, GRANT)
    return created


def _open_regions(world: World, region_ids: Iterable[int]) -> Iterator[Region]:
    """The regions without an operator that no label protects, looked up one by one."""
    for region_id in region_ids:
        region = world.pd.regions.get(region_id)
        if region is None or region_id in world.pd.operators or filters.is_denied(world, region):
            continue
        yield region


def _pick_target(world: World, region: Region) -> int | None:
    targets = [
        peer.store_id
        for peer in region.peers
        if peer.may_lead
        and peer.peer_id != region.leader_peer_id
        and region.is_healthy(peer)
        and filters.may_receive_leader(world, peer.store_id)
        and may_lead(world, region, peer.store_id)
    ]
    return world.rng.choice(targets) if targets else None


def _move(
    world: World, region: Region, to_store_id: int, description: str, priority: Priority
) -> int:
    try:
        plan = plan_transfer_leader(
            world, region, to_store_id, description=description, kinds=("leader",)
        )
    except RefusedError:
        world.pd.count("pd_scheduler_event_count", description, "create-operator-fail")
        return 0
    admitted = operators.submit(world, region, replace(plan, priority=priority))
    if admitted is not None:
        world.pd.count("pd_scheduler_event_count", description, "new-operator")
    return int(admitted is not None)


def _push(world: World, region: Region, to_store_id: int, description: str) -> int:
    """A leader transfer that may go to a store that is paused for everybody else."""
    step = TransferLeader(region.leader_store_id, to_store_id)
    brief = f"transfer leader: store {region.leader_store_id} to {to_store_id}"
    plan = Plan(description, brief, ("leader",), (step,), Priority.HIGH)
    return int(operators.submit(world, region, plan) is not None)


def _balance_leaders(world: World) -> int:
    if not failover.knows_leaders(world):
        return 0
    created = 0
    counts = _leader_counts(world)
    while created < BALANCE_LEADER_BATCH and has_leader_room(world):
        moved = _balance_once(world, counts)
        if not moved:
            break
        created += moved
    return created


def _balance_once(world: World, counts: dict[int, float]) -> int:
    fewest = min(counts.values(), default=0.0)
    hot = heat.hot_region_ids(world)
    for source_id in sorted(counts, key=lambda store_id: -counts[store_id]):
        if counts[source_id] - fewest <= 2 * TOLERANT_LEADERS:
            return 0
        for region in _open_regions(world, world.pd.regions.leads(source_id)):
            target = _lighter_target(world, region, counts)
            if target is None or region.down or region.pending or region.region_id in hot:
                continue
            moved = _move(world, region, target, BALANCE_LEADER, Priority.MEDIUM)
            counts[source_id] -= moved
            counts[target] += moved
            return moved
    return 0


def _leader_counts(world: World) -> dict[int, float]:
    """Leaders a store, with the moves under way counted in; paused stores are left alone."""
    counts = {
        store.store_id: filters.leader_score(world, store)
        for store in world.stores.values()
        if _may_be_source(world, store)
    }
    for operator in world.pd.operators.values():
        for step in operator.plan.steps[operator.current_step :]:
            if isinstance(step, TransferLeader):
                for store_id, change in ((step.from_store_id, -1), (step.to_store_id, 1)):
                    if store_id in counts:
                        counts[store_id] += change
    return counts


def _may_be_source(world: World, store: Store) -> bool:
    silent = is_disconnected(world, store) or is_down(world, store)
    return (
        store.is_up_to_pd
        and not store.is_tiflash
        and not silent
        and not filters.paused_for_leaders(world, store.store_id)
    )


def _lighter_target(world: World, region: Region, counts: dict[int, float]) -> int | None:
    """The follower's store with the fewest leaders, if the tolerance is exceeded on both sides."""
    candidates = [
        peer.store_id
        for peer in region.peers
        if peer.may_lead and peer.store_id in counts and peer.peer_id != region.leader_peer_id
    ]
    if not candidates:
        return None
    target_id = min(candidates, key=lambda store_id: (counts[store_id], store_id))
    gap = counts[region.leader_store_id] - counts[target_id]
    accepted = gap > 2 * TOLERANT_LEADERS and filters.may_receive_leader(world, target_id)
    return target_id if accepted and may_lead(world, region, target_id) else None


def _evict_slow_store(world: World) -> int:
    evicted = world.pd.slow_evicted
    for store_id in list(evicted):
        if _has_recovered(world, store_id):
            del evicted[store_id]
            world.record("scheduler", f"slow store {store_id} recovered")
    slow = _slow_store_ids(world)
    if not evicted and len(slow) == 1:
        evicted[slow[0]] = world.now_seconds
        world.record("scheduler", f"slow store {slow[0]} evicted")
    return sum(_evict(world, store_id, EVICT_SLOW, 3) for store_id in evicted)


def _slow_store_ids(world: World) -> list[int]:
    return [
        store.store_id
        for store in world.stores.values()
        if store.is_up_to_pd and store.stats and store.stats.slow_score >= SLOW_SCORE_EVICTED
    ]


def _has_recovered(world: World, store_id: int) -> bool:
    store = world.stores.get(store_id)
    if store is None or not store.is_up_to_pd:
        return True
    long_enough = world.now_seconds - world.pd.slow_evicted[store_id] >= SLOW_RECOVERY_SECONDS
    return long_enough and store.stats is not None and store.stats.slow_score <= 1


_RUNS: Final[dict[str, Callable[[World], int]]] = {
    BALANCE_LEADER: _balance_leaders,
    BALANCE_REGION: balance_region.run,
    hot_region.NAME: hot_region.run,
    EVICT_SLOW: _evict_slow_store,
}

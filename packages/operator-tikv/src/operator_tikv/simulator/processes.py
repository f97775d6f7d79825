"""What happens to store processes, disks and networks: the causes PD only sees the signs of."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from operator_tikv.simulator import heartbeats, raft, signs, tikv_meter
from operator_tikv.simulator.heartbeats import receive_store_heartbeat, report_region
from operator_tikv.simulator.meter import Meter
from operator_tikv.simulator.model import HEALTHY, MetaState
from operator_tikv.simulator.vitals import MEMORY_BYTES, USED_MEMORY_BYTES

if TYPE_CHECKING:
    from operator_tikv.simulator.model import Ailments, Store
    from operator_tikv.simulator.world import World

TICK_SECONDS: Final = 10.0
RESTART_SECONDS: Final = 20.0


def refresh(world: World, store: Store) -> None:
    """Let a store be as the active faults want it, and everybody notice what changed."""
    found = HEALTHY
    for active in world.active.values():
        found = active.fault.ail(store.store_id, found, active.memory)
    if store.dead_until_seconds > world.now_seconds:
        found = replace(found, running=False)
    store.ailments = found
    if store.meta_state is not MetaState.TOMBSTONE:
        _change_process(world, store, found)
    if store.process.alive:
        tikv_meter.settle(world, store)
    else:
        store.vitals = None
        store.meter.settle(world.now_seconds, {}, {})


def _change_process(world: World, store: Store, wanted: Ailments) -> None:
    process = store.process
    served, talked, ran = process.alive, process.talks_to_pd, process.running
    process.running, process.frozen = wanted.running, wanted.frozen
    process.pd_reachable = wanted.pd_reachable
    if process.running and not ran:
        _boot(world, store)
    if served and not process.alive:
        fall_silent(world, store)
    if talked and not process.talks_to_pd:
        process.pd_silent_since_seconds = world.now_seconds
    if ran and not process.running:
        raft.lose_leadership(world, store)
    if not served and process.alive:
        process.silent_since_seconds = None
        raft.regain_contact(world, store.store_id)
    if not talked and process.talks_to_pd:
        _meet_pd(world, store)


def _boot(world: World, store: Store) -> None:
    """A new process begins: whatever the old one had counted is gone."""
    store.start_seconds = world.now_seconds
    store.meter, store.vitals = Meter(), None
    store.leaked_bytes = store.stalled_seconds = 0.0
    store.disk.slow_score = 1
    heartbeats.count_registration(world)
    world.log(store.node, "INFO", "Welcome to TiKV")


def on_heartbeat(world: World, args: tuple[int, ...]) -> None:
    """Ten seconds of a store have passed: it reports to PD if it can."""
    heartbeats.on_store_heartbeat(world, args)
    store = world.stores.get(args[0])
    if store is not None and store.process.alive:
        _tick(world, store)


def _tick(world: World, store: Store) -> None:
    """Let ten seconds of a living process pass: memory, stalls and counters."""
    tikv_meter.settle(world, store)
    signs.notice(world, store)
    ailments = store.ailments
    store.stalled_seconds = store.stalled_seconds + TICK_SECONDS if ailments.stalled else 0.0
    store.leaked_bytes += ailments.leak_bytes_per_second * TICK_SECONDS
    if USED_MEMORY_BYTES + store.leaked_bytes > MEMORY_BYTES:
        world.record("store", f"{store.store_id} killed for its memory")
        store.dead_until_seconds = world.now_seconds + RESTART_SECONDS
        refresh(world, store)
        world.schedule(RESTART_SECONDS, "store.restart", store.store_id)


def on_restart(world: World, args: tuple[int, ...]) -> None:
    """The supervisor starts a killed process again."""
    if args[0] in world.stores:
        refresh(world, world.stores[args[0]])


def fall_silent(world: World, store: Store) -> None:
    """Nobody hears a store any more."""
    store.process.silent_since_seconds = world.now_seconds
    raft.lose_contact(world, store.store_id)


def _meet_pd(world: World, store: Store) -> None:
    store.process.pd_silent_since_seconds = None
    if not world.pd.has_leader:
        return
    receive_store_heartbeat(world, store)
    for region_id in world.raft.led_by(store.store_id):
        report_region(world, region_id)


def cut_links(world: World) -> None:
    """Let the links between stores be as the active faults want them."""
    wanted = [pair for active in world.active.values() for pair in active.fault.cut(world)]
    before = world.cuts
    world.cuts = {pair: before.get(pair, world.now_seconds) for pair in wanted}
    changed = dict.fromkeys(
        store_id
        for pair in [*before, *world.cuts]
        if (pair in before) is not (pair in world.cuts)
        for store_id in pair
    )
    for store_id in changed:
        raft.lose_contact(world, store_id)
        raft.regain_contact(world, store_id)

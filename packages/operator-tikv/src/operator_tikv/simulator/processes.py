"""What happens to store processes, disks and networks: the causes PD only sees the signs of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from operator_tikv.simulator import raft
from operator_tikv.simulator.heartbeats import receive_store_heartbeat, report_region
from operator_tikv.simulator.model import HEALTHY, MetaState

if TYPE_CHECKING:
    from operator_tikv.simulator.model import Ailments, Store
    from operator_tikv.simulator.world import World


def refresh(world: World, store: Store) -> None:
    """Let a store be as the active faults want it, and everybody notice what changed."""
    found = HEALTHY
    for active in world.active.values():
        found = active.fault.ail(store.store_id, found, active.memory)
    store.ailments = found
    if store.meta_state is not MetaState.TOMBSTONE:
        _change_process(world, store, found)


def _change_process(world: World, store: Store, wanted: Ailments) -> None:
    process = store.process
    served, talked, ran = process.alive, process.talks_to_pd, process.running
    process.running, process.frozen = wanted.running, wanted.frozen
    process.pd_reachable = wanted.pd_reachable
    if process.running and not ran:
        store.start_seconds = world.now_seconds
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

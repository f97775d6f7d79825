"""What happens to store processes, disks and networks: the causes PD only sees the signs of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from operator_tikv.simulator import raft
from operator_tikv.simulator.heartbeats import receive_store_heartbeat, report_region

if TYPE_CHECKING:
    from operator_tikv.simulator.model import Store
    from operator_tikv.simulator.world import World


def stop(world: World, store: Store) -> None:
    """End a store's process."""
    with_change(world, store, running=False)
    raft.lose_leadership(world, store)


def start(world: World, store: Store) -> None:
    """Start a store's process again."""
    if not store.process.running:
        store.start_seconds = world.now_seconds
    with_change(world, store, running=True, frozen=False)


def freeze(world: World, store: Store) -> None:
    """Pause a process, as SIGSTOP does: it keeps what it held and answers nobody."""
    with_change(world, store, frozen=True)


def thaw(world: World, store: Store) -> None:
    """Let a paused process run on."""
    with_change(world, store, frozen=False)


def with_change(world: World, store: Store, **changes: bool) -> None:
    """Change the flags of a process and let everybody notice.

    Args:
        world: the simulation.
        store: the store whose process changes.
        changes: new values of `running`, `frozen`, `pd_reachable`, `peers_reachable`.
    """
    process = store.process
    served, talked = process.serves_raft, process.talks_to_pd
    for name, value in changes.items():
        setattr(process, name, value)
    if served and not process.serves_raft:
        raft.fall_silent(world, store)
    if talked and not process.talks_to_pd:
        process.pd_silent_since_seconds = world.now_seconds
    if not served and process.serves_raft:
        raft.speak_again(world, store)
    if not talked and process.talks_to_pd:
        _meet_pd(world, store)


def _meet_pd(world: World, store: Store) -> None:
    store.process.pd_silent_since_seconds = None
    if not world.pd.has_leader:
        return
    receive_store_heartbeat(world, store)
    for region_id in world.raft.led_by(store.store_id):
        report_region(world, region_id)

"""Faults by name, and what undoes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from operator_tikv.simulator import failover, heartbeats, processes, raft, schedulers, scheduling
from operator_tikv.simulator.fault_call import FaultCall, FaultError
from operator_tikv.simulator.model import MetaState

if TYPE_CHECKING:
    from collections.abc import Callable

    from operator_tikv.simulator.model import Store
    from operator_tikv.simulator.world import World

LOW_SPACE_SHARE: Final = 0.1
FULL_DISK_SHARE: Final = 0.001
LONG_PAUSE_SECONDS: Final = 86_400.0
QUORUM_LOSS_STORES: Final = 2


def apply(world: World, call: FaultCall) -> str:
    """Apply a fault by its name and return what was done, in one line.

    Raises:
        FaultError: no such fault, store, member or scheduler.
    """
    fault = FAULTS.get(call.name)
    if fault is None:
        raise FaultError(f"unknown fault {call.name!r}; known: {', '.join(sorted(FAULTS))}")
    done = fault(world, call)
    world.record("fault", f"{call.name}: {done}")
    return done


def _store(world: World, call: FaultCall) -> Store:
    living = [s for s in world.stores.values() if s.meta_state is not MetaState.TOMBSTONE]
    if call.store_id == 0 and living:
        kv = [store for store in living if not store.is_tiflash]
        return world.rng.choice(kv)
    store = world.stores.get(call.store_id)
    if store is None or store.meta_state is MetaState.TOMBSTONE:
        raise FaultError(f"no store {call.store_id}")
    return store


def _stop_store(world: World, call: FaultCall) -> str:
    store = _store(world, call)
    processes.stop(world, store)
    return f"store {store.store_id} stopped"


def _start_store(world: World, call: FaultCall) -> str:
    store = _store(world, call)
    processes.start(world, store)
    return f"store {store.store_id} started"


def _pause_store(world: World, call: FaultCall) -> str:
    store = _store(world, call)
    processes.freeze(world, store)
    return f"store {store.store_id} paused"


def _resume_store(world: World, call: FaultCall) -> str:
    store = _store(world, call)
    processes.thaw(world, store)
    return f"store {store.store_id} resumed"


def _partition_from_pd(world: World, call: FaultCall) -> str:
    store = _store(world, call)
    processes.with_change(world, store, pd_reachable=False)
    return f"store {store.store_id} cannot reach PD"


def _partition_from_peers(world: World, call: FaultCall) -> str:
    store = _store(world, call)
    processes.with_change(world, store, peers_reachable=False)
    return f"store {store.store_id} cannot reach its peers"


def _heal_partition(world: World, call: FaultCall) -> str:
    store = _store(world, call)
    processes.with_change(world, store, pd_reachable=True, peers_reachable=True)
    return f"store {store.store_id} reaches everybody"


def _slow_disk(world: World, call: FaultCall) -> str:
    store = _store(world, call)
    store.disk.slow = True
    return f"store {store.store_id} has a slow disk"


def _restore_disk(world: World, call: FaultCall) -> str:
    store = _store(world, call)
    store.disk.slow = False
    store.disk.foreign_bytes = 0
    return f"store {store.store_id} has a good and empty enough disk"


def _low_space(world: World, call: FaultCall) -> str:
    return _fill(world, call, LOW_SPACE_SHARE)


def _full_disk(world: World, call: FaultCall) -> str:
    return _fill(world, call, FULL_DISK_SHARE)


def _fill(world: World, call: FaultCall, left_share: float) -> str:
    store = _store(world, call)
    stats = heartbeats.read_stats(world, store)
    left_bytes = int(stats.capacity_bytes * left_share)
    store.disk.foreign_bytes = max(0, stats.capacity_bytes - stats.used_bytes - left_bytes)
    return f"store {store.store_id} has {left_share:.1%} of its disk left"


def _pd_no_leader(world: World, _call: FaultCall) -> str:
    world.pd.election_blocked = True
    failover.drop_leader(world)
    return "PD has no leader and cannot elect one"


def _pd_recover(world: World, _call: FaultCall) -> str:
    world.pd.election_blocked = False
    world.pd.stopped_members.clear()
    if not world.pd.has_leader:
        failover.drop_leader(world)
    return "PD may elect a leader"


def _pd_leader_change(world: World, _call: FaultCall) -> str:
    failover.drop_leader(world)
    return "PD's leader is lost, another will be elected"


def _pd_member_down(world: World, call: FaultCall) -> str:
    followers = [m.name for m in failover.healthy_members(world) if m.name != world.pd.leader_name]
    name = call.member or (followers[0] if followers else world.pd.leader_name)
    if name not in {member.name for member in world.pd.members}:
        raise FaultError(f"no PD member {name!r}")
    world.pd.stopped_members.add(name)
    if name == world.pd.leader_name or not failover.may_elect(world):
        failover.drop_leader(world)
    return f"PD member {name} stopped"


def _forgotten_evict_leader(world: World, call: FaultCall) -> str:
    store = _store(world, call)
    scheduling.add_store(world, schedulers.EVICT, store.store_id)
    return f"evict-leader left on store {store.store_id}"


def _leader_imbalance(world: World, call: FaultCall) -> str:
    """Move every leader that can move to one store at once.

    With `persistent` the balance-leader scheduler is paused too, else PD heals it by itself.
    """
    store = _store(world, call)
    if call.persistent:
        _pause(world, schedulers.BALANCE_LEADER, LONG_PAUSE_SECONDS)
    moved = sum(
        raft.transfer_leader(world, region_id, store.store_id)
        for region_id in world.raft.on_store(store.store_id)
        if region_id not in world.raft.led_by(store.store_id)
    )
    return f"{moved} leaders moved to store {store.store_id}"


def _pause_scheduler(world: World, call: FaultCall) -> str:
    name = call.scheduler or schedulers.BALANCE_LEADER
    _pause(world, name, call.duration_seconds or LONG_PAUSE_SECONDS)
    return f"{name} paused"


def _resume_scheduler(world: World, call: FaultCall) -> str:
    name = call.scheduler or schedulers.BALANCE_LEADER
    _pause(world, name, 0.0)
    return f"{name} resumed"


def _pause(world: World, name: str, duration_seconds: float) -> None:
    if name not in world.pd.schedulers:
        raise FaultError(f"no scheduler {name!r}")
    scheduling.pause(world, name, duration_seconds)


def _quorum_loss(world: World, call: FaultCall) -> str:
    chosen = list(call.store_ids)
    if not chosen:
        living = [s.store_id for s in world.stores.values() if s.process.alive]
        kv = [store_id for store_id in living if not world.stores[store_id].is_tiflash]
        chosen = sorted(world.rng.sample(kv, min(QUORUM_LOSS_STORES, len(kv))))
    for store_id in chosen:
        processes.stop(world, _store(world, FaultCall(call.name, store_id)))
    return f"stores {chosen} stopped"


def _start_all(world: World, _call: FaultCall) -> str:
    for store in world.stores.values():
        if store.meta_state is not MetaState.TOMBSTONE:
            processes.start(world, store)
            processes.with_change(world, store, pd_reachable=True, peers_reachable=True)
    return "all stores run and reach everybody"


def _load(world: World, call: FaultCall) -> str:
    world.load.factor = call.factor
    return f"load times {call.factor}"


FAULTS: Final[dict[str, Callable[[World, FaultCall], str]]] = {
    "stop_store": _stop_store,
    "start_store": _start_store,
    "pause_store": _pause_store,
    "resume_store": _resume_store,
    "slow_disk": _slow_disk,
    "restore_disk": _restore_disk,
    "low_space": _low_space,
    "full_disk": _full_disk,
    "partition_from_pd": _partition_from_pd,
    "partition_from_peers": _partition_from_peers,
    "heal_partition": _heal_partition,
    "pd_no_leader": _pd_no_leader,
    "pd_recover": _pd_recover,
    "pd_leader_change": _pd_leader_change,
    "pd_member_down": _pd_member_down,
    "forgotten_evict_leader": _forgotten_evict_leader,
    "leader_imbalance": _leader_imbalance,
    "pause_scheduler": _pause_scheduler,
    "resume_scheduler": _resume_scheduler,
    "quorum_loss": _quorum_loss,
    "start_all": _start_all,
    "load": _load,
}

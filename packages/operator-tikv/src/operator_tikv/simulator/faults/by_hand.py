"""Switches that a person flips by hand: each acts at once, and another one undoes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from operator_tikv.simulator import failover, schedulers, scheduling
from operator_tikv.simulator.faults import data, stores, timeline
from operator_tikv.simulator.faults.words import FaultError, StoreFault
from operator_tikv.simulator.model import MetaState

if TYPE_CHECKING:
    from collections.abc import Callable

    from operator_tikv.simulator.faults.call import FaultCall
    from operator_tikv.simulator.model import Store
    from operator_tikv.simulator.world import World

LOW_SPACE_SHARE: Final = 0.1
LONG_PAUSE_SECONDS: Final = 86_400.0
QUORUM_LOSS_STORES: Final = 2
_PROCESS: Final = (stores.Stop, stores.Kill, stores.LostData)
_DISK: Final = (stores.SlowDisk, stores.FullDisk)


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


def _begin(world: World, call: FaultCall, kind: type[StoreFault], **fields: object) -> int:
    """Let a fault begin on one store and return which."""
    store_id = _store(world, call).store_id
    fault = kind.model_validate({"stores": (store_id,), **fields})
    timeline.begin(world, timeline.name_of(kind), fault)
    return store_id


def _relieve(world: World, call: FaultCall, *kinds: type[StoreFault]) -> int:
    store_id = _store(world, call).store_id
    timeline.relieve(world, store_id, kinds)
    return store_id


def _stop_store(world: World, call: FaultCall) -> str:
    return f"store {_begin(world, call, stores.Stop)} stopped"


def _start_store(world: World, call: FaultCall) -> str:
    return f"store {_relieve(world, call, *_PROCESS, stores.Freeze)} started"


def _pause_store(world: World, call: FaultCall) -> str:
    return f"store {_begin(world, call, stores.Freeze)} paused"


def _resume_store(world: World, call: FaultCall) -> str:
    return f"store {_relieve(world, call, stores.Freeze)} resumed"


def _partition_from_pd(world: World, call: FaultCall) -> str:
    return f"store {_begin(world, call, stores.Partition, away_from='pd')} cannot reach PD"


def _partition_from_peers(world: World, call: FaultCall) -> str:
    return f"store {_begin(world, call, stores.Partition)} cannot reach its peers"


def _heal_partition(world: World, call: FaultCall) -> str:
    return f"store {_relieve(world, call, stores.Partition)} reaches everybody"


def _slow_disk(world: World, call: FaultCall) -> str:
    return f"store {_begin(world, call, stores.SlowDisk)} has a slow disk"


def _restore_disk(world: World, call: FaultCall) -> str:
    return f"store {_relieve(world, call, *_DISK)} has a good and empty enough disk"


def _low_space(world: World, call: FaultCall) -> str:
    return f"store {_begin(world, call, stores.FullDisk, left=LOW_SPACE_SHARE)} has little space"


def _full_disk(world: World, call: FaultCall) -> str:
    return f"store {_begin(world, call, stores.FullDisk)} has a full disk"


def _pd_no_leader(world: World, _call: FaultCall) -> str:
    world.pd.election_blocked = True
    failover.drop_leader(world)
    return "PD has no leader and cannot elect one"


def _pd_recover(world: World, _call: FaultCall) -> str:
    world.pd.election_blocked = False
    failover.regain_members(world, sorted(world.pd.stopped_members))
    return "PD may elect a leader"


def _pd_leader_change(world: World, _call: FaultCall) -> str:
    failover.drop_leader(world)
    return "PD's leader is lost, another will be elected"


def _pd_member_down(world: World, call: FaultCall) -> str:
    followers = [m.name for m in failover.healthy_members(world) if m.name != world.pd.leader_name]
    name = call.member or (followers[0] if followers else world.pd.leader_name)
    if name not in {member.name for member in world.pd.members}:
        raise FaultError(f"no PD member {name!r}")
    failover.lose_members(world, [name])
    return f"PD member {name} stopped"


def _forgotten_evict_leader(world: World, call: FaultCall) -> str:
    store = _store(world, call)
    scheduling.add_store(world, schedulers.EVICT, store.store_id)
    return f"evict-leader left on store {store.store_id}"


def _leader_imbalance(world: World, call: FaultCall) -> str:
    """Move every leader that can move to one store at once.

    With `persistent` the balance-leader scheduler is paused too, else PD heals it by itself.
    """
    if call.persistent:
        _pause(world, schedulers.BALANCE_LEADER, LONG_PAUSE_SECONDS)
    return f"leaders moved to store {_begin(world, call, data.MoveLeaders)}"


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
        timeline.begin(world, "stop", stores.Stop(stores=(store_id,)))
    return f"stores {chosen} stopped"


def _start_all(world: World, _call: FaultCall) -> str:
    for store in list(world.stores.values()):
        if store.meta_state is not MetaState.TOMBSTONE:
            kinds = (*_PROCESS, stores.Freeze, stores.Partition)
            timeline.relieve(world, store.store_id, kinds)
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

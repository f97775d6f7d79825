"""The faults by name; when they begin, strike again and end."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from operator_core.lab import complaint, near
from operator_tikv.simulator import processes
from operator_tikv.simulator.faults import data, pd, settings, stores
from operator_tikv.simulator.faults.words import (
    Active,
    Fault,
    FaultError,
    PlannedFault,
    StoreFault,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from operator_tikv.simulator.world import World


def name_of(kind: type[Fault]) -> str:
    """The name of a kind of fault: `SlowDisk` is called `slow_disk`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", kind.__name__).lower()


KINDS: Final[dict[str, type[Fault]]] = {
    name_of(kind): kind
    for kind in (
        stores.Stop,
        stores.Kill,
        stores.Freeze,
        stores.Partition,
        stores.ClosedStatusPort,
        stores.SlowDisk,
        stores.FullDisk,
        stores.WriteStall,
        stores.SlowCompaction,
        stores.Overload,
        stores.MemoryLeak,
        stores.SlowSnapshots,
        stores.LaggingReplicas,
        stores.Corruption,
        stores.LostData,
        pd.PdStop,
        pd.PdFreeze,
        pd.PdFlap,
        pd.PdSlowDisk,
        pd.PdSlowNetwork,
        pd.PdOverload,
        pd.PdDatabase,
        pd.PdTransferIgnored,
        pd.ClockOffset,
        settings.EvictLeader,
        settings.PauseScheduler,
        settings.RemoveScheduler,
        settings.PauseChecker,
        settings.Config,
        settings.StoreLimit,
        settings.StoreWeight,
        settings.Labels,
        settings.DenySchedule,
        settings.DeleteStore,
        settings.GcBlock,
        data.Load,
        data.HotRegion,
        data.HotStore,
        data.MoveLeaders,
        data.ResizeRegions,
        data.BrokenPeers,
        data.StuckLearner,
        data.Join,
        data.Version,
        data.GhostStore,
    )
}


def read_fault(name: object, fields: Mapping[str, Any]) -> Fault:
    """Make a fault of its name and its parameters.

    Args:
        name: one of `KINDS`.
        fields: its parameters, as TOML or JSON gives them.

    Raises:
        FaultError: the name or a parameter is wrong; the text says which and why.
    """
    kind = KINDS.get(name) if isinstance(name, str) else None
    if kind is None:
        raise FaultError(f"unknown fault {name!r}; {near(str(name), KINDS)}")
    try:
        return kind.model_validate(fields)
    except ValidationError as error:
        raise FaultError(f"{name}: {complaint(error, kind)}") from error


def begin(world: World, name: str, fault: Fault) -> Active:
    """Let a fault begin now and stay until it is ended.

    Args:
        world: the simulation.
        name: what it is called.
        fault: the fault.

    Raises:
        FaultError: it cannot be applied to this cluster.
    """
    fault = fault.settled(world)
    world.faults_numbered += 1
    active = Active(world.faults_numbered, name, fault, world.now_seconds)
    fault.begin(world, active.memory)
    world.active[active.number] = active
    world.record("fault", f"{name} {active.number}: {_text(fault)}")
    _spread(world, fault)
    _beat(world, active)
    return active


def end(world: World, number: int) -> None:
    """End an active fault.

    Raises:
        FaultError: no fault of that number is active.
    """
    active = world.active.pop(number, None)
    if active is None:
        raise FaultError(f"no fault {number} is active")
    active.fault.end(world, active.memory)
    world.record("fault", f"{active.name} {number} ended")
    _spread(world, active.fault)


def relieve(world: World, store_id: int, kinds: tuple[type[StoreFault], ...]) -> None:
    """End what faults of some kinds do to one store; other stores they hit stay hit.

    Args:
        world: the simulation.
        store_id: the store.
        kinds: which faults.
    """
    for active in list(world.active.values()):
        fault = active.fault
        if not isinstance(fault, kinds) or store_id not in fault.stores:
            continue
        others = tuple(other for other in fault.stores if other != store_id)
        if not others:
            end(world, active.number)
            continue
        fault.model_copy(update={"stores": (store_id,)}).end(world, active.memory)
        active.fault = fault.model_copy(update={"stores": others})
        _spread(world, fault)


def plan(world: World, planned: PlannedFault) -> int:
    """Let a fault begin, and perhaps end, at its times from now on; returns the plan's number."""
    world.faults_numbered += 1
    number = world.faults_numbered
    world.planned[number] = planned
    world.schedule(planned.at_seconds, "fault.begin", number)
    return number


def on_begin(world: World, args: tuple[int, ...]) -> None:
    """The time of a planned fault has come; one that cannot be is noted and left out.

    What ends at the same moment ends first, so that one fault may hand over to the next.
    """
    number, *waited = args
    if not waited:
        world.schedule(0.0, "fault.begin", number, 1)
        return
    planned = world.planned.pop(number)
    try:
        active = begin(world, planned.name, planned.fault)
    except FaultError as error:
        world.record("fault", f"{planned.name} refused: {error}")
        world.refused_faults.append(f"{planned.name} at {world.now_seconds:g} s: {error}")
        return
    if planned.until_seconds is not None:
        delay_seconds = planned.until_seconds - planned.at_seconds
        world.schedule(delay_seconds, "fault.end", active.number)


def on_end(world: World, args: tuple[int, ...]) -> None:
    """The time of an active fault is over."""
    if args[0] in world.active:
        end(world, args[0])


def on_beat(world: World, args: tuple[int, ...]) -> None:
    """An active fault strikes again."""
    active = world.active.get(args[0])
    if active is not None:
        _beat(world, active)


def _beat(world: World, active: Active) -> None:
    delay_seconds = active.fault.beat(world, active.memory)
    if active.memory.beats > 1:
        _spread(world, active.fault)
    if delay_seconds is not None:
        world.schedule(delay_seconds, "fault.beat", active.number)


def _spread(world: World, fault: Fault) -> None:
    for store_id in getattr(fault, "stores", ()):
        if store_id in world.stores:
            processes.refresh(world, world.stores[store_id])
    if isinstance(fault, stores.Partition):
        processes.cut_links(world)


def _text(fault: Fault) -> str:
    fields = fault.model_dump(by_alias=True)
    return " ".join(f"{key}={value}" for key, value in fields.items()) or "-"

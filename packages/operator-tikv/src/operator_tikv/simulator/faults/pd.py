"""Faults of PD's own servers."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pydantic import Field

from operator_tikv.simulator import failover
from operator_tikv.simulator.faults.words import (
    Fault,
    FaultError,
    Memory,
    Offset,
    Seconds,
    Share,
    StoreId,
)
from operator_tikv.simulator.world import DATABASE_SHARE

if TYPE_CHECKING:
    from collections.abc import Iterable, MutableMapping
    from typing import Any, Self

    from operator_tikv.simulator.model import Ailments
    from operator_tikv.simulator.world import World

LEASE_SECONDS = 5.0
CLOCK_LOG_SECONDS = 60.0


class MemberFault(Fault):
    """A fault of named PD servers; without names it hits the one that leads."""

    members: tuple[str, ...] = ()

    def settled(self, world: World) -> Self:
        """Choose the leader if nobody is named.

        Raises:
            FaultError: there is no such server.
        """
        known = {member.name for member in world.pd.members}
        for name in self.members:
            if name not in known:
                raise FaultError(f"no PD member {name!r}; there are {', '.join(sorted(known))}")
        chosen = self.members or (world.pd.leader_name or world.pd.members[0].name,)
        return self.model_copy(update={"members": chosen})


class PdStop(MemberFault):
    """The servers are ended; without a majority nobody leads."""

    def begin(self, world: World, memory: Memory) -> None:
        """See `Fault.begin`."""
        del memory
        failover.lose_members(world, self.members)

    def end(self, world: World, memory: Memory) -> None:
        """See `Fault.end`."""
        del memory
        failover.regain_members(world, self.members)


class PdFreeze(MemberFault):
    """The servers hang: alive for etcd, without an answer for anybody; PD elects no other."""

    def begin(self, world: World, memory: Memory) -> None:
        """See `Fault.begin`."""
        del memory
        failover.hang_members(world, self.members)

    def end(self, world: World, memory: Memory) -> None:
        """See `Fault.end`."""
        del memory
        failover.release_members(world, self.members)


class PdFlap(Fault):
    """PD's leader loses its lease `every` so often."""

    every: Seconds = Field(60.0, ge=20.0)

    def beat(self, world: World, memory: Memory) -> float | None:
        """Let the lease expire."""
        memory.beats += 1
        if world.pd.has_leader:
            failover.expire_lease(world)
        return self.every


class PdSlowDisk(MemberFault):
    """The servers' etcd writes take `latency`; a leader whose lease cannot be kept resigns."""

    latency: Seconds = 2.0

    def begin(self, world: World, memory: Memory) -> None:
        """See `Fault.begin`."""
        del memory
        world.pd.fsync_seconds.update(dict.fromkeys(self.members, self.latency))

    def end(self, world: World, memory: Memory) -> None:
        """See `Fault.end`."""
        del memory
        _forget(world.pd.fsync_seconds, self.members)

    def beat(self, world: World, memory: Memory) -> float | None:
        """Log the slow writes, and lose the lease if they are too slow for it."""
        memory.beats += 1
        leader = world.pd.leader_name
        for name in self.members:
            key = f"/pd/{world.cluster_id}/leader"
            cost = f"{self.latency:.2f}s"
            fields = {"request-key": key, "cost": cost}
            world.log(name, "WARN", "kv gets too slow", **fields)
        if leader in self.members and self.latency >= LEASE_SECONDS and memory.beats > 1:
            failover.expire_lease(world)
        return 60.0


class PdSlowNetwork(Fault):
    """A round trip between PD's servers takes `latency`."""

    latency: Seconds = 1.5

    def begin(self, world: World, memory: Memory) -> None:
        """See `Fault.begin`."""
        memory.former["round_trip"] = world.pd.round_trip_seconds
        world.pd.round_trip_seconds = self.latency

    def end(self, world: World, memory: Memory) -> None:
        """See `Fault.end`."""
        del memory
        world.pd.round_trip_seconds = 0.0


class PdOverload(MemberFault):
    """The servers use the shares `cpu` and `memory` of what they may; TSO gets slow."""

    cpu: Share = 0.95
    memory: Share = 0.5

    def begin(self, world: World, memory: Memory) -> None:
        """See `Fault.begin`."""
        del memory
        world.pd.usage.update(dict.fromkeys(self.members, (self.cpu, self.memory)))

    def end(self, world: World, memory: Memory) -> None:
        """See `Fault.end`."""
        del memory
        _forget(world.pd.usage, self.members)


class PdDatabase(Fault):
    """The database of PD's etcd, which each server has, uses the `share` of its quota."""

    share: Share = Field(0.85, lt=1.0)

    def begin(self, world: World, memory: Memory) -> None:
        """See `Fault.begin`."""
        del memory
        world.pd.database_share = self.share

    def end(self, world: World, memory: Memory) -> None:
        """See `Fault.end`."""
        del memory
        world.pd.database_share = DATABASE_SHARE


class PdTransferIgnored(Fault):
    """Asked to hand over, PD answers that it was submitted, and nothing happens."""

    def begin(self, world: World, memory: Memory) -> None:
        """See `Fault.begin`."""
        del memory
        world.pd.transfer_ignored = True

    def end(self, world: World, memory: Memory) -> None:
        """See `Fault.end`."""
        del memory
        world.pd.transfer_ignored = False


class ClockOffset(MemberFault):
    """The clocks of PD servers, or of `stores`, are wrong by `offset`."""

    stores: tuple[StoreId, ...] = ()
    offset: Offset = -0.5

    def settled(self, world: World) -> Self:
        """See `MemberFault.settled`; with stores named no PD server is hit by default."""
        for store_id in self.stores:
            if store_id not in world.stores:
                raise FaultError(f"no store {store_id}")
        return self if self.stores and not self.members else super().settled(world)

    def begin(self, world: World, memory: Memory) -> None:
        """See `Fault.begin`."""
        del memory
        world.pd.clock_offset_seconds.update(dict.fromkeys(self.members, self.offset))

    def end(self, world: World, memory: Memory) -> None:
        """See `Fault.end`; a clock that was ahead goes back when it is put right."""
        del memory
        _forget(world.pd.clock_offset_seconds, self.members)
        if self.offset > 0:
            self._notice(world, self.offset)

    def beat(self, world: World, memory: Memory) -> float | None:
        """TSO notices a clock that lags behind what it has promised."""
        memory.beats += 1
        if self.offset < 0:
            self._notice(world, -self.offset)
        return CLOCK_LOG_SECONDS

    def _notice(self, world: World, behind_seconds: float) -> None:
        """Let the leader count and log that its clock is behind its last timestamp."""
        leader = world.pd.leader_name
        if leader in self.members:
            world.pd.count("pd_tso_events", "system_time_slow", "")
            lag = f"{behind_seconds * 1000:.1f}ms"
            world.log(leader, "WARN", "clock offset", **{"jet-lag": lag})
            world.log(leader, "WARN", "system time may be incorrect", last=lag)

    def ail(self, store_id: int, found: Ailments, memory: Memory) -> Ailments:
        """See `Fault.ail`."""
        del memory
        return (
            replace(found, clock_offset_seconds=self.offset) if store_id in self.stores else found
        )


def _forget(table: MutableMapping[str, Any], names: Iterable[str]) -> None:
    for name in names:
        table.pop(name, None)

"""Faults of store processes, their disks and their networks."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from operator_tikv.simulator import heartbeats
from operator_tikv.simulator.faults.words import (
    Count,
    Direction,
    FaultError,
    Memory,
    Rate,
    Seconds,
    Share,
    StoreFault,
    StoreId,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Self

    from operator_tikv.simulator.model import Ailments
    from operator_tikv.simulator.world import World


class Stop(StoreFault):
    """The process is ended and stays down."""

    def ail(self, store_id: int, found: Ailments, memory: Memory) -> Ailments:
        """See `Fault.ail`."""
        del memory
        return replace(found, running=False) if store_id in self.stores else found


class Kill(StoreFault):
    """The process dies and its supervisor starts it again, once or `every` so often."""

    restart_after: Seconds = 20.0
    every: Seconds = 0.0

    def begin(self, world: World, memory: Memory) -> None:
        """See `Fault.begin`."""
        del world
        memory.striking = True

    def beat(self, world: World, memory: Memory) -> float | None:
        """Start the process again, and kill it again if that is to go on."""
        del world
        memory.beats += 1
        if memory.beats == 1:
            return self.restart_after
        memory.striking = not memory.striking
        if memory.striking:
            return self.restart_after
        return max(self.every - self.restart_after, self.restart_after) if self.every else None

    def ail(self, store_id: int, found: Ailments, memory: Memory) -> Ailments:
        """See `Fault.ail`."""
        down = memory.striking and store_id in self.stores
        return replace(found, running=False) if down else found


class Freeze(StoreFault):
    """The process is paused as by SIGSTOP: it keeps what it holds and answers nobody."""

    def ail(self, store_id: int, found: Ailments, memory: Memory) -> Ailments:
        """See `Fault.ail`."""
        del memory
        return replace(found, frozen=True) if store_id in self.stores else found


class Partition(StoreFault):
    """The network of the stores is cut: `from` PD, their peers, all, or the stores listed.

    `direction` is seen from the stores: `in` loses what is sent to them, `out` what they send.
    A stream to PD needs both directions, so any cut of it silences the heartbeats.
    """

    away_from: Literal["pd", "peers", "all"] | tuple[StoreId, ...] = Field("peers", alias="from")
    direction: Direction = "both"

    def settled(self, world: World) -> Self:
        """See `StoreFault.settled`."""
        for store_id in self.away_from if isinstance(self.away_from, tuple) else ():
            if store_id not in world.stores:
                raise FaultError(f"no store {store_id}")
        return super().settled(world)

    def ail(self, store_id: int, found: Ailments, memory: Memory) -> Ailments:
        """See `Fault.ail`."""
        del memory
        hit = store_id in self.stores and self.away_from in {"pd", "all"}
        return replace(found, pd_reachable=False) if hit else found

    def cut(self, world: World) -> Iterator[tuple[int, int]]:
        """See `Fault.cut`."""
        if self.away_from == "pd":
            return
        others = self.away_from if isinstance(self.away_from, tuple) else tuple(world.stores)
        for store_id in self.stores:
            for other_id in others:
                if other_id in self.stores:
                    continue
                if self.direction in {"both", "in"}:
                    yield other_id, store_id
                if self.direction in {"both", "out"}:
                    yield store_id, other_id


class ClosedStatusPort(StoreFault):
    """Nobody reaches the stores' status ports, as behind a firewall; they serve all the same."""

    def ail(self, store_id: int, found: Ailments, memory: Memory) -> Ailments:
        """See `Fault.ail`."""
        del memory
        return replace(found, status_port_open=False) if store_id in self.stores else found


class SlowDisk(StoreFault):
    """Each write takes `latency`; from 100 ms on the slow score rises, 100 within 70 s."""

    latency: Seconds = 1.5

    def ail(self, store_id: int, found: Ailments, memory: Memory) -> Ailments:
        """See `Fault.ail`."""
        del memory
        if store_id not in self.stores:
            return found
        return replace(found, disk_seconds=max(found.disk_seconds, self.latency))


class FullDisk(StoreFault):
    """Other files fill the disk until only the share `left` of it is free."""

    left: Share = 0.001

    def begin(self, world: World, memory: Memory) -> None:
        """See `Fault.begin`."""
        for store in self.of(world):
            stats = heartbeats.read_stats(world, store)
            filled = max(0, stats.available_bytes - int(stats.capacity_bytes * self.left))
            store.disk.foreign_bytes += filled
            memory.former[str(store.store_id)] = filled

    def end(self, world: World, memory: Memory) -> None:
        """See `Fault.end`."""
        for store in self.of(world):
            filled = memory.former.get(str(store.store_id))
            if isinstance(filled, int):
                store.disk.foreign_bytes = max(0, store.disk.foreign_bytes - filled)


class WriteStall(StoreFault):
    """RocksDB stalls writes: compaction cannot keep up, clients get "server is busy"."""

    def ail(self, store_id: int, found: Ailments, memory: Memory) -> Ailments:
        """See `Fault.ail`."""
        del memory
        return replace(found, stalled=True) if store_id in self.stores else found


class SlowCompaction(StoreFault):
    """Compaction is behind: so many `files` wait at level 0, and a stall is near."""

    files: Count = 90

    def ail(self, store_id: int, found: Ailments, memory: Memory) -> Ailments:
        """See `Fault.ail`."""
        del memory
        if store_id not in self.stores:
            return found
        return replace(found, level0_files=max(found.level0_files, self.files))


class Overload(StoreFault):
    """A thread pool works at its limit and its queue grows."""

    pool: Literal["raftstore", "apply", "coprocessor", "scheduler"] = "raftstore"

    def ail(self, store_id: int, found: Ailments, memory: Memory) -> Ailments:
        """See `Fault.ail`."""
        del memory
        hit = store_id in self.stores and self.pool not in found.busy_pools
        return replace(found, busy_pools=(*found.busy_pools, self.pool)) if hit else found


class MemoryLeak(StoreFault):
    """The memory of the process grows; at its quota the system kills it and it starts again."""

    mib_per_minute: Rate = 1536.0

    def ail(self, store_id: int, found: Ailments, memory: Memory) -> Ailments:
        """See `Fault.ail`."""
        del memory
        if store_id not in self.stores:
            return found
        rate = self.mib_per_minute * (1 << 20) / 60.0
        return replace(found, leak_bytes_per_second=found.leak_bytes_per_second + rate)


class SlowSnapshots(StoreFault):
    """Snapshots to (and from) the stores crawl, so that new peers stay pending."""

    mib_per_second: Rate = Field(0.05, gt=0.0)
    direction: Literal["both", "in"] = "both"

    def ail(self, store_id: int, found: Ailments, memory: Memory) -> Ailments:
        """See `Fault.ail`."""
        del memory
        if store_id not in self.stores:
            return found
        receive = min(found.receive_mib_per_second, self.mib_per_second)
        found = replace(found, receive_mib_per_second=receive)
        if self.direction == "in":
            return found
        send = min(found.send_mib_per_second, self.mib_per_second)
        return replace(found, send_mib_per_second=send)


class LaggingReplicas(StoreFault):
    """The replicas on the stores are so many `entries` of their logs behind their leaders."""

    entries: Rate = Field(20_000.0, ge=2.0)

    def ail(self, store_id: int, found: Ailments, memory: Memory) -> Ailments:
        """See `Fault.ail`."""
        del memory
        if store_id not in self.stores:
            return found
        return replace(found, lag_entries=max(found.lag_entries, self.entries))


class Corruption(StoreFault):
    """The store meets errors it cannot go on from, counted by their `kind`."""

    kind: str = Field("sst_corruption", min_length=1, max_length=60)

    def ail(self, store_id: int, found: Ailments, memory: Memory) -> Ailments:
        """See `Fault.ail`."""
        del memory
        return replace(found, critical_error=self.kind) if store_id in self.stores else found


class LostData(StoreFault):
    """The store restarts with an empty disk: PD refuses the new store at the old address."""

    def ail(self, store_id: int, found: Ailments, memory: Memory) -> Ailments:
        """See `Fault.ail`."""
        del memory
        return replace(found, running=False) if store_id in self.stores else found

    def beat(self, world: World, memory: Memory) -> float | None:
        """Try to register the empty store again, and be refused."""
        memory.beats += 1
        for store in self.of(world):
            new_id = store.store_id + 1_000_000 + memory.beats
            heartbeats.count_registration(world)
            world.log(
                store.node,
                "FATAL",
                "failed to start node",
                err=f'duplicated store address: id:{new_id} address:"{store.address}", '
                f'already registered by id:{store.store_id} address:"{store.address}"',
            )
        return 30.0

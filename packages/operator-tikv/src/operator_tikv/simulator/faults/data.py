"""Faults of load and of the regions themselves."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from operator_tikv.simulator import bootstrap, load_split, raft
from operator_tikv.simulator.faults.words import (
    Count,
    Fault,
    FaultError,
    Memory,
    Rate,
    Seconds,
    StoreFault,
    is_gone,
)
from operator_tikv.simulator.heartbeats import report_region
from operator_tikv.simulator.model import Peer, Role
from operator_tikv.simulator.world import HotRange

if TYPE_CHECKING:
    from typing import Self

    from operator_tikv.simulator.model import Ailments, Region, Store
    from operator_tikv.simulator.world import World

SINCE_LONG_SECONDS = 3600.0


class Load(Fault):
    """The clients' load is multiplied."""

    factor: Rate = 1.0

    def begin(self, world: World, memory: Memory) -> None:
        """See `Fault.begin`."""
        memory.former["factor"] = world.load.factor
        world.load.factor = self.factor

    def end(self, world: World, memory: Memory) -> None:
        """See `Fault.end`."""
        former = memory.former["factor"]
        if isinstance(former, float) and world.load.factor == self.factor:
            world.load.factor = former


class HotRegion(Fault):
    """One region gets a flow of its own; a split spreads a `range` or `scan` and not a `key`.

    TiKV splits a range by itself where it is read, not one that each read goes over.
    """

    kind: Literal["write", "read"] = "write"
    region: int = Field(0, ge=0)
    leader: int = Field(0, ge=0)
    mib_per_second: Rate = 40.0
    shape: Literal["range", "scan", "key"] = "range"

    def settled(self, world: World) -> Self:
        """Choose a region if none is named.

        Raises:
            FaultError: there is no such region, or the store leads none.
        """
        if self.region:
            if world.raft.get(self.region) is None:
                raise FaultError(f"no region {self.region}")
            return self
        led = [one for one in world.raft.in_key_order() if self._may_be(one)]
        if not led:
            raise FaultError(f"store {self.leader} leads no region")
        chosen = world.rng.choice(led)
        return self.model_copy(update={"region": chosen.region_id})

    def _may_be(self, region: Region) -> bool:
        return self.leader in {0, region.leader_store_id}

    def begin(self, world: World, memory: Memory) -> None:
        """See `Fault.begin`."""
        region = world.raft.get(self.region)
        if region is None:
            raise FaultError(f"no region {self.region}")
        flow = self.mib_per_second * (1 << 20)
        write, read = (flow, 0.0) if self.kind == "write" else (0.0, flow)
        start_key, scanned = region.start_key, self.shape == "scan"
        end_key = start_key if self.shape == "key" else region.end_key
        number = max(world.load.hot, default=0) + 1
        memory.former["number"] = number
        hot = HotRange(start_key, end_key, write, read, world.now_seconds, is_scanned=scanned)
        load_split.add_hot_range(world, number, hot)

    def end(self, world: World, memory: Memory) -> None:
        """See `Fault.end`."""
        number = memory.former.get("number")
        if isinstance(number, int):
            world.load.hot.pop(number, None)


class HotStore(StoreFault):
    """Regions that the stores lead now share a flow of their own: many warm ones, none hot."""

    kind: Literal["write", "read"] = "read"
    regions: Count = 8
    mib_per_second: Rate = 200.0

    def begin(self, world: World, memory: Memory) -> None:
        """See `Fault.begin`."""
        first = number = max(world.load.hot, default=0) + 1
        for store_id in self.stores:
            led = sorted(world.raft.led_by(store_id))[: self.regions]
            flow = self.mib_per_second * (1 << 20) / max(1, len(led))
            write, read = (flow, 0.0) if self.kind == "write" else (0.0, flow)
            for region in filter(None, map(world.raft.get, led)):
                hot = HotRange(region.start_key, region.end_key, write, read, world.now_seconds)
                load_split.add_hot_range(world, number, hot)
                number += 1
        memory.former["first"], memory.former["after"] = first, number

    def end(self, world: World, memory: Memory) -> None:
        """See `Fault.end`."""
        first, after = memory.former.get("first"), memory.former.get("after")
        if isinstance(first, int) and isinstance(after, int):
            for number in range(first, after):
                world.load.hot.pop(number, None)


class MoveLeaders(StoreFault):
    """Every leader that can is moved to the stores at once; nothing undoes it but PD."""

    def begin(self, world: World, memory: Memory) -> None:
        """See `Fault.begin`."""
        del memory
        for store_id in self.stores:
            for region_id in world.raft.on_store(store_id):
                if region_id not in world.raft.leads(store_id):
                    raft.transfer_leader(world, region_id, store_id)


class ResizeRegions(Fault):
    """The first `regions` by key become `size_mib` big: empty ones, or ones that do not split."""

    regions: Count = 100
    size_mib: int = Field(0, ge=0, le=1_000_000)

    def begin(self, world: World, memory: Memory) -> None:
        """See `Fault.begin`."""
        del memory
        for region in world.raft.in_key_order()[: self.regions]:
            keys = self.size_mib * bootstrap.KEYS_PER_MIB
            world.raft.put(replace(region, size_mib=self.size_mib, keys=keys))
            report_region(world, region.region_id)


class BrokenPeers(StoreFault):
    """Peers on stores that are up never answer again, so that their leaders miss them."""

    regions: Count = 3

    def begin(self, world: World, memory: Memory) -> None:
        """See `Fault.begin`."""
        del memory
        for store_id in self.stores:
            for region in _followed_on(world, store_id)[: self.regions]:
                peer = region.peer_on(store_id)
                if peer is not None:
                    raft.break_peer(world, region, peer, world.now_seconds - SINCE_LONG_SECONDS)


class StuckLearner(StoreFault):
    """A region has two voters, one lost voter on the store, and a learner PD does not promote."""

    def begin(self, world: World, memory: Memory) -> None:
        """See `Fault.begin`."""
        del memory
        for store_id in self.stores:
            region = next(iter(_followed_on(world, store_id)), None)
            lost = region.peer_on(store_id) if region is not None else None
            free = _free_store(world, region) if region is not None else None
            if region is None or lost is None or free is None:
                raise FaultError(f"no region on store {store_id} has a store left for a learner")
            learner = Peer(world.next_id(), free.store_id, Role.LEARNER)
            changed = replace(region, peers=(*region.peers, learner), conf_ver=region.conf_ver + 1)
            world.pd.overlooked[region.region_id] = changed.conf_ver
            raft.break_peer(world, changed, lost, world.now_seconds - SINCE_LONG_SECONDS)


class Join(Fault):
    """A new, empty store joins the cluster (or leaves it by hand only)."""

    labels: dict[str, str] = Field(default_factory=dict)
    capacity_gib: int = Field(200, ge=1, le=1_000_000)
    version: str = Field("8.5.7", max_length=40)

    def begin(self, world: World, memory: Memory) -> None:
        """See `Fault.begin`."""
        store = bootstrap.join_store(world, self.labels, self.capacity_gib, self.version)
        memory.former["store"] = store.store_id


class Version(StoreFault):
    """The stores run another version: an upgrade that stopped half way."""

    version: str = Field("8.1.0", max_length=40)

    def begin(self, world: World, memory: Memory) -> None:
        """See `Fault.begin`."""
        for store in self.of(world):
            memory.former[str(store.store_id)] = store.version
            store.version = self.version

    def end(self, world: World, memory: Memory) -> None:
        """See `Fault.end`."""
        for store in self.of(world):
            store.version = str(memory.former.get(str(store.store_id), store.version))


class GhostStore(Fault):
    """A store removed long ago is back in PD's list, with a heartbeat of that time."""

    age: Seconds = 1200.0

    def begin(self, world: World, memory: Memory) -> None:
        """See `Fault.begin`."""
        store = bootstrap.join_store(world, {}, 200, "8.5.7", silent_seconds=self.age)
        memory.former["store"] = store.store_id

    def end(self, world: World, memory: Memory) -> None:
        """See `Fault.end`."""
        world.stores.pop(int(str(memory.former["store"])), None)

    def ail(self, store_id: int, found: Ailments, memory: Memory) -> Ailments:
        """See `Fault.ail`."""
        ghost = memory.former.get("store") == store_id
        return replace(found, running=False) if ghost else found


def _followed_on(world: World, store_id: int) -> list[Region]:
    """Regions whose voter on a store follows, healthy so far."""
    found = (world.raft.get(region_id) for region_id in world.raft.on_store(store_id))
    return [
        region
        for region in found
        if region is not None
        and region.leader_store_id not in {0, store_id}
        and not region.down
        and not region.pending
    ]


def _free_store(world: World, region: Region) -> Store | None:
    free = (
        store
        for store in world.stores.values()
        if not is_gone(store) and not store.is_tiflash and region.peer_on(store.store_id) is None
    )
    return next(free, None)

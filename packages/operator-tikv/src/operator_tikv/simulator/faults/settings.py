"""What people and tools leave behind: settings of PD that nobody put back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from operator_tikv.simulator import gc, lifecycle, limits, schedulers, scheduling
from operator_tikv.simulator.config import ConfigError
from operator_tikv.simulator.faults.words import (
    Count,
    Fault,
    FaultError,
    Memory,
    Rate,
    Seconds,
    StoreFault,
)

if TYPE_CHECKING:
    from operator_tikv.simulator.world import World

Scalar = Annotated[bool | int | float | str, Field(union_mode="left_to_right")]
DAY_SECONDS = 86_400.0


class EvictLeader(StoreFault):
    """An evict-leader scheduler is left on the stores; with a `batch` of 0 it moves nothing."""

    batch: int = Field(3, ge=0, le=10)

    def begin(self, world: World, memory: Memory) -> None:
        """See `Fault.begin`."""
        del memory
        for store_id in self.stores:
            scheduling.add_store(world, schedulers.EVICT, store_id)
        if self.stores:
            world.pd.schedulers[schedulers.EVICT].batch = self.batch

    def end(self, world: World, memory: Memory) -> None:
        """See `Fault.end`."""
        del memory
        for store_id in self.stores:
            scheduling.remove_store(world, schedulers.EVICT, store_id)


class SchedulerFault(Fault):
    """A fault of one scheduler."""

    scheduler: str = schedulers.BALANCE_LEADER

    def settled(self, world: World) -> SchedulerFault:
        """Check the name.

        Raises:
            FaultError: no such scheduler runs.
        """
        if self.scheduler not in world.pd.schedulers:
            raise FaultError(f"no scheduler {self.scheduler!r} runs")
        return self


class PauseScheduler(SchedulerFault):
    """A scheduler is paused, by default for a day."""

    delay: Seconds = DAY_SECONDS

    def begin(self, world: World, memory: Memory) -> None:
        """See `Fault.begin`."""
        del memory
        scheduling.pause(world, self.scheduler, self.delay)

    def end(self, world: World, memory: Memory) -> None:
        """See `Fault.end`."""
        del memory
        if self.scheduler in world.pd.schedulers:
            scheduling.pause(world, self.scheduler, 0.0)


class RemoveScheduler(SchedulerFault):
    """A scheduler is removed."""

    def begin(self, world: World, memory: Memory) -> None:
        """See `Fault.begin`."""
        del memory
        scheduling.remove(world, self.scheduler)

    def end(self, world: World, memory: Memory) -> None:
        """See `Fault.end`."""
        del memory
        scheduling.add(world, self.scheduler)


class PauseChecker(Fault):
    """A checker is paused, by default for a day; without `rule` nothing is repaired."""

    checker: Literal["learner", "replica", "rule", "split", "merge", "joint-state"] = "rule"
    delay: Seconds = DAY_SECONDS

    def begin(self, world: World, memory: Memory) -> None:
        """See `Fault.begin`."""
        del memory
        world.pd.paused_checkers[self.checker] = world.now_seconds + self.delay

    def end(self, world: World, memory: Memory) -> None:
        """See `Fault.end`."""
        del memory
        world.pd.paused_checkers.pop(self.checker, None)


class Config(Fault):
    """An item of PD's configuration has a wrong value, such as a limit of 0."""

    item: str
    value: Scalar

    def begin(self, world: World, memory: Memory) -> None:
        """See `Fault.begin`."""
        memory.former["value"] = _item(world, self.item)
        self._set(world, self.value)
        memory.former["ours"] = _item(world, self.item)

    def end(self, world: World, memory: Memory) -> None:
        """See `Fault.end`."""
        if _item(world, self.item) == memory.former["ours"]:
            self._set(world, memory.former["value"])

    def _set(self, world: World, value: object) -> None:
        try:
            world.pd.config.update(self.item, value)
        except ConfigError as error:
            raise FaultError(str(error)) from error
        schedulers.wake(world)


def _item(world: World, item: str) -> object:
    name = item.rpartition(".")[2]
    config = world.pd.config
    return config.schedule.get(name, config.replication.get(name))


class StoreLimit(StoreFault):
    """The limits of the stores are wrong; `type` empty means both directions."""

    rate: Rate = 0.1
    type: Literal["", "add-peer", "remove-peer"] = ""

    def begin(self, world: World, memory: Memory) -> None:
        """See `Fault.begin`."""
        for store_id in self.stores:
            for kind in self._kinds():
                former = limits.rate_per_minute(world, store_id, kind)
                memory.former[f"{store_id} {kind}"] = former
                limits.set_rate(world, store_id, kind, self.rate)

    def end(self, world: World, memory: Memory) -> None:
        """See `Fault.end`."""
        for store_id in self.stores:
            for kind in self._kinds():
                former = memory.former.get(f"{store_id} {kind}")
                unchanged = limits.rate_per_minute(world, store_id, kind) == self.rate
                if unchanged and isinstance(former, float):
                    limits.set_rate(world, store_id, kind, former)

    def _kinds(self) -> tuple[str, ...]:
        return (self.type,) if self.type else limits.KINDS


class StoreWeight(StoreFault):
    """The weights of the stores are wrong."""

    leader: Rate = 1.0
    region: Rate = 1.0

    def begin(self, world: World, memory: Memory) -> None:
        """See `Fault.begin`."""
        for store in self.of(world):
            memory.former[str(store.store_id)] = (store.leader_weight, store.region_weight)
            store.leader_weight, store.region_weight = self.leader, self.region

    def end(self, world: World, memory: Memory) -> None:
        """See `Fault.end`."""
        for store in self.of(world):
            former = memory.former.get(str(store.store_id))
            if isinstance(former, tuple):
                store.leader_weight, store.region_weight = former


class Labels(StoreFault):
    """The stores have wrong labels; `replace` drops all others."""

    labels: dict[str, str]
    replace: bool = False

    def begin(self, world: World, memory: Memory) -> None:
        """See `Fault.begin`."""
        for store in self.of(world):
            memory.former[str(store.store_id)] = dict(store.labels)
            kept = {} if self.replace else store.labels
            store.labels = {**kept, **self.labels}

    def end(self, world: World, memory: Memory) -> None:
        """See `Fault.end`."""
        for store in self.of(world):
            former = memory.former.get(str(store.store_id))
            if isinstance(former, dict):
                store.labels = former


class DenySchedule(Fault):
    """The region label `schedule=deny` is left on the first `regions` regions by key."""

    regions: Count = 1_000_000
    rule: str = Field("maintenance", min_length=1, max_length=60)

    def begin(self, world: World, memory: Memory) -> None:
        """See `Fault.begin`."""
        del memory
        ordered = world.raft.in_key_order()
        end_key = ordered[min(self.regions, len(ordered)) - 1].end_key
        world.admin.region_labels[self.rule] = {
            "id": self.rule,
            "labels": [{"key": "schedule", "value": "deny"}],
            "rule_type": "key-range",
            "data": [{"start_key": "", "end_key": end_key}],
        }

    def end(self, world: World, memory: Memory) -> None:
        """See `Fault.end`."""
        del memory
        world.admin.region_labels.pop(self.rule, None)


class DeleteStore(StoreFault):
    """Somebody deletes the stores; the end cancels that as far as it still can be."""

    force: bool = False

    def begin(self, world: World, memory: Memory) -> None:
        """See `Fault.begin`."""
        del memory
        for store_id in self.stores:
            try:
                lifecycle.take_offline(world, store_id, force=self.force)
            except lifecycle.StoreRefusedError as refused:
                raise FaultError(refused.text) from refused

    def end(self, world: World, memory: Memory) -> None:
        """See `Fault.end`."""
        del memory
        for store in self.of(world):
            if store.meta_state.name == "OFFLINE" and not store.physically_destroyed:
                lifecycle.bring_up(world, store.store_id)


class GcBlock(Fault):
    """A dead `service` holds the GC safe point, as if for `age` already."""

    service: str = Field("ticdc-default-old-feed", min_length=1, max_length=120)
    age: Seconds = 0.0

    def begin(self, world: World, memory: Memory) -> None:
        """See `Fault.begin`."""
        del memory
        gc.hold(world, self.service, self.age)

    def end(self, world: World, memory: Memory) -> None:
        """See `Fault.end`."""
        del memory
        world.admin.safe_points.pop(self.service, None)

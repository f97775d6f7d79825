"""The simulated cluster as one object: time, calls of its API, faults, and its digest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from operator_tikv.simulator import (
    failover,
    heartbeats,
    lifecycle,
    load_split,
    merging,
    nodes,
    operators,
    processes,
    raft,
    repair,
    schedulers,
    unsafe,
)
from operator_tikv.simulator.bootstrap import ClusterSpec, make_world
from operator_tikv.simulator.faults import by_hand, timeline
from operator_tikv.simulator.faults.call import make_call

if TYPE_CHECKING:
    from collections.abc import Callable

    from operator_tikv.simulator.faults.words import PlannedFault
    from operator_tikv.simulator.world import World

HANDLERS: Final[dict[str, Callable[[World, tuple[int, ...]], None]]] = {
    "store.heartbeat": processes.on_heartbeat,
    "store.restart": processes.on_restart,
    "store.reconnect": lifecycle.on_reconnect,
    "raft.election": raft.on_election,
    "raft.down_check": raft.on_down_check,
    "raft.catch_up": raft.on_catch_up,
    "raft.snapshot_end": raft.on_snapshot_end,
    "operator.poke": operators.on_poke,
    "operator.resend": operators.on_resend,
    "operator.execute": operators.on_execute,
    "operator.timeout": operators.on_timeout,
    "schedulers.tick": schedulers.on_tick,
    "checker.patrol": repair.on_patrol,
    "checker.merge": merging.on_check,
    "pd.state_check": lifecycle.on_state_check,
    "pd.elected": failover.on_elected,
    "pd.handed_over": failover.on_handed_over,
    unsafe.STEP: unsafe.on_step,
    load_split.EVENT: load_split.on_detect,
    "fault.begin": timeline.on_begin,
    "fault.end": timeline.on_end,
    "fault.beat": timeline.on_beat,
    "pd.region_heartbeats": heartbeats.on_region_heartbeats,
}


class SimulatedCluster:
    """A TiKV cluster under PD, alive only in virtual time.

    The same seed with the same calls at the same virtual times gives the same digest.
    Only one thread, or one event loop, may use it.
    """

    def __init__(
        self,
        seed: int = 7,
        stores: int = 4,
        regions: int = 60,
        *,
        spec: ClusterSpec | None = None,
    ) -> None:
        """Build a healthy cluster.

        Args:
            seed: of every random choice.
            stores: how many TiKV stores.
            regions: how many regions, with three replicas each.
            spec: everything about the cluster, instead of the three numbers.

        Raises:
            ValueError: fewer than three stores or no region.
        """
        self.spec = spec or ClusterSpec(seed=seed, stores=stores, regions=regions)
        self.world = make_world(self.spec)

    @property
    def now_seconds(self) -> float:
        """The virtual time since the start."""
        return self.world.now_seconds

    @property
    def digest(self) -> str:
        """The SHA-256 over everything that happened."""
        return self.world.history.digest

    def advance(self, duration_seconds: float) -> None:
        """Let virtual time pass.

        Args:
            duration_seconds: how much; nothing happens for zero or less.
        """
        self.advance_to(self.now_seconds + max(0.0, duration_seconds))

    def advance_to(self, until_seconds: float) -> None:
        """Let virtual time pass up to an instant, whatever the size of the steps."""
        queue = self.world.queue
        while (event := queue.pop_due(until_seconds)) is not None:
            HANDLERS[event.kind](self.world, event.args)
        queue.now_seconds = max(queue.now_seconds, until_seconds)

    def apply_fault(self, name: str, store_id: int = 0, **details: object) -> str:
        """Apply a fault by name; see `faults.by_hand.FAULTS` for the names.

        Args:
            name: the fault.
            store_id: the store it hits, 0 lets the model choose.
            details: further fields of `FaultCall`.

        Raises:
            FaultError: the fault, its fields or what it names do not exist.
        """
        return by_hand.apply(self.world, make_call(name, {**details, "store_id": store_id}))

    def plan(self, planned: PlannedFault) -> None:
        """Let a fault begin, and perhaps end, at its times from now on.

        Args:
            planned: the fault; its times count from now.
        """
        timeline.plan(self.world, planned)

    def begin_fault(self, name: str, **fields: object) -> int:
        """Let a fault of the fault language begin now.

        Args:
            name: one of `timeline.KINDS`.
            fields: its parameters; write `away_from` for `from`.

        Returns:
            Its number, for `end_fault`.

        Raises:
            FaultError: the name, a parameter or what it names is wrong.
        """
        return timeline.begin(self.world, name, timeline.read_fault(name, fields)).number

    def end_fault(self, number: int) -> None:
        """End a fault.

        Args:
            number: what `begin_fault` returned.

        Raises:
            FaultError: no such fault is active.
        """
        timeline.end(self.world, number)

    def log_text(self, node: str, limit: int = 200) -> str:
        """Print the last log lines of a node in the unified format.

        Args:
            node: a PD member's name, or `store-N`.
            limit: how many lines at most.
        """
        return self.world.logs.text(node, limit)

    def metrics_text(self, node: str) -> str:
        """Print the metrics of a node as its `/metrics` does.

        Args:
            node: a PD member's name, or `store-N`.

        Raises:
            NodeError: it does not exist or does not answer.
        """
        return nodes.metrics_text(self.world, node)

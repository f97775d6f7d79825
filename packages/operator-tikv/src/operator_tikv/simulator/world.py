"""The whole state of one simulation: what is true, and what PD believes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from operator_tikv.simulator.admin import Admin
from operator_tikv.simulator.config import PdConfig
from operator_tikv.simulator.events import EventQueue, History
from operator_tikv.simulator.regions import RegionTable

if TYPE_CHECKING:
    import random

    from operator_tikv.simulator.model import Store
    from operator_tikv.simulator.operator_model import Operator

PD_ID_BASE = 2**62  # member ids of a real PD do not fit into a float


@dataclass(frozen=True, slots=True)
class Member:
    """One PD server."""

    name: str
    member_id: int


@dataclass(slots=True)
class Scheduler:
    """One scheduler of PD; `stores` is the payload of those that act on named stores."""

    name: str
    stores: list[int] = field(default_factory=list)
    batch: int = 3
    paused_until_seconds: float = 0.0
    paused_at_seconds: float = 0.0


@dataclass(slots=True)
class Bucket:
    """A store limit's token bucket, in thousandths of a region."""

    tokens: float
    filled_at_seconds: float


@dataclass(slots=True)
class Pd:
    """What PD knows. The second half is lost when PD's leader changes."""

    members: tuple[Member, ...]
    leader_name: str
    config: PdConfig = field(default_factory=PdConfig)
    schedulers: dict[str, Scheduler] = field(default_factory=dict)
    stopped_members: set[str] = field(default_factory=set)
    leader_priority: dict[str, int] = field(default_factory=dict)
    election_blocked: bool = False
    election_number: int = 0

    regions: RegionTable = field(default_factory=RegionTable)
    suspects: dict[int, None] = field(default_factory=dict)
    operators: dict[int, Operator] = field(default_factory=dict)
    results: dict[int, Operator] = field(default_factory=dict)
    records: list[Operator] = field(default_factory=list)
    paused_checkers: dict[str, float] = field(default_factory=dict)
    buckets: dict[tuple[int, str], Bucket] = field(default_factory=dict)
    former_limits: dict[int, float] = field(default_factory=dict)
    slow_evicted: dict[int, float] = field(default_factory=dict)
    counters: dict[tuple[str, str, str], int] = field(default_factory=dict)
    unreported: set[int] = field(default_factory=set)
    reload_phases: list[list[int]] = field(default_factory=list)
    loaded_at_seconds: float = 0.0
    tick_number: int = 0
    tick_interval_seconds: float = 0.1

    @property
    def has_leader(self) -> bool:
        """Whether some PD server leads and PD can answer and schedule."""
        return bool(self.leader_name)

    def count(self, metric: str, first: str, second: str) -> None:
        """Add one to a counter metric."""
        key = (metric, first, second)
        self.counters[key] = self.counters.get(key, 0) + 1


@dataclass(slots=True)
class Load:
    """The work that clients give the whole cluster."""

    write_bytes_per_second: float = 12_000_000.0
    read_bytes_per_second: float = 40_000_000.0
    factor: float = 1.0
    total_weight: float = 1.0


@dataclass(slots=True)
class World:
    """Everything one simulation consists of; only one thread may touch it."""

    seed: int
    rng: random.Random
    epoch_unix_seconds: float
    pd: Pd
    cluster_id: int
    queue: EventQueue = field(default_factory=EventQueue)
    history: History = field(default_factory=History)
    stores: dict[int, Store] = field(default_factory=dict)
    raft: RegionTable = field(default_factory=RegionTable)
    load: Load = field(default_factory=Load)
    last_id: int = 0
    client_url: str = "http://127.0.0.1:2379"
    admin: Admin = field(default_factory=Admin)

    @property
    def now_seconds(self) -> float:
        """The virtual time."""
        return self.queue.now_seconds

    def unix_seconds(self, virtual_seconds: float) -> float:
        """Turn virtual time into the Unix time that PD prints."""
        return self.epoch_unix_seconds + virtual_seconds

    def next_id(self) -> int:
        """Allocate an id, as PD does for stores, regions, peers and operators alike."""
        self.last_id += 1
        return self.last_id

    def schedule(self, delay_seconds: float, kind: str, *args: int) -> None:
        """Let an event happen later."""
        self.queue.schedule(delay_seconds, kind, *args)

    def record(self, kind: str, detail: str) -> None:
        """Write one line of history at the present time."""
        self.history.record(self.now_seconds, kind, detail)

    def serves_raft(self, store_id: int) -> bool:
        """Whether a store's peers take part in raft now."""
        store = self.stores.get(store_id)
        return store is not None and store.process.serves_raft

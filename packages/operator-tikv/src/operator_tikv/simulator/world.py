"""The whole state of one simulation: what is true, and what PD believes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from operator_tikv.simulator.admin import Admin
from operator_tikv.simulator.config import PdConfig
from operator_tikv.simulator.events import EventQueue, History
from operator_tikv.simulator.logs import Line, Logs
from operator_tikv.simulator.meter import Meter
from operator_tikv.simulator.regions import RegionTable

if TYPE_CHECKING:
    import random

    from operator_tikv.simulator.faults.words import Active, PlannedFault
    from operator_tikv.simulator.model import Region, Store
    from operator_tikv.simulator.operator_model import Operator

PD_ID_BASE = 2**62  # member ids of a real PD do not fit into a float
DATABASE_SHARE: Final = 1 / 128
"""How much of its quota the database of PD's etcd usually uses."""


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
class MemberState:
    """What one PD server's process has counted since it started; times are virtual seconds."""

    start_seconds: float = 0.0
    counters: dict[tuple[str, str, str], int] = field(default_factory=dict)
    meter: Meter = field(default_factory=Meter)
    signs: tuple[object, ...] = ()


@dataclass(slots=True)
class Pd:
    """What PD knows. The second half is lost when PD's leader changes."""

    members: tuple[Member, ...]
    leader_name: str
    config: PdConfig = field(default_factory=PdConfig)
    schedulers: dict[str, Scheduler] = field(default_factory=dict)
    stopped_members: set[str] = field(default_factory=set)
    hung_members: set[str] = field(default_factory=set)
    leader_priority: dict[str, int] = field(default_factory=dict)
    states: dict[str, MemberState] = field(default_factory=dict)
    election_blocked: bool = False
    transfer_ignored: bool = False
    election_number: int = 0
    clock_offset_seconds: dict[str, float] = field(default_factory=dict)
    fsync_seconds: dict[str, float] = field(default_factory=dict)
    round_trip_seconds: float = 0.0
    database_share: float = DATABASE_SHARE
    usage: dict[str, tuple[float, float]] = field(default_factory=dict)

    regions: RegionTable = field(default_factory=RegionTable)
    suspects: dict[int, None] = field(default_factory=dict)
    irregular: dict[int, None] = field(default_factory=dict)
    fitted: dict[int, Region] = field(default_factory=dict)
    rule_signature: str = ""
    patrol: list[int] = field(default_factory=list)
    patrol_number: int = 0
    patrolled_replicas: int = 0
    overlooked: dict[int, int] = field(default_factory=dict)
    split_seconds: dict[int, float] = field(default_factory=dict)
    unwitnessed_seconds: dict[int, float] = field(default_factory=dict)
    operators: dict[int, Operator] = field(default_factory=dict)
    results: dict[int, Operator] = field(default_factory=dict)
    records: list[Operator] = field(default_factory=list)
    paused_checkers: dict[str, float] = field(default_factory=dict)
    buckets: dict[tuple[int, str], Bucket] = field(default_factory=dict)
    former_limits: dict[int, float] = field(default_factory=dict)
    slow_evicted: dict[int, float] = field(default_factory=dict)
    reload_phases: list[list[int]] = field(default_factory=list)
    loaded_at_seconds: float = 0.0
    tick_number: int = 0
    tick_interval_seconds: float = 0.1

    def __post_init__(self) -> None:
        """Let every server have run for a while."""
        self.states = {member.name: MemberState() for member in self.members}

    @property
    def has_leader(self) -> bool:
        """Whether some PD server leads and PD can answer and schedule."""
        return bool(self.leader_name) and self.leader_name not in self.hung_members

    @property
    def clock_error_seconds(self) -> float:
        """How wrong the clock of the leading server is."""
        return self.clock_offset_seconds.get(self.leader_name, 0.0)

    def count(self, metric: str, first: str, second: str) -> None:
        """Add one to a counter metric of the leading server's process."""
        if not self.leader_name:
            return
        counters = self.states[self.leader_name].counters
        key = (metric, first, second)
        counters[key] = counters.get(key, 0) + 1


@dataclass(frozen=True, slots=True)
class HotRange:
    """Keys that get more than their share; a split spreads them, unless it is a single key.

    `is_scanned`: each read goes over many of them, so TiKV finds no key to split at by itself.
    """

    start_key: str
    end_key: str
    write_bytes_per_second: float
    read_bytes_per_second: float
    since_seconds: float = 0.0
    is_scanned: bool = False


@dataclass(slots=True)
class Load:
    """The work that clients give the whole cluster."""

    write_bytes_per_second: float = 12_000_000.0
    read_bytes_per_second: float = 40_000_000.0
    factor: float = 1.0
    total_weight: float = 1.0
    hot: dict[int, HotRange] = field(default_factory=dict)


@dataclass(slots=True)
class World:
    """Everything one simulation consists of; only one thread may touch it.

    `cuts` holds the directed links between stores that carry nothing, with the virtual seconds
    since when; `unled` the regions without a leader, likewise; `active` and `planned` are the
    faults by their numbers; `safe_point` is how far GC has been allowed to go.
    """

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
    logs: Logs = field(default_factory=Logs)
    safe_point: int = 0
    broken_peers: dict[int, float] = field(default_factory=dict)
    cuts: dict[tuple[int, int], float] = field(default_factory=dict)
    unled: dict[int, float] = field(default_factory=dict)
    active: dict[int, Active] = field(default_factory=dict)
    planned: dict[int, PlannedFault] = field(default_factory=dict)
    refused_faults: list[str] = field(default_factory=list)
    faults_numbered: int = 0
    last_id: int = 0
    node_addresses: dict[str, str] = field(default_factory=dict)
    client_url: str = "http://127.0.0.1:2379"
    member_urls: dict[str, str] = field(default_factory=dict)
    admin: Admin = field(default_factory=Admin)

    @property
    def now_seconds(self) -> float:
        """The virtual time."""
        return self.queue.now_seconds

    def unix_seconds(self, virtual_seconds: float) -> float:
        """Turn virtual time into the Unix time that PD prints."""
        return self.epoch_unix_seconds + virtual_seconds

    def client_url_of(self, member: str) -> str:
        """Where a PD server is reached: at an address of its own, else where all are."""
        return self.member_urls.get(member, self.client_url)

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

    def log(self, node: str, level: str, message: str, /, **fields: object) -> None:
        """Write a line to the log of a PD server or of `store-N`, by that node's own clock."""
        at = self.epoch_unix_seconds + self.now_seconds + self._clock_error(node)
        self.logs.write(node, Line(at, level, message, fields))

    def log_pd(self, level: str, message: str, /, **fields: object) -> None:
        """Write a line to the log of the PD server that leads, if any does."""
        if self.pd.leader_name:
            self.log(self.pd.leader_name, level, message, **fields)

    def _clock_error(self, node: str) -> float:
        store_id = node.removeprefix("store-")
        if store_id != node and store_id.isdigit() and int(store_id) in self.stores:
            return self.stores[int(store_id)].ailments.clock_offset_seconds
        return self.pd.clock_offset_seconds.get(node, 0.0)

    def serves_raft(self, store_id: int) -> bool:
        """Whether a store's peers take part in raft now."""
        store = self.stores.get(store_id)
        return store is not None and store.process.alive

    def connected(self, store_id: int, other_id: int) -> bool:
        """Whether two stores both serve and hear each other; raft needs both directions."""
        if not (self.serves_raft(store_id) and self.serves_raft(other_id)):
            return False
        cuts = self.cuts
        return not cuts or not ((store_id, other_id) in cuts or (other_id, store_id) in cuts)

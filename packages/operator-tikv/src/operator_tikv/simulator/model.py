"""The data of the model: peers, regions, stores and what PD was last told about them."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final, NamedTuple

from operator_tikv.simulator.meter import Meter

SNAPSHOT_MIB_PER_SECOND: Final = 30.0


class Role(IntEnum):
    """A peer's role, with the numbers of `metapb.PeerRole`."""

    VOTER = 0
    LEARNER = 1
    INCOMING_VOTER = 2
    DEMOTING_VOTER = 3

    @property
    def label(self) -> str:
        """The name PD prints as `role_name`."""
        return "".join(word.capitalize() for word in self.name.split("_"))


class MetaState(IntEnum):
    """A store's state in PD's metadata (`metapb.StoreState`)."""

    UP = 0
    OFFLINE = 1
    TOMBSTONE = 2


class NodeState(IntEnum):
    """A store's place in its life (`metapb.NodeState`)."""

    PREPARING = 0
    SERVING = 1
    REMOVING = 2
    REMOVED = 3


class Peer(NamedTuple):
    """One replica of a region."""

    peer_id: int
    store_id: int
    role: Role = Role.VOTER
    is_witness: bool = False

    @property
    def is_voter(self) -> bool:
        """Whether the role gives this peer a voice."""
        return self.role in (Role.VOTER, Role.INCOMING_VOTER)

    @property
    def may_lead(self) -> bool:
        """Whether this peer can be leader: a witness votes, but has no data to serve."""
        return self.is_voter and not self.is_witness


@dataclass(frozen=True, slots=True)
class Region:
    """One region at one moment; a change makes a new value.

    The same type serves as what is true in raft and as what PD last heard.
    `down` holds (peer id, virtual seconds since when the leader misses it).
    """

    region_id: int
    start_key: str
    end_key: str
    peers: tuple[Peer, ...]
    leader_peer_id: int = 0
    conf_ver: int = 1
    version: int = 1
    term: int = 5
    led_since_seconds: float = 0.0
    down: tuple[tuple[int, float], ...] = ()
    pending: tuple[int, ...] = ()
    size_mib: int = 64
    keys: int = 600_000
    weight: float = 1.0

    @property
    def leader(self) -> Peer | None:
        """The leading peer, or None while there is none."""
        return self.peer(self.leader_peer_id)

    @property
    def leader_store_id(self) -> int:
        """The store of the leader, 0 while there is none."""
        leader = self.leader
        return leader.store_id if leader else 0

    @property
    def in_joint_state(self) -> bool:
        """Whether a joint consensus change is half done."""
        return any(peer.role >= Role.INCOMING_VOTER for peer in self.peers)

    @property
    def down_peer_ids(self) -> frozenset[int]:
        """Ids of the peers the leader reports as down."""
        return frozenset(peer_id for peer_id, _since in self.down)

    def peer(self, peer_id: int) -> Peer | None:
        """Find a peer by its id."""
        return next((peer for peer in self.peers if peer.peer_id == peer_id), None)

    def peer_on(self, store_id: int) -> Peer | None:
        """Find the peer on a store."""
        return next((peer for peer in self.peers if peer.store_id == store_id), None)

    def is_healthy(self, peer: Peer) -> bool:
        """Whether the leader reports this peer neither down nor pending."""
        return peer.peer_id not in self.pending and peer.peer_id not in self.down_peer_ids


class StoreStats(NamedTuple):
    """What a store told PD in its last heartbeat."""

    capacity_bytes: int
    available_bytes: int
    used_bytes: int
    slow_score: int
    sending_snapshots: int
    receiving_snapshots: int
    is_busy: bool


@dataclass(slots=True)
class Process:
    """The truth about a store's process and its way to PD, which PD cannot see directly."""

    running: bool = True
    frozen: bool = False
    pd_reachable: bool = True
    silent_since_seconds: float | None = None
    pd_silent_since_seconds: float | None = None

    @property
    def alive(self) -> bool:
        """Whether the process makes progress, so that its peers take part in raft."""
        return self.running and not self.frozen

    @property
    def talks_to_pd(self) -> bool:
        """Whether its heartbeats can reach PD."""
        return self.alive and self.pd_reachable


@dataclass(frozen=True, slots=True)
class Ailments:
    """What the active faults do to one store; the default is a store that nothing ails."""

    running: bool = True
    frozen: bool = False
    pd_reachable: bool = True
    disk_seconds: float = 0.0
    stalled: bool = False
    level0_files: int = 3
    busy_pools: tuple[str, ...] = ()
    leak_bytes_per_second: float = 0.0
    send_mib_per_second: float = SNAPSHOT_MIB_PER_SECOND
    receive_mib_per_second: float = SNAPSHOT_MIB_PER_SECOND
    lag_entries: float = 0.0
    critical_error: str = ""
    clock_offset_seconds: float = 0.0
    status_port_open: bool = True


HEALTHY: Final = Ailments()


@dataclass(slots=True)
class Disk:
    """A store's disk: `foreign_bytes` is of other files, `garbage_bytes` is freed by compaction."""

    capacity_bytes: int
    foreign_bytes: int = 64 << 20
    # An empty store has logs, too: PD scores a disk of which nothing is used by its size alone.
    garbage_bytes: int = 0
    slow_score: int = 1


class Vitals(NamedTuple):
    """The figures from which all counters of a TiKV process follow."""

    writes_per_second: float
    reads_per_second: float
    written_bytes_per_second: float
    read_bytes_per_second: float
    leaders: int
    regions: int
    mean_region_mib: int
    ailments: Ailments
    unreachable: tuple[int, ...]
    lag_entries: float
    gc_runs: bool
    clients_fail: bool


@dataclass(slots=True)
class Store:
    """A store: its truth (`process`, `disk`) and what PD keeps about it."""

    store_id: int
    address: str
    status_address: str
    start_seconds: float
    disk: Disk
    labels: dict[str, str] = field(default_factory=dict)
    process: Process = field(default_factory=Process)
    ailments: Ailments = HEALTHY
    meter: Meter = field(default_factory=Meter)
    vitals: Vitals | None = None
    leaked_bytes: float = 0.0
    stalled_seconds: float = 0.0
    dead_until_seconds: float = 0.0
    noticed_seconds: float = 0.0
    space_state: str = "Normal"
    low_space_logged: bool = False
    version: str = "8.5.7"
    meta_state: MetaState = MetaState.UP
    node_state: NodeState = NodeState.SERVING
    physically_destroyed: bool = False
    leader_weight: float = 1.0
    region_weight: float = 1.0
    last_heartbeat_seconds: float = 0.0
    persisted_heartbeat_seconds: float = 0.0
    stats: StoreStats | None = None
    sending_snapshots: int = 0
    receiving_snapshots: int = 0

    @property
    def node(self) -> str:
        """The name of the store's process in logs and controls."""
        return f"store-{self.store_id}"

    @property
    def is_tiflash(self) -> bool:
        """Whether the store holds columnar replicas only."""
        return self.labels.get("engine") == "tiflash"

    @property
    def is_up_to_pd(self) -> bool:
        """PD's `IsUp`: preparing or serving, whatever the heartbeats say."""
        return self.node_state <= NodeState.SERVING

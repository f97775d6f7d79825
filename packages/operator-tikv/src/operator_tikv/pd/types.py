"""PD's answers as types. Every key of a store's status is optional, and zeros are left out."""

from collections.abc import Mapping
from datetime import datetime
from enum import IntEnum
from typing import Annotated, Final, TypeVar

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from operator_tikv.pd.parse import duration_seconds, moment_of_nanoseconds, size_bytes

_Item = TypeVar("_Item")


def _no_null(value: object) -> object:
    return [] if value is None else value


def _no_null_map(value: object) -> object:
    return {} if value is None else value


Items = Annotated[list[_Item], BeforeValidator(_no_null)]
"""A list that PD prints as null when it is empty."""

Size = Annotated[int, BeforeValidator(size_bytes)]
"""Bytes, read from a text such as `1.465TiB`."""

Seconds = Annotated[float, BeforeValidator(duration_seconds)]
"""Seconds, read from a Go duration such as `30m0s`."""


class PdModel(BaseModel):
    """Something PD says; what it says besides is left aside."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)


class MetaState(IntEnum):
    """A store's state in PD's metadata."""

    UP = 0
    OFFLINE = 1
    TOMBSTONE = 2


class Label(PdModel):
    """One label of a store."""

    key: str
    value: str = ""


class StoreMeta(PdModel):
    """What PD keeps of a store."""

    id: int = Field(ge=1)
    address: str = ""
    state: int = 0
    node_state: int | None = None
    state_name: str = ""
    labels: Items[Label] = []
    version: str = ""
    last_heartbeat: int = 0
    """Unix nanoseconds."""


class StoreStatus(PdModel):
    """What a store last reported; all of it is missing before its first heartbeat."""

    capacity: Size | None = None
    available: Size | None = None
    leader_count: int = 0
    region_count: int = 0
    leader_weight: float = 1.0
    region_weight: float = 1.0
    learner_count: int = 0
    pending_peer_count: int = 0
    slow_score: int = 0
    is_busy: bool = False
    start_ts: AwareDatetime | None = None
    last_heartbeat_ts: AwareDatetime | None = None


class StoreInfo(PdModel):
    """One store as `GET /store/{id}` and `/stores` print it."""

    store: StoreMeta
    status: StoreStatus = StoreStatus()

    @property
    def id(self) -> int:
        """The store's id."""
        return self.store.id

    @property
    def last_heartbeat(self) -> datetime | None:
        """When PD last heard of the store, by PD's own clock."""
        return self.status.last_heartbeat_ts or moment_of_nanoseconds(self.store.last_heartbeat)

    @property
    def is_tiflash(self) -> bool:
        """Whether the store is a TiFlash node, which never leads a region."""
        return self.labels.get("engine") == "tiflash"

    @property
    def labels(self) -> dict[str, str]:
        """The labels as a map."""
        return {label.key: label.value for label in self.store.labels}


class Stores(PdModel):
    """The answer of `GET /stores`, in no order."""

    count: int = 0
    stores: Items[StoreInfo] = []


class Peer(PdModel):
    """One replica of a region; PD before 5.0.2 prints no role name."""

    id: int = 0
    store_id: int = 0
    role: int = 0
    role_name: str = ""
    is_learner: bool = False
    is_witness: bool = False

    @property
    def is_voter(self) -> bool:
        """Whether the peer votes and may become leader."""
        return not self.is_learner and (self.role_name or "Voter") == "Voter" and not self.role

    @property
    def in_joint_state(self) -> bool:
        """Whether the peer is in the middle of a membership change."""
        return self.role_name in {"IncomingVoter", "DemotingVoter"} or self.role > 1


class DownPeer(PdModel):
    """A peer that its leader misses."""

    peer: Peer = Peer()
    down_seconds: int = 0


_NO_PEER: Final = Peer()


class RegionInfo(PdModel):
    """One region; a leader with store 0 means that PD knows none."""

    id: int = 0
    peers: Items[Peer] = []
    leader: Peer = _NO_PEER
    down_peers: Items[DownPeer] = []
    pending_peers: Items[Peer] = []
    approximate_size: int = 0
    """MiB."""

    @model_validator(mode="before")
    @classmethod
    def _null_leader(cls, value: object) -> object:
        if isinstance(value, Mapping) and value.get("leader", ...) is None:
            return {key: item for key, item in value.items() if key != "leader"}
        return value

    @property
    def leader_store_id(self) -> int:
        """The store of the leader, 0 where PD knows none."""
        return self.leader.store_id

    @property
    def voters(self) -> list[Peer]:
        """The peers that vote, also those in a membership change."""
        return [peer for peer in self.peers if peer.is_voter or peer.in_joint_state]

    def peer_on(self, store_id: int) -> Peer | None:
        """Return the peer on a store."""
        return next((peer for peer in self.peers if peer.store_id == store_id), None)

    @property
    def unhealthy_store_ids(self) -> set[int]:
        """Stores whose peer of this region is down or pending."""
        down = {down.peer.store_id for down in self.down_peers}
        return down | {peer.store_id for peer in self.pending_peers}


class Regions(PdModel):
    """The answer of `GET /regions` and of its checks; `regions` is null where only counted."""

    count: int = 0
    regions: Items[RegionInfo] = []


class StoreRange(PdModel):
    """A range of keys, as schedulers keep them for each store."""

    start_key: str = Field(default="", alias="start-key")
    end_key: str = Field(default="", alias="end-key")


class EvictConfig(PdModel):
    """What the evict-leader scheduler works on."""

    stores: Annotated[dict[int, object], BeforeValidator(_no_null_map)] = Field(
        default_factory=dict, alias="store-id-ranges"
    )
    batch: int | None = None


class Member(PdModel):
    """One PD server. Its id does not fit into a float."""

    name: str = ""
    member_id: int = 0
    client_urls: Items[str] = []
    health: bool | None = None


class Members(PdModel):
    """The answer of `GET /members`."""

    members: Items[Member] = []
    leader: Member | None = None


class ScheduleConfig(PdModel):
    """The values of PD's schedule configuration that matter here."""

    leader_schedule_limit: int = Field(default=4, alias="leader-schedule-limit")
    replica_schedule_limit: int = Field(default=64, alias="replica-schedule-limit")
    region_schedule_limit: int = Field(default=2048, alias="region-schedule-limit")
    low_space_ratio: float = Field(default=0.8, alias="low-space-ratio")
    max_store_down_seconds: Seconds = Field(default=1800.0, alias="max-store-down-time")
    halt_scheduling: bool = Field(default=False, alias="halt-scheduling")
    leader_schedule_policy: str = Field(default="count", alias="leader-schedule-policy")


class ReplicateConfig(PdModel):
    """The values of PD's replication configuration that matter here."""

    max_replicas: int = Field(default=3, ge=1, alias="max-replicas")
    enable_placement_rules: bool = Field(default=True, alias="enable-placement-rules")
    location_labels: str = Field(default="", alias="location-labels")

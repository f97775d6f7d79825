"""PD's answers as types. Every key of a store's status is optional, and zeros are left out.

Releases differ in small things: what is empty is missing, null or zero, and a number is now and
then printed as a text. All of that means the same here; only what is no such value is refused.
"""

from collections.abc import Mapping
from datetime import datetime
from enum import IntEnum
from typing import Annotated, Final, TypeVar

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from operator_tikv.pd.parse import duration_seconds, moment_of_nanoseconds, size_bytes

_Item = TypeVar("_Item")


def _whole(value: object) -> object:
    """Turn a text that is a whole number into one; `1.5e+06` and the like are numbers of Go."""
    if not isinstance(value, str):
        return value
    text = value.strip()
    return text if text.lstrip("-").isdigit() else _float_of(text)


def _float_of(text: str) -> object:
    try:
        return float(text)
    except ValueError:
        return text


def _numbered(*words: str) -> BeforeValidator:
    """Return what turns a word of PD's protocol into its number, and leaves other values be."""
    numbers = {word.lower(): number for number, word in enumerate(words)}

    def number(value: object) -> object:
        known = numbers.get(value.strip().lower()) if isinstance(value, str) else None
        return _whole(value) if known is None else known

    return BeforeValidator(number)


def _no_zero_time(value: object) -> object:
    """Go prints the time that was never set as the first second of year 1."""
    return None if isinstance(value, str) and (not value or value.startswith("0001-")) else value


def _comma_list(value: object) -> object:
    """Turn a list of texts into the text that PD prints of it."""
    is_texts = isinstance(value, list) and all(isinstance(one, str) for one in value)
    return ",".join(value) if isinstance(value, list) and is_texts else value


def _as_items(value: object) -> object:
    """A map where a list is meant is a list without anything in it, if it is empty."""
    return [] if value == {} else value


Items = Annotated[list[_Item], BeforeValidator(_as_items)]
"""A list that PD prints as null, or leaves out, when it is empty."""

Whole = Annotated[int | Annotated[int, BeforeValidator(_whole)], Field(union_mode="left_to_right")]
"""A whole number, also where it is printed as a text. Ids of members do not fit into a float.

What is a number already never gets to our own code: a list of regions has tens of thousands.
"""

Positive = Annotated[int, BeforeValidator(_whole), Field(ge=1)]
"""A whole number above zero."""

_STATES: Final = ("Up", "Offline", "Tombstone")
State = Annotated[int | Annotated[int, _numbered(*_STATES)], Field(union_mode="left_to_right")]
"""A store's state in PD's metadata, as a number or as its word."""

NodeState = Annotated[
    int | Annotated[int, _numbered("Preparing", "Serving", "Removing", "Removed")],
    Field(union_mode="left_to_right"),
]
"""How far a store's life has come (since v6), as a number or as its word."""

Role = Annotated[
    int | Annotated[int, _numbered("Voter", "Learner", "IncomingVoter", "DemotingVoter")],
    Field(union_mode="left_to_right"),
]
"""What a replica may do, as a number or as its word."""

Moment = Annotated[AwareDatetime | None, BeforeValidator(_no_zero_time)]
"""A time with its zone; None where it was never set."""

Size = Annotated[int, BeforeValidator(size_bytes)]
"""Bytes, read from a text such as `1.465TiB`."""

Seconds = Annotated[float, BeforeValidator(duration_seconds)]
"""Seconds, read from a Go duration such as `30m0s`."""


class PdModel(BaseModel):
    """Something PD says; what it says besides is left aside."""

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        populate_by_name=True,
        coerce_numbers_to_str=True,
        allow_inf_nan=False,
    )

    @model_validator(mode="before")
    @classmethod
    def _null_is_missing(cls, value: object) -> object:
        if not isinstance(value, Mapping) or None not in value.values():
            return value
        return {key: item for key, item in value.items() if item is not None}


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

    id: Positive
    address: str = ""
    status_address: str = ""
    state: State = 0
    node_state: NodeState | None = None
    state_name: str = ""
    labels: Items[Label] = []
    version: str = ""
    last_heartbeat: Whole = 0
    """Unix nanoseconds."""

    @model_validator(mode="before")
    @classmethod
    def _state_by_its_name(cls, value: object) -> object:
        """pd-ctl leaves the number out and prints the name only."""
        if not isinstance(value, Mapping) or value.get("state"):
            return value
        name = value.get("state_name")
        return {**value, "state": name} if name in _STATES else value


class StoreStatus(PdModel):
    """What a store last reported; all of it is missing before its first heartbeat."""

    capacity: Size | None = None
    available: Size | None = None
    used_size: Size | None = None
    leader_count: Whole = 0
    region_count: Whole = 0
    region_size: Whole = 0
    """MiB."""
    region_score: float = 0.0
    """How full PD takes it to be, by size, space and weight: what it keeps equal."""
    leader_weight: float = 1.0
    region_weight: float = 1.0
    learner_count: Whole = 0
    pending_peer_count: Whole = 0
    sending_snap_count: Whole = 0
    receiving_snap_count: Whole = 0
    slow_score: Whole = 0
    is_busy: bool = False
    start_ts: Moment = None
    last_heartbeat_ts: Moment = None


_ANY_HOST: Final = frozenset({"", "0.0.0.0", "[::]"})  # noqa: S104 - recognised, not bound to


class StoreInfo(PdModel):
    """One store as `GET /store/{id}` and `/stores` print it."""

    store: StoreMeta
    status: StoreStatus = StoreStatus()

    @property
    def id(self) -> int:
        """The store's id."""
        return self.store.id

    @property
    def metrics_address(self) -> str:
        """Where it prints its metrics: a status address that names no host is on its own host."""
        host, _, port = self.store.status_address.rpartition(":")
        if host not in _ANY_HOST or not port.isdigit():
            return self.store.status_address
        own_host = self.store.address.rpartition(":")[0]
        return f"{own_host}:{port}" if own_host else self.store.status_address

    @property
    def last_heartbeat(self) -> datetime | None:
        """When PD last heard of the store, by PD's own clock."""
        return self.status.last_heartbeat_ts or moment_of_nanoseconds(self.store.last_heartbeat)

    @property
    def is_tiflash(self) -> bool:
        """Whether the store is a TiFlash node, also one that only computes: none leads a region."""
        named = (label.value for label in self.store.labels if label.key.lower() == "engine")
        return any(value.lower().startswith("tiflash") for value in named)

    @property
    def is_up_tikv(self) -> bool:
        """Whether it is a TiKV store that PD calls Up."""
        return self.store.state_name == "Up" and not self.is_tiflash

    @property
    def labels(self) -> dict[str, str]:
        """The labels as a map."""
        return {label.key: label.value for label in self.store.labels}


class Stores(PdModel):
    """The answer of `GET /stores`, in no order."""

    count: Whole = 0
    stores: Items[StoreInfo] = []


class Peer(PdModel):
    """One replica of a region; PD before 5.0.2 prints no role name."""

    id: Whole = 0
    store_id: Whole = 0
    role: Role = 0
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
    down_seconds: Whole = 0


_NO_PEER: Final = Peer()


class Epoch(PdModel):
    """How often a region was split or merged, and how often its members changed."""

    conf_ver: Whole = 0
    version: Whole = 0


class RegionInfo(PdModel):
    """One region; a leader with store 0 means that PD knows none."""

    id: Whole = 0
    start_key: str = ""
    end_key: str = ""
    epoch: Epoch = Epoch()
    peers: Items[Peer] = []
    leader: Peer = _NO_PEER
    down_peers: Items[DownPeer] = []
    pending_peers: Items[Peer] = []
    approximate_size: Whole = 0
    """MiB."""

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

    count: Whole = 0
    regions: Items[RegionInfo] = []


class EvictConfig(PdModel):
    """What the evict-leader scheduler works on."""

    stores: dict[int, object] = Field(default_factory=dict, alias="store-id-ranges")
    batch: Whole | None = None


class Member(PdModel):
    """One PD server. Its id does not fit into a float."""

    name: str = ""
    member_id: Whole = 0
    client_urls: Items[str] = []
    leader_priority: Whole = 0
    binary_version: str = ""
    """Since 5.0."""
    health: bool | None = None


class Members(PdModel):
    """The answer of `GET /members`."""

    members: Items[Member] = []
    leader: Member | None = None


class ScheduleConfig(PdModel):
    """The values of PD's schedule configuration that matter here."""

    leader_schedule_limit: Whole = Field(default=4, alias="leader-schedule-limit")
    replica_schedule_limit: Whole = Field(default=64, alias="replica-schedule-limit")
    region_schedule_limit: Whole = Field(default=2048, alias="region-schedule-limit")
    low_space_ratio: float = Field(default=0.8, alias="low-space-ratio")
    max_store_down_seconds: Seconds = Field(default=1800.0, alias="max-store-down-time")
    halt_scheduling: bool = Field(default=False, alias="halt-scheduling")
    leader_schedule_policy: str = Field(default="count", alias="leader-schedule-policy")


class ReplicateConfig(PdModel):
    """The values of PD's replication configuration that matter here."""

    max_replicas: Positive = Field(default=3, alias="max-replicas")
    enable_placement_rules: bool = Field(default=True, alias="enable-placement-rules")
    location_labels: Annotated[str, BeforeValidator(_comma_list)] = Field(
        default="", alias="location-labels"
    )

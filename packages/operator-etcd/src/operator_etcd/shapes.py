"""The gateway's JSON as values: int64 come as text, zero fields are left out, ids stay text."""

import re
from datetime import datetime
from typing import Annotated, Any

from prometheus_client.parser import text_string_to_metric_families
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from operator_core.types import JsonObject

_UINT64 = re.compile(r"[0-9]{1,20}")
_ALARM_IN_TEXT = re.compile(r"memberID:\s*([0-9]+)\s+alarm:\s*([A-Z]+)")


def _member_id(value: object) -> str:
    """Return a member's id as decimal text; JSON numbers of other programs lose digits."""
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(text, str) or not _UINT64.fullmatch(text):
        raise ValueError("not an unsigned 64 bit number")
    return str(int(text))


MemberId = Annotated[str, BeforeValidator(_member_id)]
Count = Annotated[int, Field(ge=0)]


class Shape(BaseModel):
    """An object of the gateway: unknown fields ignored, null means the default."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    @model_validator(mode="before")
    @classmethod
    def _drop_nulls(cls, value: Any) -> Any:  # noqa: ANN401 - pydantic hands over raw input
        if isinstance(value, dict):
            return {key: item for key, item in value.items() if item is not None}
        return value


class Header(Shape):
    """Who answered; some answers of etcd 3.4 have none."""

    cluster_id: MemberId = "0"
    member_id: MemberId = "0"
    revision: Count = 0


class Member(Shape):
    """One member as the membership list has it."""

    id: MemberId = Field(alias="ID")
    name: str = ""
    peer_urls: list[str] = Field(default_factory=list, alias="peerURLs")
    client_urls: list[str] = Field(default_factory=list, alias="clientURLs")
    is_learner: bool = Field(default=False, alias="isLearner")

    @property
    def label(self) -> str:
        """How people call it."""
        return self.name or f"member {self.id}"


class MemberList(Shape):
    """The answer to a member list."""

    header: Header = Header()
    members: list[Member] = Field(default_factory=list)


class MemberStatus(Shape):
    """What one member says of itself."""

    header: Header = Header()
    version: str
    db_size_bytes: Count = Field(default=0, alias="dbSize")
    db_in_use_bytes: Count = Field(default=0, alias="dbSizeInUse")
    leader: MemberId = "0"
    raft_index: Count = Field(default=0, alias="raftIndex")
    raft_term: Count = Field(default=0, alias="raftTerm")
    errors: list[str] = Field(default_factory=list)
    is_learner: bool = Field(default=False, alias="isLearner")
    latency_seconds: float = 0.0
    certificate_end: datetime | None = None
    """When the certificate ends that it shows; None without TLS."""

    @property
    def leader_id(self) -> str | None:
        """The leader this member follows, None where it has none."""
        return None if self.leader == "0" else self.leader

    def alarms(self) -> list["Alarm"]:
        """Return the alarms among the member's errors."""
        found = [_ALARM_IN_TEXT.search(error) for error in self.errors]
        return [Alarm(member_id=hit[1], alarm=hit[2]) for hit in found if hit]


class Alarm(Shape):
    """One alarm that one member raised."""

    member_id: MemberId = Field(default="0", alias="memberID")
    alarm: str = "NONE"


class AlarmList(Shape):
    """The answer to an alarm call."""

    header: Header = Header()
    alarms: list[Alarm] = Field(default_factory=list)


class Health(Shape):
    """What ``/health`` says; etcd 3.4 gives no reason."""

    healthy: bool = Field(alias="health")
    reason: str = ""


class Added(Shape):
    """The answer to adding a member."""

    member: Member
    members: list[Member] = Field(default_factory=list)


class Counted(Shape):
    """The answer to a read that only counts."""

    header: Header = Header()
    count: Count = 0


METRICS = {
    "etcd_server_quota_backend_bytes": "quota_backend_bytes",
    "etcd_server_has_leader": "has_leader",
    "etcd_server_leader_changes_seen_total": "leader_changes_seen_total",
    "etcd_server_proposals_pending": "proposals_pending",
    "etcd_server_proposals_failed_total": "proposals_failed_total",
    "etcd_server_slow_apply_total": "slow_apply_total",
    "etcd_server_heartbeat_send_failures_total": "heartbeat_send_failures_total",
    "etcd_debugging_mvcc_keys_total": "keys",
    "etcd_debugging_mvcc_compact_revision": "compact_revision",
    "etcd_debugging_mvcc_current_revision": "current_revision",
    "etcd_disk_defrag_inflight": "defrag_inflight",
    "etcd_disk_wal_fsync_duration_seconds_sum": "wal_fsync_seconds_sum",
    "etcd_disk_wal_fsync_duration_seconds_count": "wal_fsync_count",
    "etcd_network_active_peers": "active_peers",
    "etcd_network_peer_sent_failures_total": "peer_sent_failures_total",
    "process_open_fds": "open_fds",
    "process_max_fds": "max_fds",
    "process_resident_memory_bytes": "resident_memory_bytes",
}
"""The few of etcd's 1600 metrics that rules and diagnoses read, with their names here."""


def parse_metrics(text: str) -> dict[str, int | float]:
    """Return the metrics we know, those with labels summed up.

    Raises:
        ValueError: it is no page of metrics.
    """
    names = tuple(METRICS)
    lines = [line for line in text.splitlines() if line.startswith(names)]
    found: dict[str, float] = {}
    for family in text_string_to_metric_families("\n".join(lines) + "\n"):
        for sample in family.samples:
            if sample.name in METRICS:
                key = METRICS[sample.name]
                found[key] = found.get(key, 0.0) + float(sample.value)
    if not found:
        raise ValueError("no etcd metrics on the page")
    # Most are counts, and a count reads best without a point.
    return {key: int(one) if one.is_integer() else one for key, one in found.items()}


def as_json(model: BaseModel) -> JsonObject:
    """Return the model as a JSON object with our names."""
    return model.model_dump(mode="json")

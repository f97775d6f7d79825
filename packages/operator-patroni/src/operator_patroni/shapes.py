"""Patroni's JSON as values, in the shapes of its versions 2 to 4.

What differs: the role ``master`` became ``primary``, a lag may be a number, text or missing,
a member's own name and the state of its replication came with version 3.
"""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator


def _role(value: object) -> object:
    """Return a role in the words of version 4."""
    return {"master": "primary", "promoted": "primary"}.get(str(value), value)


def _bytes(value: object) -> int | None:
    """Return a number of bytes, None where Patroni does not know it."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return max(0, int(value))


def _timeline(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


Role = Annotated[str, BeforeValidator(_role)]
Bytes = Annotated[int | None, BeforeValidator(_bytes)]
Timeline = Annotated[int | None, BeforeValidator(_timeline)]


class Shape(BaseModel):
    """An object of Patroni: unknown fields ignored, null means the default."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    @model_validator(mode="before")
    @classmethod
    def _drop_nulls(cls, value: Any) -> Any:  # noqa: ANN401 - pydantic hands over raw input
        if isinstance(value, dict):
            return {key: item for key, item in value.items() if item is not None}
        return value


class Listed(Shape):
    """One member as the DCS has it, told by ``/cluster``."""

    name: str = Field(min_length=1)
    role: Role = "replica"
    state: str = "unknown"
    api_url: str = ""
    host: str = ""
    port: int | None = None
    timeline: Timeline = None
    lag_bytes: Bytes = Field(default=None, alias="lag")
    receive_lag_bytes: Bytes = Field(default=None, alias="receive_lag")
    replay_lag_bytes: Bytes = Field(default=None, alias="replay_lag")
    pending_restart: bool = False
    tags: dict[str, Any] = Field(default_factory=dict)

    @property
    def leads(self) -> bool:
        """Whether it holds the leader key."""
        return self.role in {"leader", "standby_leader"}


class Switchover(Shape):
    """A switchover that is to come."""

    at: str = ""
    leader: str | None = Field(default=None, alias="from")
    candidate: str | None = Field(default=None, alias="to")


class View(Shape):
    """The cluster as one member reads it from the DCS."""

    members: list[Listed]
    scope: str = ""
    pause: bool = False
    scheduled_switchover: Switchover | None = None

    @property
    def leader(self) -> str | None:
        """The name of the member that holds the leader key."""
        return next((one.name for one in self.members if one.leads), None)


class Wal(Shape):
    """Where a member is in the write-ahead log, in bytes from its beginning."""

    location: int | None = None
    received_location: int | None = None
    replayed_location: int | None = None
    paused: bool = False


class Connected(Shape):
    """One connection for replication that a member serves."""

    application_name: str = ""
    state: str = ""
    sync_state: str = ""


class Identity(Shape):
    """Which Patroni answered."""

    version: str = ""
    scope: str = ""
    name: str = ""


class Node(Shape):
    """What one member says of itself on ``/patroni``."""

    state: str
    role: Role = "unknown"
    timeline: Timeline = None
    server_version: int | None = None
    replication_state: str = ""
    wal: Wal = Field(default=Wal(), alias="xlog")
    replication: list[Connected] = Field(default_factory=list)
    pause: bool = False
    cluster_unlocked: bool = False
    failsafe_active: bool = Field(default=False, alias="failsafe_mode_is_active")
    pending_restart: bool = False
    watchdog_failed: bool = False
    tags: dict[str, Any] = Field(default_factory=dict)
    system_id: str = Field(default="", alias="database_system_identifier")
    identity: Identity = Field(default=Identity(), alias="patroni")

    @property
    def is_primary(self) -> bool:
        """Whether it says that its PostgreSQL takes writes."""
        return self.role == "primary" and self.state == "running"


class Config(Shape):
    """What Operator reads of the dynamic configuration, with Patroni's defaults."""

    ttl: int = 30
    loop_wait: int = 10
    retry_timeout: int = 10
    maximum_lag_on_failover: int = 1024 * 1024
    primary_start_timeout: int = 300
    synchronous_mode: bool | str = False
    synchronous_mode_strict: bool = False
    synchronous_node_count: int = 1
    failsafe_mode: bool = False
    pause: bool = False

    @property
    def is_synchronous(self) -> bool:
        """Whether writes wait for a standby."""
        return self.synchronous_mode not in {False, "off", "false", "no"}

    @property
    def is_quorum_commit(self) -> bool:
        """Whether any of several standbys will do."""
        return self.synchronous_mode == "quorum"

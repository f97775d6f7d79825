"""What is watched of PD's configuration and switches, as types."""

from collections.abc import Mapping
from typing import Annotated, Final

from pydantic import BeforeValidator, ConfigDict, Field, model_validator

from operator_tikv.pd.types import Items, PdModel, ReplicateConfig, ScheduleConfig, Whole

GC_WORKER: Final = "gc_worker"
"""The owner of TiDB's own safe point: it advances by itself."""

_DISABLE: Final = "disable-"

_KEEPS_THE_REST: Final = ConfigDict(extra="allow")
"""Approvals are bound to values that no rule looks at, too."""


class StoreLimit(PdModel):
    """How many replicas a minute may come and go at a store."""

    add_peer: float = Field(default=15.0, alias="add-peer")
    remove_peer: float = Field(default=15.0, alias="remove-peer")


class WatchedSchedule(ScheduleConfig):
    """PD's schedule configuration with every switch that can be left behind."""

    model_config = _KEEPS_THE_REST

    hot_region_schedule_limit: Whole = Field(default=4, alias="hot-region-schedule-limit")
    merge_schedule_limit: Whole = Field(default=8, alias="merge-schedule-limit")
    max_snapshot_count: Whole = Field(default=64, alias="max-snapshot-count")
    max_pending_peer_count: Whole = Field(default=64, alias="max-pending-peer-count")
    enable_make_up_replica: bool = Field(default=True, alias="enable-make-up-replica")
    enable_replace_offline_replica: bool = Field(
        default=True, alias="enable-replace-offline-replica"
    )
    enable_remove_down_replica: bool = Field(default=True, alias="enable-remove-down-replica")
    enable_remove_extra_replica: bool = Field(default=True, alias="enable-remove-extra-replica")
    enable_location_replacement: bool = Field(default=True, alias="enable-location-replacement")
    store_limits: dict[str, StoreLimit] = Field(default_factory=dict, alias="store-limit")

    @model_validator(mode="before")
    @classmethod
    def _disabled_is_not_enabled(cls, value: object) -> object:
        """PD 3 tells of the same switches what is disabled."""
        if not isinstance(value, Mapping):
            return value
        off = {
            f"enable-{name.removeprefix(_DISABLE)}": False
            for name, is_on in value.items()
            if name.startswith(_DISABLE) and is_on in ("true", True)
        }
        return {**off, **value}


class WatchedReplicate(ReplicateConfig):
    """PD's replication configuration with what decides about places."""

    model_config = _KEEPS_THE_REST

    isolation_level: str = Field(default="", alias="isolation-level")


class LabelConstraint(PdModel):
    """One condition on the labels of a store."""

    key: str = ""
    op: str = "in"
    values: Items[str] = Field(default_factory=list)

    def admits(self, labels: Mapping[str, str]) -> bool:
        """Return whether a store with these labels fits."""
        value = labels.get(self.key)
        return {
            "in": value in self.values,
            "notIn": value not in self.values,
            "exists": value is not None,
            "notExists": value is None,
        }.get(self.op, True)


class PlacementRule(PdModel):
    """Where replicas of a range belong."""

    model_config = _KEEPS_THE_REST

    group_id: str = ""
    id: str = ""
    role: str = ""
    count: Whole = 0
    label_constraints: Items[LabelConstraint] = Field(default_factory=list)
    location_labels: Items[str] = Field(default_factory=list)
    isolation_level: str = ""

    @property
    def name(self) -> str:
        """Group and id, as PD's tools print them."""
        return f"{self.group_id}/{self.id}"


class Rules(PdModel):
    """The answer of `GET /config/rules`, which is a plain list."""

    rules: Items[PlacementRule] = Field(default_factory=list)


class RangeLabel(PdModel):
    """One label of a range of keys; with a time to live it ends by itself."""

    key: str = ""
    value: str = ""
    ttl: str = ""


class RegionLabelRule(PdModel):
    """Labels of a range of keys."""

    model_config = _KEEPS_THE_REST

    id: str = ""
    labels: Items[RangeLabel] = Field(default_factory=list)

    @property
    def denies_scheduling(self) -> bool:
        """Whether PD must not move what is in the range."""
        return any((label.key, label.value) == ("schedule", "deny") for label in self.labels)

    @property
    def ends_by_itself(self) -> bool:
        """Whether the label has a time to live."""
        return any(label.ttl for label in self.labels if label.key == "schedule")


class RegionLabelRules(PdModel):
    """The answer of `GET /config/region-label/rules`, which is a plain list."""

    rules: Items[RegionLabelRule] = Field(default_factory=list)


class ServiceSafePoint(PdModel):
    """Before which moment a service forbids to collect garbage."""

    service_id: str = ""
    expired_at: Whole = 0
    """Unix seconds."""
    safe_point: Whole = 0


class SafePoints(PdModel):
    """The answer of `GET /gc/safepoint`."""

    services: Items[ServiceSafePoint] = Field(default_factory=list, alias="service_gc_safe_points")
    gc_safe_point: Whole = 0


class Progress(PdModel):
    """How far PD is with taking a store out or filling one."""

    store_id: Whole = 0
    action: str = ""
    progress: float = 0.0
    current_speed: float = 0.0
    left_seconds: float = 0.0


class HotPeer(PdModel):
    """A replica that PD calls hot."""

    region_id: Whole = 0
    stores: Items[Whole] = Field(default_factory=list)
    """Where the region has replicas; older releases do not say."""
    hot_degree: Whole = 0
    flow_bytes: float = 0.0
    """Bytes a second."""


class HotPeers(PdModel):
    """The hot replicas of one store."""

    statistics: Items[HotPeer] = Field(default_factory=list)


def _no_null_values(value: object) -> object:
    """A store about which nothing is said has nothing hot."""
    if not isinstance(value, Mapping):
        return value
    return {key: item for key, item in value.items() if item is not None}


class HotRegions(PdModel):
    """The answer of `GET /hotspot/regions/write` and `…/read`."""

    as_leader: Annotated[dict[str, HotPeers], BeforeValidator(_no_null_values)] = Field(
        default_factory=dict
    )

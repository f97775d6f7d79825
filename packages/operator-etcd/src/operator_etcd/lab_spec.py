"""Scenarios of a real etcd cluster: its size, its load and its timed faults, as TOML says them.

[cluster]
quota_mib = 16

[load]
writes_per_second = 2

[[faults]]
at = "3s"
fault = "stop_members"
members = ["n2"]
"""

from collections.abc import Mapping
from typing import Literal

from pydantic import Field, model_validator

from operator_core import lab_real
from operator_core.lab_real import SpecPart, TimedFault

_NEED_MEMBERS = frozenset({"stop_members", "freeze_members", "move_leader", "raise_alarm"})
_FILL = frozenset({"fill_with_history", "fill_with_data", "leave_free_pages"})
_HAVE_AN_END = frozenset({"stop_members", "freeze_members"})


class ClusterPart(SpecPart):
    """How many members there are, named n1, n2, ..., and how large their databases may grow."""

    members: int = Field(default=3, ge=1, le=5)
    quota_mib: int = Field(default=16, ge=4, le=64)


class LoadPart(SpecPart):
    """What clients do: each write has a key of its own, so that a lost one is missed."""

    writes_per_second: float = Field(default=2.0, ge=0, le=20)


class FaultPart(TimedFault):
    """One fault.

    Only members that are stopped or frozen have an ``until``.

    Attributes:
        fault: what happens.
        share: of the quota that is filled; 1: until writes are refused. Of what fills it alone.
    """

    fault: Literal[
        "stop_members",
        "freeze_members",
        "move_leader",
        "raise_alarm",
        "fill_with_history",
        "fill_with_data",
        "leave_free_pages",
    ]
    share: float = Field(default=1.0, gt=0, le=1)

    @model_validator(mode="after")
    def _must_fit(self) -> "FaultPart":
        if (self.fault in _NEED_MEMBERS) != bool(self.members):
            word = "needs" if self.fault in _NEED_MEMBERS else "takes no"
            raise ValueError(f"{self.fault} {word} members")
        if self.fault == "move_leader" and len(self.members) != 1:
            raise ValueError("move_leader needs one member")
        if self.share < 1 and self.fault not in _FILL:
            raise ValueError(f"{self.fault} takes no share")
        if self.until is not None and self.fault not in _HAVE_AN_END:
            raise ValueError(f"{self.fault} has no until")
        return self


class LabSpec(SpecPart):
    """A scenario without what the lab itself reads; the duration is in seconds."""

    name: str = ""
    duration: float = Field(default=60.0, gt=0, le=3600)
    cluster: ClusterPart = ClusterPart()
    load: LoadPart = LoadPart()
    faults: list[FaultPart] = Field(default_factory=list)

    @property
    def member_names(self) -> list[str]:
        """The names of the members, as the cluster is started with them."""
        return [f"n{number}" for number in range(1, self.cluster.members + 1)]

    @property
    def fault_seconds(self) -> tuple[float, ...]:
        """When faults begin or end, in order."""
        return lab_real.moments(self.faults)

    @model_validator(mode="after")
    def _must_fit_the_cluster_and_the_time(self) -> "LabSpec":
        lab_real.require_members(self.faults, self.member_names)
        lab_real.require_in_time(self.faults, self.duration)
        return self


def read_spec(table: Mapping[str, object]) -> LabSpec:
    """Read the plugin's parts of a scenario.

    Args:
        table: as TOML gives it, with ``duration`` in seconds.

    Raises:
        RequestError: something in it is not right; names every fault with its place.
    """
    return lab_real.read_spec(LabSpec, table)

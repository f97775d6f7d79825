"""Scenarios of a real cluster under Patroni: its kind, its load and its timed faults, as TOML.

[cluster]
synchronous = true

[load]
writes_per_second = 1

[[faults]]
at = "3s"
fault = "stop_members"
members = ["pg2"]
"""

from collections.abc import Mapping
from typing import Literal

from pydantic import Field, model_validator

from operator_core import lab_real
from operator_core.lab_real import SpecPart, TimedFault
from operator_patroni.cluster_files import ClusterOptions

FaultName = Literal[
    "stop_members",
    "stop_patroni",
    "freeze_patroni",
    "kill_postgres",
    "damage_data",
    "freeze_receiver",
    "freeze_replay",
    "pause_replay",
    "write_log",
    "stop_dcs",
    "cut_from_dcs",
    "pause_cluster",
    "switch_over",
    "restart_postgres",
    "set_nofailover",
    "change_setting",
    "fork_history",
]
_WHOLE_CLUSTER = frozenset({"write_log", "stop_dcs", "pause_cluster", "change_setting"})
HAVE_AN_END = frozenset(
    {
        "stop_members",
        "stop_patroni",
        "freeze_patroni",
        "freeze_receiver",
        "freeze_replay",
        "pause_replay",
        "stop_dcs",
        "cut_from_dcs",
        "pause_cluster",
        "set_nofailover",
    }
)
"""What may be taken back by the one who did it."""


class ClusterPart(SpecPart):
    """What kind of cluster: members are named pg1, pg2, ..., and pg1 leads at the beginning."""

    members: int = Field(default=3, ge=1, le=3)
    rewind: bool = True
    synchronous: bool = False

    def options(self) -> ClusterOptions:
        """Return it as the cluster is started with it."""
        return ClusterOptions(self.members, self.rewind, self.synchronous)


class LoadPart(SpecPart):
    """What clients do: each write is a row of its own, so that a lost one is missed."""

    writes_per_second: float = Field(default=1.0, ge=0, le=10)


class FaultPart(TimedFault):
    """One fault.

    Attributes:
        fault: what happens.
        mib: how much log is written, in MiB; of ``write_log`` alone.
    """

    fault: FaultName
    mib: int = Field(default=0, ge=0, le=256)

    @model_validator(mode="after")
    def _must_fit(self) -> "FaultPart":
        needs_members = self.fault not in _WHOLE_CLUSTER
        if needs_members != bool(self.members):
            raise ValueError(f"{self.fault} {'needs' if needs_members else 'takes no'} members")
        if self.fault == "switch_over" and len(self.members) != 1:
            raise ValueError("switch_over needs one member")
        if (self.fault == "write_log") != bool(self.mib):
            raise ValueError("write_log needs mib, and nothing else takes it")
        if self.until is not None and self.fault not in HAVE_AN_END:
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
    def fault_seconds(self) -> tuple[float, ...]:
        """When faults begin or end, in order."""
        return lab_real.moments(self.faults)

    @model_validator(mode="after")
    def _must_fit_the_cluster_and_the_time(self) -> "LabSpec":
        lab_real.require_members(self.faults, self.cluster.options().names)
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

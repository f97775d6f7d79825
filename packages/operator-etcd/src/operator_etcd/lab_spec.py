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

import re
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from operator_core.errors import RequestError
from operator_core.lab import complaint

_UNITS = {"s": 1.0, "m": 60.0}
_TIME = re.compile(r"([0-9]+(?:\.[0-9]+)?)(s|m)")
_NEED_MEMBERS = frozenset({"stop_members", "freeze_members", "move_leader", "raise_alarm"})
_HAVE_AN_END = frozenset({"stop_members", "freeze_members"})


def _seconds(value: object) -> object:
    """Return the seconds of a text such as ``90s`` or ``2m``; leave the rest to pydantic."""
    found = _TIME.fullmatch(value) if isinstance(value, str) else None
    return float(found[1]) * _UNITS[found[2]] if found else value


Seconds = Annotated[float, BeforeValidator(_seconds), Field(ge=0, allow_inf_nan=False)]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ClusterPart(_Strict):
    """How many members there are, named n1, n2, ..., and how large their databases may grow."""

    members: int = Field(default=3, ge=1, le=5)
    quota_mib: int = Field(default=16, ge=4, le=64)


class LoadPart(_Strict):
    """What clients do: each write has a key of its own, so that a lost one is missed."""

    writes_per_second: float = Field(default=2.0, ge=0, le=20)


class FaultPart(_Strict):
    """One fault.

    Attributes:
        at: when it begins.
        until: when it ends; None: it stays. Only of members that are stopped or frozen.
        fault: what happens.
        members: to whom.
    """

    at: Seconds
    until: Seconds | None = None
    fault: Literal[
        "stop_members",
        "freeze_members",
        "move_leader",
        "raise_alarm",
        "fill_with_history",
        "fill_with_data",
    ]
    members: list[str] = Field(default_factory=list)

    @model_validator(mode="after")
    def _must_fit(self) -> "FaultPart":
        if (self.fault in _NEED_MEMBERS) != bool(self.members):
            word = "needs" if self.fault in _NEED_MEMBERS else "takes no"
            raise ValueError(f"{self.fault} {word} members")
        if self.fault == "move_leader" and len(self.members) != 1:
            raise ValueError("move_leader needs one member")
        if self.until is not None and self.fault not in _HAVE_AN_END:
            raise ValueError(f"{self.fault} has no until")
        if self.until is not None and self.until <= self.at:
            raise ValueError("until must be after at")
        return self


class LabSpec(_Strict):
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
        moments = {at for one in self.faults for at in (one.at, one.until) if at is not None}
        return tuple(sorted(moments))

    @model_validator(mode="after")
    def _must_name_members(self) -> "LabSpec":
        named = {name for one in self.faults for name in one.members}
        unknown = sorted(named - set(self.member_names))
        if unknown:
            known = ", ".join(self.member_names)
            raise ValueError(f"no member {', '.join(unknown)}; there are {known}")
        return self


def read_spec(table: Mapping[str, object]) -> LabSpec:
    """Read the plugin's parts of a scenario.

    Args:
        table: as TOML gives it, with ``duration`` in seconds.

    Raises:
        RequestError: something in it is not right; names every fault with its place.
    """
    try:
        return LabSpec.model_validate(dict(table))
    except ValidationError as error:
        raise RequestError(complaint(error, LabSpec)) from None

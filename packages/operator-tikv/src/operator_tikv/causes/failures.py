"""The known failures of TiKV as data: `failures.toml`, read and checked."""

import tomllib
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from operator_core.types import JsonObject
from operator_tikv.pd.parse import duration_seconds


class Guard(StrEnum):
    """Who refuses what must never be done."""

    PREFLIGHT = "preflight"
    """The action's own checks, against the cluster as it is then."""
    PERSON = "person"
    """It can be right: it is done only with a person's approval."""
    CATALOGUE = "catalogue"
    """No cause proposes it."""
    ABSENT = "absent"
    """There is no such action."""


class Never(BaseModel):
    """What must never be done at the height of a failure, and who refuses it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    action: str
    parameters: JsonObject = Field(default_factory=dict)
    refused_by: Guard


class Failure(BaseModel):
    """One known failure.

    Attributes:
        number: as the scenario of the failure has it.
        signs: what is seen.
        causes: the hypotheses that may come first, by name.
        told_apart: causes that it is confused with, and by what they are told apart.
        remedy: what to do, in order.
        verify: what holds once it is healed.
        height: when its scenario is at its worst, in seconds of virtual time.
        never: what must not be done then.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    number: int = Field(ge=1)
    signs: list[str] = Field(min_length=1)
    causes: list[str]
    told_apart: dict[str, str] = Field(default_factory=dict)
    remedy: list[str] = Field(min_length=1)
    verify: list[str] = Field(min_length=1)
    height: Annotated[float, BeforeValidator(duration_seconds)]
    never: list[Never] = Field(min_length=1)


@cache
def known_failures() -> tuple[Failure, ...]:
    """Return the failures in the order of their numbers."""
    text = files("operator_tikv.causes").joinpath("failures.toml").read_text(encoding="utf-8")
    found = [Failure.model_validate(one) for one in tomllib.loads(text)["failure"]]
    return tuple(sorted(found, key=lambda one: one.number))

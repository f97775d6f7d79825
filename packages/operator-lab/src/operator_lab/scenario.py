"""Scenarios as files: what the cluster is, what befalls it, and what a right answer is.

The parts ``[cluster]``, ``[load]`` and ``[[faults]]`` belong to the plugin of the subject; the
rest is read here. `docs/lab.md` tells the format.
"""

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from operator_core.errors import RequestError
from operator_core.lab import complaint
from operator_core.monitor.config import DEFAULT_SOAK_SECONDS

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(s|m|h|d)")
_DURATION = re.compile(f"(?:{_PART.pattern})+")


class ScenarioError(RequestError):
    """A scenario's file that cannot be read; the text names the file and the field."""


def _seconds(value: object) -> object:
    """Return the seconds of a text such as ``1h30m``; leave numbers to pydantic."""
    if isinstance(value, str) and _DURATION.fullmatch(value):
        return sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(value))
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(  # noqa: TRY004 - pydantic tells of a ValueError where it is
            f'{value!r} is no duration: write seconds, or text such as "90s", "10m" or "1h30m"'
        )
    return value


Seconds = Annotated[float, BeforeValidator(_seconds), Field(ge=0, allow_inf_nan=False)]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Asked(_Strict):
    """An action that a person asks for at the end, and that must be refused or fail."""

    action: str
    parameters: dict[str, Any] = Field(default_factory=dict)


class Expectation(_Strict):
    """What a right answer is.

    Attributes:
        number: of the known failure that it shows, if any.
        tickets: problems that must be seen, each with the causes that may come first.
        settles: of some of them, the causes that the last diagnosis may name.
        also: rules that may be broken too.
        actions: the only actions that may be performed, all of which must be.
        never: what would do harm.
        ends: ``healthy``: no problem is left; ``escalated``: a person is asked; ``refused``: the
            action that was asked for says that it failed; ``unseen`` and ``quiet``: no ticket.
        refused: what is asked for at the end, and must not get through.
        look_seconds: how often Operator looks.
        soak_seconds: how long a problem must be gone before its remedy is verified.
        grace_seconds: how long a rule lets a problem pass, where that is not as it ships.
        approver: who answers when the policy asks for a person.
        approves_after: how long that takes.
    """

    number: int = 0
    tickets: dict[str, list[str]] = Field(default_factory=dict)
    settles: dict[str, list[str]] = Field(default_factory=dict)
    also: list[str] = Field(default_factory=list)
    actions: list[str] = Field(default_factory=list)
    never: list[str] = Field(default_factory=list)
    ends: Literal["healthy", "escalated", "refused", "unseen", "quiet"]
    refused: list[Asked] = Field(default_factory=list)
    look_seconds: Annotated[Seconds, Field(gt=0)] = 30.0
    soak_seconds: Annotated[Seconds, Field(gt=0)] = DEFAULT_SOAK_SECONDS
    grace_seconds: dict[str, Annotated[Seconds, Field(ge=0)]] = Field(default_factory=dict)
    approver: Literal["on-call", "nobody"] = "on-call"
    approves_after: Seconds = 30.0

    @model_validator(mode="after")
    def _must_be_possible(self) -> "Expectation":
        silent = self.ends in {"quiet", "unseen"}
        both = sorted(set(self.actions) & set(self.never))
        faults = {
            f'ends = "{self.ends}" means no ticket, and tickets names some': silent
            and self.tickets,
            f'ends = "{self.ends}" means no action, and actions names some': silent
            and self.actions,
            'ends = "refused" needs an action in [[expect.refused]]': (
                self.ends == "refused" and not self.refused
            ),
            f"{', '.join(both)}: in actions and in never; leave out one": both,
            **_faults_of_tickets(self.tickets, self.settles),
        }
        told = [words for words, is_so in faults.items() if is_so]
        if told:
            raise ValueError("; ".join(told))
        return self

    @property
    def is_control(self) -> bool:
        """Whether nothing is wrong, so that whatever is done is done wrongly."""
        return self.ends == "quiet"


def _faults_of_tickets(
    tickets: Mapping[str, list[str]], settles: Mapping[str, list[str]]
) -> dict[str, object]:
    """Return what no play could fulfil, each with whether it is so."""
    bare = [key for key in (*tickets, *settles) if not all(key.partition(":"))]
    empty = [key for key, causes in settles.items() if not causes]
    unlisted = [key for key in settles if key not in tickets]
    return {
        f"{', '.join(bare)}: a ticket is named by its rule and its target, such as "
        '"store_down:store-1"': bare,
        f"settles: {', '.join(unlisted)}: name it in tickets too": unlisted,
        f"settles: {', '.join(empty)}: name the causes that the last diagnosis may say": empty,
    }


class Scenario(_Strict):
    """One scenario.

    Attributes:
        name: for people.
        set: the kind it belongs to, by which scores are grouped.
        subject: the plugin on whose lab it is played.
        duration: how long, in seconds of the cluster's time.
        seeds: of the plays; empty: the scenario's own.
        expect: what a right answer is.
        table: what the plugin reads.
        file: where it was read.
    """

    name: str = Field(min_length=1, max_length=200)
    description: str = ""
    set: str = Field(default="single", pattern=r"^[a-z][a-z0-9-]{0,30}$")
    subject: str = "tikv"
    duration: Annotated[Seconds, Field(gt=0)] = 3600.0
    seeds: list[int] = Field(default_factory=list)
    expect: Expectation
    table: dict[str, Any] = Field(default_factory=dict)
    file: str = ""


OWN_KEYS = frozenset(Scenario.model_fields) - {"table", "file"}
"""The keys of a file that the lab reads; all others are the plugin's."""


def load_scenario(path: Path) -> Scenario:
    """Read the scenario of a file.

    Raises:
        ScenarioError: it cannot be read, or is not right.
    """
    try:
        # With a byte order mark or without: some editors write one.
        return read_scenario(tomllib.loads(path.read_text(encoding="utf-8-sig")), str(path))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ScenarioError(f"{path}: {error}") from error


def read_scenario(table: dict[str, Any], file: str = "scenario") -> Scenario:
    """Read a scenario from a table as TOML gives it.

    Args:
        table: the whole file.
        file: its name, for people.

    Raises:
        ScenarioError: something in it is not right; names every fault.
    """
    own = {key: value for key, value in table.items() if key in OWN_KEYS}
    rest = {key: value for key, value in table.items() if key not in OWN_KEYS}
    try:
        return Scenario.model_validate({**own, "table": rest, "file": file})
    except ValidationError as error:
        raise ScenarioError(f"{file}: {complaint(error, Scenario)}") from error


def find_scenarios(places: list[Path]) -> list[Path]:
    """Return the scenario files at some places, folders with all that is in them, in order.

    Raises:
        ScenarioError: a place does not exist, or a folder holds no scenario.
    """
    found: list[Path] = []
    for place in places:
        files = sorted(place.rglob("*.toml")) if place.is_dir() else [place]
        if not files or not all(file.is_file() for file in files):
            raise ScenarioError(f"{place}: there is no scenario (*.toml) here.")
        found += files
    return found

"""The port of a lab: clusters that are broken on purpose, in a time of their own or in real time.

A plugin that has one says so with an attribute ``lab``. The lab plays scenarios on it and
judges what Operator made of them; it knows the truth, Operator sees what the subject shows.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Protocol, TypeGuard, get_args

from pydantic import BaseModel, ValidationError

from operator_core.clock import Clock
from operator_core.subject import Subject

_KINDS = {
    "bool_type": "true or false",
    "dict_type": "a table, such as [cluster] or { a = 1 }",
    "float_type": "a number",
    "int_type": "a whole number",
    "list_type": 'a list, such as [1] or ["a"]',
    "model_type": "a table, such as [cluster] or { a = 1 }",
    "string_type": "text in quotes",
    "tuple_type": 'a list, such as [1] or ["a"]',
}
"""What a value must be, as somebody writes it in TOML."""


def complaint(error: ValidationError, model: type[BaseModel]) -> str:
    """Say in one line what of a scenario is not right, each with its place and what would be.

    Args:
        error: what did not fit.
        model: what it was to fit.
    """
    told = []
    for found in error.errors(include_url=False, include_context=False):
        *places, last = found["loc"] or ("",)
        place = ".".join(str(one) for one in found["loc"])
        text = found["msg"].removeprefix("Value error, ")
        if found["type"] == "extra_forbidden":
            text = f"is no key here; {near(str(last), _keys(model, places))}"
        elif found["type"] == "missing":
            text = "is missing"
        elif found["type"] in _KINDS:
            text = f"must be {_KINDS[found['type']]}"
        told.append(f"{place}: {text}" if place else text)
    return "; ".join(dict.fromkeys(told))


def near(name: str, known: Iterable[str]) -> str:
    """Return what somebody may have meant who wrote a name that nobody knows, else what there is.

    Args:
        name: what was written.
        known: what there is.
    """
    names = sorted(known)
    meant = get_close_matches(name, names, n=1)
    return f"did you mean {meant[0]!r}?" if meant else f"known: {', '.join(names) or 'none'}"


def _keys(model: type[BaseModel], places: Iterable[str | int]) -> set[str]:
    """Return the keys that a part of a model has."""
    here: object = model
    for place in places:
        fields = here.model_fields if _is_model(here) else {}
        inner = fields[place].annotation if place in fields else here
        here = next((one for one in (inner, *get_args(inner)) if _is_model(one)), None)
    return set(here.model_fields) if _is_model(here) else set()


def _is_model(kind: object) -> TypeGuard[type[BaseModel]]:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


@dataclass(frozen=True)
class Truth:
    """How a cluster really is, whatever a subject sees of it.

    Attributes:
        unavailable: parts of the data that nobody serves.
        exposed: parts that have fewer whole copies than they should.
        leftovers: what was put on the cluster and is still there, in words.
    """

    unavailable: int = 0
    exposed: int = 0
    leftovers: tuple[str, ...] = ()

    @property
    def is_healthy(self) -> bool:
        """Whether all data is served, copied as it should be, and nothing is left over."""
        return not (self.unavailable or self.exposed or self.leftovers)


class LabCluster(Protocol):
    """One cluster with its load and its faults still to come.

    Its time passes when it is told to, or, where the lab's is real, it is told what time it is.
    """

    started_at: datetime
    """The moment of its beginning."""
    fault_seconds: tuple[float, ...]
    """When faults begin or end, in seconds from the beginning."""

    async def start(self) -> None:
        """Start what it needs; its time begins.

        Raises:
            OperatorError: it does not come up.
        """
        ...

    async def stop(self) -> None:
        """End whatever it started, also where its start was cut short."""
        ...

    def subject(self, clock: Clock) -> Subject:
        """Return what Operator sees of it.

        Args:
            clock: the time that the subject goes by; its sleep lets the cluster's time pass.
        """
        ...

    def catalogue(self) -> Subject:
        """Return the same subject before the start: for its names, reaching for nothing."""
        ...

    def targets(self) -> frozenset[str]:
        """Return what problems can be at, as scenarios write it.

        What resembles one of these names is taken for a misspelling; other names may be right.
        """
        ...

    def advance_to(self, seconds: float) -> None:
        """Let its time pass, up to so many seconds from its beginning.

        Raises:
            OperatorError: a fault could not be made, so that the play shows nothing.
        """
        ...

    async def truth(self) -> Truth:
        """Say how it really is now."""
        ...

    def scenario_key(self, key: str) -> str:
        """Return the key of a problem as scenarios write it, the same in every play."""
        ...


class Lab(Protocol):
    """What a plugin offers the lab."""

    scenarios: Path
    """A folder with the scenarios that come with the plugin."""
    is_real_time: bool
    """Whether time passes by itself; its scenarios are played only when they are named."""

    def build(self, table: Mapping[str, object], seed: int | None) -> LabCluster:
        """Return the cluster of a scenario at its beginning.

        Args:
            table: the scenario without what the lab itself reads, as TOML gives it.
            seed: of every random choice; None: the scenario's own.

        Raises:
            RequestError: something in it is not right; the text says where.
        """
        ...


def lab_of(plugin: object) -> Lab | None:
    """Return a plugin's lab, None where it has none."""
    found: Lab | None = getattr(plugin, "lab", None)
    return found

"""What the labs of real clusters share: times as text, and faults that come and go in real time."""

import asyncio
import re
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from typing import Annotated, NamedTuple, Self, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from operator_core.errors import RequestError
from operator_core.lab import complaint

_UNITS = {"s": 1.0, "m": 60.0}
_TIME = re.compile(r"([0-9]+(?:\.[0-9]+)?)(s|m)")


def _seconds(value: object) -> object:
    """Return the seconds of a text such as ``90s`` or ``2m``; leave the rest to pydantic."""
    if not isinstance(value, str):
        return value
    found = _TIME.fullmatch(value)
    if found is None:
        raise ValueError(f'{value!r} is no time: write seconds, or text such as "90s" or "2m"')
    return float(found[1]) * _UNITS[found[2]]


Seconds = Annotated[float, BeforeValidator(_seconds), Field(ge=0, allow_inf_nan=False)]


class SpecPart(BaseModel):
    """A part of a scenario: nothing in it goes unread."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class TimedFault(SpecPart):
    """A fault with its time.

    Attributes:
        at: when it begins.
        until: when it ends; None: it stays.
        members: to whom; nobody where it happens to the whole cluster.
    """

    at: Seconds
    until: Seconds | None = None
    members: list[str] = Field(default_factory=list)

    @model_validator(mode="after")
    def _must_end_after_it_began(self) -> Self:
        if self.until is not None and self.until <= self.at:
            raise ValueError("until must be after at")
        return self


AnySpec = TypeVar("AnySpec", bound=SpecPart)


def read_spec(kind: type[AnySpec], table: Mapping[str, object]) -> AnySpec:
    """Read a plugin's parts of a scenario.

    Args:
        kind: what it is read as.
        table: as TOML gives it, with ``duration`` in seconds.

    Raises:
        RequestError: something in it is not right; names every fault with its place.
    """
    try:
        return kind.model_validate(dict(table))
    except ValidationError as error:
        raise RequestError(complaint(error, kind)) from None


def require_members(faults: Iterable[TimedFault], names: Sequence[str]) -> None:
    """Refuse faults of members that the cluster does not have.

    Args:
        faults: the faults of a scenario.
        names: the members that there are.

    Raises:
        ValueError: a fault names another one; a validator of pydantic passes it on.
    """
    unknown = sorted({name for one in faults for name in one.members} - set(names))
    if unknown:
        raise ValueError(f"no member {', '.join(unknown)}; there are {', '.join(names)}")


def require_in_time(faults: Iterable[TimedFault], duration_seconds: float) -> None:
    """Refuse faults that would never come, as the scenario is over by then.

    Args:
        faults: the faults of a scenario.
        duration_seconds: how long it is played.

    Raises:
        ValueError: a fault comes too late; a validator of pydantic passes it on.
    """
    for number, one in enumerate(faults, 1):
        if one.at >= duration_seconds:
            end = f"its end, which is at {duration_seconds:g} s"
            raise ValueError(f"fault {number} comes after {end}")


def moments(faults: Iterable[TimedFault]) -> tuple[float, ...]:
    """Return when faults begin or end, in seconds, in order."""
    return tuple(sorted({at for one in faults for at in (one.at, one.until) if at is not None}))


Work = Coroutine[None, None, None]


class Event(NamedTuple):
    """Something that happens at its time, in seconds."""

    at_seconds: float
    make: Callable[[], Work]


class Timeline:
    """Lets events happen when their time has come, and keeps what runs beside them."""

    def __init__(self, events: Iterable[Event] = ()) -> None:
        """Take what is to happen."""
        self._coming: Sequence[Event] = sorted(events, key=lambda one: one.at_seconds)
        self._running: set[asyncio.Task[None]] = set()

    def advance_to(self, seconds: float) -> None:
        """Begin the events whose time has come.

        Raises:
            OperatorError: one that has run could not be made.
        """
        for task in [one for one in self._running if one.done()]:
            self._running.remove(task)
            task.result()
        while self._coming and self._coming[0].at_seconds <= seconds:
            event, *self._coming = self._coming
            self.run(event.make())

    def run(self, work: Work) -> None:
        """Let something run beside the events, until it or the timeline ends."""
        self._running.add(asyncio.create_task(work))

    async def end(self) -> None:
        """End what still runs."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

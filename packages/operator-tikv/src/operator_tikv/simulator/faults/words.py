"""What a fault is, and the units and choices its parameters are written in."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Self

    from operator_tikv.simulator.model import Ailments, Store
    from operator_tikv.simulator.world import World

MAX_SECONDS: Final = 10 * 365 * 86_400.0
_HOW: Final = 'write seconds, or text such as "90s", "10m" or "1h30m"'
_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_PART: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")


class FaultError(Exception):
    """The fault is unknown or cannot be applied as asked."""


def read_seconds(value: object) -> float:
    """Read a duration: a number of seconds, or text such as `90s`, `1h30m`, `250ms`.

    Raises:
        ValueError: it is no duration, negative, or longer than ten years.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(f"{value!r} is no duration: {_HOW}")  # noqa: TRY004 pydantic reports these
    seconds = _from_text(value) if isinstance(value, str) else float(value)
    if not math.isfinite(seconds) or not 0 <= seconds <= MAX_SECONDS:
        raise ValueError(f"{value!r} is no duration between 0 and ten years")
    return seconds


def read_offset_seconds(value: object) -> float:
    """Read a duration that may be negative, such as `-500ms`.

    Raises:
        ValueError: it is no duration.
    """
    if isinstance(value, str) and value.startswith("-"):
        return -read_seconds(value[1:])
    if isinstance(value, int | float) and not isinstance(value, bool) and value < 0:
        return -read_seconds(-value)
    return read_seconds(value)


def _from_text(text: str) -> float:
    parts = _PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"{text!r} is no duration: {_HOW}")
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


Seconds = Annotated[float, BeforeValidator(read_seconds)]
Offset = Annotated[float, BeforeValidator(read_offset_seconds)]
StoreId = Annotated[int, Field(strict=True, ge=1)]
Count = Annotated[int, Field(strict=True, ge=1, le=1_000_000)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]
Rate = Annotated[float, Field(ge=0.0, le=1e12)]
Direction = Literal["both", "in", "out"]


@dataclass(slots=True)
class Memory:
    """What one active fault must remember: former values, and whether it strikes just now."""

    former: dict[str, object] = field(default_factory=dict)
    striking: bool = True
    beats: int = 0


class Fault(BaseModel):
    """One thing that goes wrong. It is data; the methods say what it does to a world."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    def settled(self, world: World) -> Self:
        """Return the fault with everything chosen that its writer left open.

        Raises:
            FaultError: it names what does not exist.
        """
        del world
        return self

    def begin(self, world: World, memory: Memory) -> None:
        """Do what happens once at the beginning."""

    def end(self, world: World, memory: Memory) -> None:
        """Undo what `begin` did, as far as nobody has changed it since."""

    def beat(self, world: World, memory: Memory) -> float | None:
        """Do what happens again and again; return the seconds to the next beat, None for none."""

    def ail(self, store_id: int, found: Ailments, memory: Memory) -> Ailments:
        """Return what a store suffers, given what the other faults do to it."""
        del store_id, memory
        return found

    def cut(self, world: World) -> Iterable[tuple[int, int]]:
        """Return the directed links between stores that carry nothing."""
        del world
        return ()


class StoreFault(Fault):
    """A fault of named stores; without names the model chooses one TiKV store."""

    stores: tuple[StoreId, ...] = ()

    def settled(self, world: World) -> Self:
        """Choose a store if none is named.

        Raises:
            FaultError: there is no such store.
        """
        for store_id in self.stores:
            if store_id not in world.stores or is_gone(world.stores[store_id]):
                raise FaultError(f"no store {store_id}")
        if self.stores:
            return self
        living = [s for s in world.stores.values() if not is_gone(s) and not s.is_tiflash]
        if not living:
            raise FaultError("there is no store left")
        return self.model_copy(update={"stores": (world.rng.choice(living).store_id,)})

    def of(self, world: World) -> list[Store]:
        """Return the stores that still exist."""
        return [world.stores[i] for i in self.stores if i in world.stores]


def is_gone(store: Store) -> bool:
    """Return whether a store has left the cluster for good."""
    return store.meta_state.name == "TOMBSTONE"


@dataclass(frozen=True, slots=True)
class PlannedFault:
    """A fault with its times, in virtual seconds; without `until_seconds` it stays."""

    at_seconds: float
    name: str
    fault: Fault
    until_seconds: float | None = None


@dataclass(slots=True)
class Active:
    """A fault that acts now, under its number."""

    number: int
    name: str
    fault: Fault
    since_seconds: float
    memory: Memory = field(default_factory=Memory)

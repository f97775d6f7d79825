"""What a fault is applied to, and the check of what comes from outside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

from operator_tikv.simulator.faults.words import FaultError

if TYPE_CHECKING:
    from collections.abc import Mapping

T = TypeVar("T")

MAX_NUMBER: Final = 1e9


@dataclass(frozen=True, slots=True)
class FaultCall:
    """What a fault is applied to; each fault reads only what it needs.

    `store_id` 0 lets the model choose a store with its own random source.
    """

    name: str
    store_id: int = 0
    store_ids: tuple[int, ...] = ()
    member: str = ""
    scheduler: str = ""
    factor: float = 1.0
    duration_seconds: float = 0.0
    persistent: bool = True


def make_call(name: str, details: Mapping[str, object]) -> FaultCall:
    """Check the fields of a fault as they come from outside.

    Args:
        name: the fault.
        details: further fields of `FaultCall`.

    Raises:
        FaultError: an unknown field or a value of the wrong type.
    """
    fields = _Fields(details)
    call = FaultCall(
        name=name,
        store_id=fields.take("store_id", int, 0),
        store_ids=_store_ids(fields.take("store_ids", list, [])),
        member=fields.take("member", str, ""),
        scheduler=fields.take("scheduler", str, ""),
        factor=fields.number("factor", 1.0),
        duration_seconds=fields.number("duration_seconds", 0.0),
        persistent=fields.take("persistent", bool, default=True),
    )
    fields.refuse_rest()
    return call


class _Fields:
    def __init__(self, details: Mapping[str, object]) -> None:
        self._left = dict(details)

    def take(self, name: str, kind: type[T], default: T) -> T:
        value = self._left.pop(name, default)
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise FaultError(f"{name} must be of type {kind.__name__}")
        return value

    def number(self, name: str, default: float) -> float:
        value = self._left.pop(name, default)
        if (
            isinstance(value, bool)
            or not isinstance(value, int | float)
            or not 0 <= value <= MAX_NUMBER
        ):
            raise FaultError(f"{name} must be a number from 0 up")
        return float(value)

    def refuse_rest(self) -> None:
        if self._left:
            raise FaultError(f"unknown field {', '.join(map(repr, sorted(self._left)))}")


def _store_ids(values: list[object]) -> tuple[int, ...]:
    ids = tuple(v for v in values if isinstance(v, int) and not isinstance(v, bool))
    if len(ids) != len(values):
        raise FaultError("store_ids must be a list of integers")
    return ids

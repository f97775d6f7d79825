"""The shape of JSON, and where an answer differs from it. Pure.

A shape is written like the answer: a dict of keys (``?`` at the end: may be missing), a list of
one shape, or the name of a kind of value. Several kinds are parted by ``|``.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pydantic import JsonValue

from operator_tikv.pd.parse import duration_seconds, shorten, size_bytes

Shape = str | Mapping[str, "Shape"] | Sequence["Shape"]

ANY_KEY: Final = "*"
"""The key of a map whose keys are not known before, such as store ids."""

_TIME: Final = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d.*")


@dataclass(frozen=True)
class Difference:
    """One place where an answer is not as assumed.

    Attributes:
        place: where, such as ``stores[0].status.capacity``.
        words: what is there, and what should be.
        is_note: whether it does no harm, such as a key that we do not know.
    """

    place: str
    words: str
    is_note: bool = False


def differences(value: JsonValue, shape: Shape, place: str = "") -> Iterator[Difference]:
    """Yield where a value differs from a shape; of the items of a list, each once."""
    if isinstance(shape, str):
        if not any(_KINDS[kind](value) for kind in shape.split("|")):
            yield Difference(place or "answer", f"is {_shown(value)}, should be {shape}")
    elif isinstance(shape, Mapping):
        yield from _of_object(value, shape, place)
    else:
        yield from _of_list(value, shape, place)


def _of_object(value: JsonValue, shape: Mapping[str, Shape], place: str) -> Iterator[Difference]:
    if not isinstance(value, dict):
        yield Difference(place or "answer", f"is {_shown(value)}, should be an object")
        return
    known = {key.rstrip("?"): (key.endswith("?"), inner) for key, inner in shape.items()}
    for key, (is_optional, inner) in known.items():
        if key == ANY_KEY:
            continue
        if key in value:
            yield from differences(value[key], inner, _join(place, key))
        elif not is_optional:
            yield Difference(_join(place, key), "is missing")
    for key, inner_value in value.items():
        if ANY_KEY in known:
            yield from differences(inner_value, known[ANY_KEY][1], _join(place, key))
        elif key not in known:
            yield Difference(
                _join(place, key), f"is new to us: {_shown(inner_value)}", is_note=True
            )


def _of_list(value: JsonValue, shape: Sequence[Shape], place: str) -> Iterator[Difference]:
    if value is None:
        return  # Go prints an empty list as null
    if not isinstance(value, list):
        yield Difference(place or "answer", f"is {_shown(value)}, should be a list")
        return
    told: set[tuple[str, bool]] = set()
    for index, item in enumerate(value):
        for one in differences(item, shape[0], f"{place}[{index}]"):
            # The same fault in each of a thousand stores is one fault.
            same = (re.sub(r"\[\d+\]", "[]", one.place), one.is_note)
            if same not in told:
                told.add(same)
                yield one


def _join(place: str, key: str) -> str:
    return f"{place}.{shorten(key)}" if place else shorten(key)


def _shown(value: JsonValue) -> str:
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    return repr(value) if not isinstance(value, str) else repr(shorten(value)[:60])


def _reads(reader: Callable[[object], object]) -> Callable[[JsonValue], bool]:
    def is_so(value: JsonValue) -> bool:
        try:
            return isinstance(value, str) and reader(value) is not None
        except ValueError:
            return False

    return is_so


def _is_number(value: JsonValue) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_whole(value: JsonValue) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


_KINDS: Final[Mapping[str, Callable[[JsonValue], bool]]] = {
    "int": _is_whole,
    "number": _is_number,
    "text": lambda value: isinstance(value, str),
    "bool": lambda value: isinstance(value, bool),
    "switch": lambda value: isinstance(value, bool) or value in {"true", "false"},
    "size": _reads(size_bytes),
    "duration": _reads(duration_seconds),
    "time": lambda value: isinstance(value, str) and bool(_TIME.fullmatch(value)),
    "null": lambda value: value is None,
    "any": lambda _: True,
}

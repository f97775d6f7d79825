"""Whatever an action returned, as JSON that can be stored: it never raises.

The effect has happened by the time its result is written down, so a result that cannot be
written must not look like a failure. What does not fit is shown as text, or cut with a mark.
"""

import json
import math
import reprlib
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import fields, is_dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from uuid import UUID

from pydantic import BaseModel, JsonValue

from operator_core.types import JsonObject

MAX_TEXT_CHARS = 10_000
MAX_TOTAL_CHARS = 200_000
MAX_VALUES = 5_000
MAX_DEPTH = 20
MAX_KEY_CHARS = 200
CUT_MARK = "… [cut]"
_LARGEST_PLAIN_INT = 2**64
_NAME_OF_TYPE = type.__dict__["__name__"]
_LARGEST_DECIMAL_BITS = 4_000  # Python refuses to write longer ones in decimal


def readable(value: object) -> JsonObject:
    """Return a value as a JSON object that ``json.dumps(allow_nan=False)`` takes.

    A mapping, dataclass or pydantic model becomes the object itself; anything else stands
    under ``result``. Times are ISO-8601, sets sorted lists, bytes text or hex, NaN and
    infinity their names. Long texts and lists, cycles and great depth are cut or shown as
    text.
    """
    plain = _Reader().read(value)
    return plain if isinstance(plain, dict) else {"result": plain}


def clean_text(text: str) -> str:
    """Return the text without what a database refuses: lone surrogates and NUL."""
    plain = str.__str__(text)
    return plain.encode("utf-8", "replace").decode("utf-8").replace("\x00", "\ufffd")


def cut(text: str, limit: int) -> str:
    """Return the text, cut with a mark where it is longer than ``limit`` characters."""
    return text if len(text) <= limit else text[: limit - len(CUT_MARK)] + CUT_MARK


def name_of(kind: type) -> str:
    """Return the name of a type, whatever its metaclass says of names."""
    return str(_NAME_OF_TYPE.__get__(kind))


def _safe_repr(value: object) -> str:
    try:
        return _SHORT.repr(value)
    except KeyboardInterrupt:
        raise
    except BaseException:  # noqa: BLE001 - the value's own code may raise anything
        return f"<{name_of(type(value))}>"


class _ShortRepr(reprlib.Repr):
    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = 2
        self.maxother = self.maxstring = 500

    def repr_instance(self, x: object, level: int) -> str:
        """Show an object whose ``__repr__`` raises by its type, without its address."""
        del level
        try:
            return cut(repr(x), self.maxother)
        except KeyboardInterrupt:
            raise
        except BaseException:  # noqa: BLE001 - as above
            return f"<{name_of(type(x))}>"


_SHORT = _ShortRepr()


class _Reader:
    """Reads one value; counts values and characters, and knows what it is inside of."""

    def __init__(self) -> None:
        self._values_left = MAX_VALUES
        self._chars_left = MAX_TOTAL_CHARS
        self._open: set[int] = set()

    def read(self, value: object) -> JsonValue:
        """Return the value as JSON."""
        self._values_left -= 1
        try:
            return self._read(value)
        except KeyboardInterrupt:
            raise
        except BaseException:  # noqa: BLE001 - a value's own code may raise anything
            return self._text(_safe_repr(value))

    def _read(self, value: object) -> JsonValue:
        # By identity and exact type: a stand-in of a test may claim any class.
        if value is None or value is True or value is False:
            return value
        if isinstance(value, Enum):
            return self.read(value.value)
        for types, convert in _SCALARS:
            if isinstance(value, types):
                plain = convert(value)
                return plain if type(plain) in {int, float} else self._text(str.__str__(plain))
        opened = _opened(value)
        return self._text(_safe_repr(value)) if opened is None else self._inside(value, opened)

    def _inside(self, value: object, opened: Collection[object]) -> JsonValue:
        if id(value) in self._open or len(self._open) >= MAX_DEPTH:
            return self._text(_safe_repr(value))
        self._open.add(id(value))
        try:
            if isinstance(opened, Mapping):
                return self._object(opened)
            rows = self._list(opened)
            return sorted(rows, key=_sort_key) if isinstance(value, set | frozenset) else rows
        finally:
            self._open.discard(id(value))

    def _object(self, items: Mapping[object, object]) -> JsonObject:
        plain: JsonObject = {}
        for key, item in items.items():
            if self._values_left <= 0:
                plain[_free_name(plain, CUT_MARK)] = f"{len(items) - len(plain)} more"
                break
            name = cut(self._key(key), MAX_KEY_CHARS)
            plain[_free_name(plain, name)] = self.read(item)
        return plain

    def _key(self, key: object) -> str:
        if isinstance(key, Enum):
            key = key.value
        return self._text(key if isinstance(key, str) else _key_text(key))

    def _list(self, items: Collection[object]) -> list[JsonValue]:
        plain: list[JsonValue] = []
        for item in items:
            if self._values_left <= 0:
                plain.append(f"{CUT_MARK} {len(items) - len(plain)} more")
                break
            plain.append(self.read(item))
        return plain

    def _text(self, text: str) -> str:
        limit = max(min(MAX_TEXT_CHARS, self._chars_left), len(CUT_MARK))
        short = cut(clean_text(text), limit)
        self._chars_left -= len(short)
        return short


def _opened(value: object) -> Collection[object] | None:
    """Return what is inside a value that has parts, None for one that has none."""
    if isinstance(value, Mapping):
        return value
    if isinstance(value, BaseModel):
        return dict(value)
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name, None) for field in fields(value)}
    if isinstance(value, list | tuple | set | frozenset):
        return value
    return None


def _int(value: int) -> int | str:
    plain = int.__int__(value)
    if abs(plain) <= _LARGEST_PLAIN_INT:
        return plain
    return str(plain) if plain.bit_length() < _LARGEST_DECIMAL_BITS else hex(plain)


def _float(value: float) -> float | str:
    plain = float.__float__(value)
    return plain if math.isfinite(plain) else str(plain)


def _bytes(value: bytes | bytearray) -> str:
    try:
        return bytes(value).decode("utf-8")
    except UnicodeDecodeError:
        return bytes(value).hex()


def _isoformat(value: datetime | date | time) -> str:
    return value.isoformat()


_SCALARS: tuple[tuple[tuple[type, ...], Callable[..., str | int | float]], ...] = (
    ((str,), str.__str__),
    ((int,), _int),
    ((float,), _float),
    ((datetime, date, time), _isoformat),
    ((bytes, bytearray), _bytes),
    ((Decimal, UUID, PurePath, timedelta), str),
)


def _key_text(key: object) -> str:
    plain = _Reader().read(key)
    return plain if isinstance(plain, str) else json.dumps(plain)


def _free_name(taken: Iterable[str], name: str) -> str:
    """Return the name, numbered where it is taken: 1 and "1" are two keys of a dict."""
    free, number = name, 1
    while free in taken:
        number += 1
        free = f"{name} ({number})"
    return free


def _sort_key(value: JsonValue) -> str:
    return json.dumps(value, sort_keys=True)

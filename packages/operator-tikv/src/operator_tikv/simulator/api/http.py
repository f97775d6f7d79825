"""Calls and answers of the API, exactly as PD serialises them, without any web framework."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from pydantic_core import to_json

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from operator_tikv.simulator.world import World

JSON_TYPE: Final = "application/json; charset=UTF-8"
OCTETS_TYPE: Final = "application/octet-stream"
TEXT_TYPE: Final = "text/plain; charset=utf-8"
_GO_ESCAPES: Final = (
    (b"&", rb"\u0026"),
    (b"<", rb"\u003c"),
    (b">", rb"\u003e"),
)


@dataclass(frozen=True, slots=True)
class Call:
    """One request: the path without the prefix, the query in order, the raw body.

    `node` names the process whose own port was asked, if that is known.
    """

    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    params: Mapping[str, str] = field(default_factory=dict)
    node: str = ""

    def values(self, name: str) -> list[str]:
        """All values of a query parameter."""
        return [value for key, value in self.query if key == name]

    def value(self, name: str, default: str = "") -> str:
        """The first value of a query parameter."""
        return next(iter(self.values(name)), default)

    def has(self, name: str) -> bool:
        """Whether a query parameter is present, with whatever value."""
        return any(key == name for key, _value in self.query)


@dataclass(frozen=True, slots=True)
class Answer:
    """One response."""

    status: int
    body: bytes
    content_type: str
    headers: tuple[tuple[str, str], ...] = ()


class BadInputError(Exception):
    """A path or a body that PD refuses before it looks at the cluster."""


class PdError(Exception):
    """An error of a handler: PD answers its text as a JSON string."""

    def __init__(self, status: int, text: str) -> None:
        """Keep both parts of the answer."""
        super().__init__(text)
        self.status = status
        self.text = text


def ok(value: object) -> Answer:
    """Answer 200 with indented JSON and a newline."""
    return indented(HTTPStatus.OK, value)


def indented(status: int, value: object) -> Answer:
    """Answer JSON the way most of PD's handlers do: two spaces and a trailing newline."""
    body = to_json(_plain(value), indent=2) + b"\n"
    return Answer(status, _escape(body), JSON_TYPE)


def octets(value: object) -> Answer:
    """Answer the way PD's region reads do: compact JSON, no newline, an octet-stream."""
    text = json.dumps(_plain(value), separators=(",", ":"), ensure_ascii=False)
    return Answer(HTTPStatus.OK, text.encode(), OCTETS_TYPE)


def text(status: int, body: str) -> Answer:
    """Answer plain text, as Go's `http.Error` does."""
    return Answer(status, f"{body}\n".encode(), TEXT_TYPE)


def bad_input(message: str) -> Answer:
    """Answer the object that PD gives for a bad id or a bad body."""
    body = indented(HTTPStatus.BAD_REQUEST, {"code": "input", "msg": message, "data": {}})
    return Answer(body.status, body.body, JSON_TYPE, (("TiDB-Error-Code", "input"),))


def path_id(call: Call, name: str = "id") -> int:
    """Read an unsigned id of the path.

    Raises:
        BadInputError: it is no such number.
    """
    raw = call.params[name]
    if not (raw.isascii() and raw.isdigit()) or int(raw) >= 1 << 64:
        raise BadInputError(f'strconv.ParseUint: parsing "{raw}": invalid syntax')
    return int(raw)


def body_object(call: Call) -> dict[str, object]:
    """Read the body as a JSON object.

    Raises:
        BadInputError: it is none.
    """
    value = body_json(call)
    if not isinstance(value, dict):
        raise BadInputError("json: cannot unmarshal value into Go value of type map")
    return value


def body_json(call: Call) -> object:
    """Read the body as JSON.

    Raises:
        BadInputError: it is none.
    """
    try:
        value: object = json.loads(call.body)
    except (ValueError, RecursionError) as error:
        raise BadInputError("unexpected end of JSON input") from error
    return value


def number(value: object) -> float | None:
    """The value if it is a JSON number, as Go's float64; text that looks like one is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value)


def whole_number(value: object) -> int | None:
    """The value if it is a JSON number, cut to an integer as PD does with its float64."""
    found = number(value)
    return int(found) if found is not None and abs(found) < float(1 << 63) else None


def _plain(value: object) -> object:
    """Print whole floats without a fraction, as Go does."""
    if isinstance(value, str | int):
        return value
    if isinstance(value, float):
        return int(value) if value.is_integer() else value
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def _escape(body: bytes) -> bytes:
    for plain, escaped in _GO_ESCAPES:
        body = body.replace(plain, escaped)
    return body


if TYPE_CHECKING:
    Handler = Callable[[World, Call], Answer]

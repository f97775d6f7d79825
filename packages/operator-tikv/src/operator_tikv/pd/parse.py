"""Pure readers of the texts and bodies in PD's answers."""

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final, TypeVar

from pydantic import BaseModel, JsonValue, ValidationError

from operator_tikv.pd.errors import PdAnswerError

_Model = TypeVar("_Model", bound=BaseModel)

_MESSAGE_LENGTH: Final = 400
_SIZE = re.compile(r"^\s*([0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)\s*([A-Za-z]*)\s*$")
_DURATION_LENGTH: Final = 80
_DURATION_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?|\.[0-9]+)(h|ms|m|s|us|µs|μs|ns)")
_UNIT_BYTES: Final[Mapping[str, int]] = {
    "": 1,
    "B": 1,
    **{f"{letter}IB": 1024**power for power, letter in enumerate("KMGTPE", start=1)},
    # The old texts ("102 GB") mean binary units too: PD has only ever counted in them.
    **{f"{letter}B": 1024**power for power, letter in enumerate("KMGTPE", start=1)},
}
_UNIT_SECONDS: Final[Mapping[str, float]] = {
    "h": 3600.0,
    "m": 60.0,
    "s": 1.0,
    "ms": 1e-3,
    "us": 1e-6,
    "µs": 1e-6,
    "μs": 1e-6,
    "ns": 1e-9,
}


def size_bytes(value: object) -> object:
    """Turn a size text of PD (`1.465TiB`, `20 GiB`, `102 GB`, `0B`) into bytes.

    Raises:
        ValueError: the text is no size.
    """
    if not isinstance(value, str):
        return value
    match = _SIZE.match(value)
    unit = _UNIT_BYTES.get(match[2].upper()) if match else None
    size = float(match[1]) * unit if match and unit else math.inf
    if math.isinf(size):
        raise ValueError(f"{shorten(value)!r} is no size")
    return round(size)


def duration_seconds(value: object) -> object:
    """Turn a Go duration (`30m0s`, `1h0m0.5s`, `10ms`) into seconds.

    Raises:
        ValueError: the text is no duration.
    """
    if not isinstance(value, str):
        return value
    text = value.strip()
    sign, rest = (-1.0, text[1:]) if text.startswith("-") else (1.0, text)
    if rest == "0":
        return 0.0
    # A long text that is none would take time that grows with the square of its length.
    parts = _DURATION_PART.findall(rest) if len(rest) <= _DURATION_LENGTH else []
    if not parts or "".join(number + unit for number, unit in parts) != rest:
        raise ValueError(f"{shorten(value)!r} is no duration")
    seconds = sign * sum(float(number) * _UNIT_SECONDS[unit] for number, unit in parts)
    if math.isinf(seconds):
        raise ValueError(f"{shorten(value)!r} is no duration")
    return seconds


def moment_of_nanoseconds(nanoseconds: int) -> datetime | None:
    """Turn Unix nanoseconds into a moment; None for zero and for what is no time."""
    if nanoseconds <= 0:
        return None
    try:
        return datetime.fromtimestamp(0, UTC) + timedelta(microseconds=nanoseconds // 1000)
    except OverflowError:
        return None


def moment_of_http_date(text: str | None) -> datetime | None:
    """Read an HTTP `Date` header; None where there is none that can be read."""
    try:
        return parsedate_to_datetime(text).astimezone(UTC) if text else None
    except (TypeError, ValueError, OverflowError):
        return None


_ID: Final = re.compile(r"[0-9]{1,20}")


def ids_of(texts: Iterable[str]) -> Iterator[int]:
    """Yield the ids among some texts; PD's own have at most twenty digits."""
    yield from (int(text) for text in texts if _ID.fullmatch(text))


def shorten(text: str) -> str:
    """Make text from a cluster fit for a message: one line of printable letters, not long."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= _MESSAGE_LENGTH else line[: _MESSAGE_LENGTH - 1] + "…"


def decode_json(body: bytes) -> JsonValue:
    """Decode a body whatever its `Content-Type` says.

    Letters that no database keeps (a zero, half of a pair) are replaced.

    Raises:
        PdAnswerError: the body is no JSON.
    """
    try:
        value: JsonValue = json.loads(body, parse_constant=_no_constant, parse_float=_finite)
        return _kept(value) if _UNKEPT_ESCAPE.search(body) else value
    except (ValueError, RecursionError) as error:
        raise PdAnswerError(
            f"PD's answer is no JSON: {shorten(body[:200].decode(errors='replace'))!r}. "
            "Check that the address is PD's client URL and not a proxy or another service."
        ) from error


def reason_of(body: bytes) -> str:
    """Return the reason in the body of an error: a JSON string, an object, or plain text.

    A scheduler's answer that PD forwards is quoted twice; it is unquoted twice.
    """
    text = body.decode(errors="replace").strip()
    for _ in range(3):
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            break
        if isinstance(value, dict):
            value = value.get("msg") or value.get("error") or value
        if not isinstance(value, str):
            break
        text = value.strip()
    return shorten(text)


def fit(model: type[_Model], value: JsonValue, what: str) -> _Model:
    """Fit a decoded value into a type.

    Args:
        model: the type to make.
        value: the decoded JSON.
        what: what was asked for, for the message (`GET /stores`).

    Raises:
        PdAnswerError: the value has another shape.
    """
    try:
        return model.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "the whole answer"
        raise PdAnswerError(
            f"PD's answer to {what} has an unknown shape: {shorten(place)}: "
            f"{shorten(first['msg'])} ({error.error_count()} faults)."
        ) from error


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON number")


def _finite(text: str) -> float:
    number = float(text)
    return _no_constant(text) if math.isinf(number) else number


_UNKEPT_ESCAPE: Final = re.compile(rb"\\u(0000|[dD][89a-fA-F])|\xff\xfe|\xfe\xff|\x00")
"""An escape of such a letter, or a body in another encoding than UTF-8."""

_UNKEPT: Final = re.compile("[\x00\ud800-\udfff]")


def _kept(value: JsonValue) -> JsonValue:
    if isinstance(value, str):
        return _UNKEPT.sub("�", value)
    if isinstance(value, list):
        return [_kept(item) for item in value]
    if isinstance(value, dict):
        return {_UNKEPT.sub("�", key): _kept(item) for key, item in value.items()}
    return value

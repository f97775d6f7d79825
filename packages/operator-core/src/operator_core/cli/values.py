"""Values of parameters as people write them: text, parsed by the type that is asked for.

What cannot be parsed stays text: the validation then tells all faults at once.
"""

import json
import re
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from pydantic import JsonValue

from operator_core.actions.types import ParamDef
from operator_core.clock import as_utc
from operator_core.errors import RequestError
from operator_core.types import JsonObject

_BOOLS = {"true": True, "yes": True, "on": True, "1": True}
_BOOLS |= {"false": False, "no": False, "off": False, "0": False}
_INT = re.compile(r"[+-]?[0-9]{1,30}")
_FLOAT = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,4})?")


_DURATION = re.compile(r"([0-9]{1,9})([smhd])")
_UNIT_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_LONGEST = timedelta(days=366)


def not_before(
    later: str | None, at: str | None, now: datetime, *, options: tuple[str, str] = ("--in", "--at")
) -> datetime | None:
    """Return the moment before which something is not to be done; None: at once.

    Args:
        later: a duration from now, such as ``5m``.
        at: a moment in ISO-8601; without a zone it is local time.
        now: the present moment.
        options: what the two are called.

    Raises:
        RequestError: both are given, one cannot be read, or it lies in the past or too far off.
    """
    if later is not None and at is not None:
        raise RequestError(f"Give {options[0]} or {options[1]}, not both.")
    due = None if later is None else now + min(duration(later, options[0]), 2 * _LONGEST)
    if at is not None:
        due = moment(at, options[1])
    if due is not None and not now <= due <= now + _LONGEST:
        raise RequestError(f"{options[0]} and {options[1]} must lie in the next 366 days.")
    return due


def duration(text: str, option: str) -> timedelta:
    """Return a length of time, such as ``5m`` or ``90d``, that an option was given.

    Raises:
        RequestError: it cannot be read.
    """
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise RequestError(f"{option} {text!r} must be a number with s, m, h or d, such as 5m.")
    return timedelta(seconds=int(match[1]) * _UNIT_SECONDS[match[2]])


def moment(text: str, option: str) -> datetime:
    """Return a time that an option was given; without a zone it is local.

    Raises:
        RequestError: it cannot be read.
    """
    try:
        return as_utc(datetime.fromisoformat(text.strip()))
    except (ValueError, OverflowError) as error:
        raise RequestError(f"{option} {text!r} must be a time such as 2031-05-04T03:00.") from error


def parsed(param: ParamDef, text: str) -> JsonValue:
    """Return the value that a text means for a parameter, or the text itself."""
    if param.type == "int" and _INT.fullmatch(text):
        return int(text)
    if param.type == "float" and _FLOAT.fullmatch(text):
        return float(text)
    if param.type == "bool":
        return _BOOLS.get(text.lower(), text)
    if param.type in {"list", "object"}:
        return _json(text)
    return text


def _json(text: str) -> JsonValue:
    try:
        value: JsonValue = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return value


def parameters(
    given: Iterable[str], as_json: str | None, known: Mapping[str, ParamDef]
) -> JsonObject:
    """Return the arguments of a call.

    Args:
        given: texts of the form NAME=VALUE.
        as_json: a JSON object with more of them.
        known: the parameters of the action.

    Raises:
        RequestError: a text has no ``=``, a name is given twice, or the JSON is no object.
    """
    values = {} if as_json is None else _object(as_json)
    for text in given:
        name, sign, value = text.partition("=")
        if not sign or not name.strip():
            raise RequestError(f"--param {text!r} must have the form NAME=VALUE.")
        name = name.strip()
        if name in values:
            raise RequestError(f"The parameter {name!r} is given twice.")
        values[name] = parsed(known[name], value) if name in known else value
    return values


def _object(text: str) -> JsonObject:
    try:
        value = json.loads(text, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deep" if isinstance(error, RecursionError) else str(error)
        raise RequestError(f"--params-json is no JSON: {reason}") from error
    if not isinstance(value, dict):
        raise RequestError(f"--params-json must be an object, not {type(value).__name__}.")
    return value


def _unique(pairs: list[tuple[str, JsonValue]]) -> JsonObject:
    found: JsonObject = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"the name {name!r} stands twice")
        found[name] = value
    return found

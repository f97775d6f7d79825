"""Checks the parameters of a call against the action's definition, and tells all faults at once.

Whatever comes in, `ValidationError` is the only error that comes out: the input may be a
model's answer or a file that somebody wrote by hand.
"""

import math
import re
from string import Formatter
from typing import Any, cast

from pydantic import JsonValue

from operator_core.actions.types import WHOLE_SUBJECT, ActionDefinition, ParamDef
from operator_core.errors import ValidationError
from operator_core.types import JsonObject

__all__ = ["ValidationError", "definition_faults", "same_json", "validate_action_params"]

MAX_DEPTH = 20
MAX_VALUES = 10_000
MAX_SHOWN_FAULTS = 20
MAX_SHOWN_CHARS = 100
_PLACE = re.compile(r"\{(\w+)\}")
# Ids and revisions are 64 bits wide, signed or not; nothing behind a subject takes more.
_SMALLEST_INT, _LARGEST_INT = -(2**63), 2**64 - 1
_ONLY_TEXT = frozenset({str})
_TYPES: dict[str, type] = {
    "int": int,
    "float": float,
    "str": str,
    "bool": bool,
    "list": list,
    "object": dict,
}


def validate_action_params(definition: ActionDefinition, parameters: JsonObject) -> JsonObject:
    """Return a new dict of the parameters, checked, with defaults filled in.

    ``None`` means "not given". A whole number is accepted where a float is asked for and
    stays as it was given. The answer shares nothing with the input.

    Args:
        definition: the action that is to be called.
        parameters: the arguments by name; anything that is no dict is a fault.

    Raises:
        ValidationError: something does not fit; it carries every fault that was found.
    """
    faults: list[str] = []
    given, wanted = _named_values(parameters, faults), definition.parameters
    faults += _unknown_names(wanted, given)
    accepted: JsonObject = {}
    for name, param in wanted.items():
        raw = given.get(name)
        if raw is None and param.required:
            faults.append(f"{name}: is missing (a required {param.type})")
            continue
        plain, found = _checked(name, param, param.default if raw is None else raw)
        faults += found
        if plain is not None:
            accepted[name] = plain
    if faults:
        raise ValidationError(definition.name, faults)
    return accepted


def definition_faults(definition: ActionDefinition) -> list[str]:
    """Return what is wrong with a definition itself: limits nothing checks, bad defaults."""
    faults: list[str] = []
    for name, param in definition.parameters.items():
        ranged = param.minimum is not None or param.maximum is not None
        if ranged and param.type not in {"int", "float"}:
            faults.append(f"{name}: minimum and maximum are for numbers, not for {param.type}")
        if param.pattern is not None and param.type != "str":
            faults.append(f"{name}: a pattern is for str, not for {param.type}")
        if param.default is not None:
            faults += [f"default of {text}" for text in _checked(name, param, param.default)[1]]
    return faults + _place_faults(definition) + _effect_faults(definition)


def _place_faults(definition: ActionDefinition) -> list[str]:
    """A target, a fact and a change name only parameters that are there."""
    told = {
        "target_parameters": set(definition.target_parameters) - {*WHOLE_SUBJECT},
        "facts": {name for path in definition.facts for name in _PLACE.findall(path)},
        "changes": {name for path in definition.changes for name in _PLACE.findall(path)},
    }
    return [
        f"its {what} name {name!r}, which is no parameter"
        for what, names in told.items()
        for name in sorted(names - definition.parameters.keys())
    ]


def _effect_faults(definition: ActionDefinition) -> list[str]:
    """A temporary effect has a name that a call can fill in, and somebody who undoes it."""
    if definition.temporary_effect is None:
        return []
    filled = {name for _, name, _, _ in Formatter().parse(definition.temporary_effect) if name}
    unknown = sorted(filled - definition.parameters.keys())
    faults = [f"its temporary effect names {name!r}, which is no parameter" for name in unknown]
    if definition.inverse is None and definition.restored_by is None:
        faults.append("its temporary effect has neither inverse nor restored_by")
    return faults


def same_json(left: object, right: object) -> bool:
    """Return whether two JSON values are equal; a bool never equals a number."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, dict) and isinstance(right, dict):
        same_keys = left.keys() == right.keys()
        return same_keys and all(same_json(value, right[key]) for key, value in left.items())
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same_json, left, right))
    return bool(left == right)


def _is(value: object, *types: type) -> bool:
    """Say whether a value is of a type, without asking the value itself (it may lie)."""
    return issubclass(type(value), types)


def _named_values(parameters: object, faults: list[str]) -> dict[str, object]:
    if type(parameters) is dict and _ONLY_TEXT.issuperset(map(type, parameters)):
        return parameters  # as nearly all are
    if not _is(parameters, dict):
        faults.append(f"parameters must be an object, not {type(parameters).__name__}")
        return {}
    named: dict[str, object] = {}
    for key, value in dict.items(cast("dict[object, object]", parameters)):
        if _is(key, str):
            named[str.__str__(cast("str", key))] = value
        else:
            faults.append(f"a parameter's name must be str, not {type(key).__name__}")
    return named


def _unknown_names(wanted: dict[str, ParamDef], given: dict[str, object]) -> list[str]:
    if given.keys() <= wanted.keys():
        return []
    unknown = [name for name in given if name not in wanted]
    known = ", ".join(wanted) or "none"
    return [f"{_shown(name)}: unknown parameter (known: {known})" for name in unknown]


def _checked(name: str, param: ParamDef, raw: object) -> tuple[JsonValue, list[str]]:
    """Return the plain JSON copy of a value and what is wrong with it."""
    if raw is None:
        return None, []
    if type(raw) is int and _SMALLEST_INT <= raw <= _LARGEST_INT:  # as most ids of a cluster are
        return raw, _misfits(name, param, raw)
    copier = _Copier()
    plain = copier.copy(raw, name)
    return plain, copier.shown_faults() or _misfits(name, param, plain)


def _misfits(name: str, param: ParamDef, value: JsonValue) -> list[str]:
    """Return why a plain JSON value does not fit its definition."""
    wanted = param.__dict__  # to ask the model for each costs several times as much
    if type(value) is not _TYPES[wanted["type"]] and not _has_type(param, value):
        kind = "null" if value is None else _kind_of(value)
        return [f"{name}: must be {param.type}, not {kind} {_shown(value)}"]
    faults: list[str] = []
    enum, minimum, maximum = wanted["enum"], wanted["minimum"], wanted["maximum"]
    if enum is not None and not any(same_json(value, one) for one in enum):
        faults.append(f"{name}: must be one of {_shown(enum)}, not {_shown(value)}")
    if isinstance(value, int | float):
        if minimum is not None and value < minimum:
            faults.append(f"{name}: must be at least {minimum:g}, not {_shown(value)}")
        if maximum is not None and value > maximum:
            faults.append(f"{name}: must be at most {maximum:g}, not {_shown(value)}")
    pattern = wanted["pattern"] if isinstance(value, str) else None
    if pattern is not None and not re.fullmatch(pattern, str(value)):
        faults.append(f"{name}: must match {pattern!r}, not {_shown(value)}")
    return faults


def _has_type(param: ParamDef, value: JsonValue) -> bool:
    if isinstance(value, bool):
        return param.type == "bool"
    if isinstance(value, int) and param.type == "float":
        return True
    return isinstance(value, _TYPES[param.type])


def _kind_of(value: JsonValue) -> str:
    return next(name for name, kind in _TYPES.items() if type(value) is kind)


def _shown(value: object) -> str:
    """Return a plain value as short text for a message."""
    text = repr(value)
    return text if len(text) <= MAX_SHOWN_CHARS else text[: MAX_SHOWN_CHARS - 1] + "…"


class _Copier:
    """Copies a value into plain JSON, and notes every place where it is none.

    It calls no method that a value could have overridden, and stops at cycles, at great
    depth and at great size.
    """

    def __init__(self) -> None:
        self.faults: list[str] = []
        self._values = 0
        self._open: set[int] = set()

    def shown_faults(self) -> list[str]:
        """Return the faults, the many of a long list cut short."""
        more = len(self.faults) - MAX_SHOWN_FAULTS
        return self.faults[:MAX_SHOWN_FAULTS] + ([f"and {more} more"] if more > 0 else [])

    def copy(self, value: object, path: str) -> JsonValue:
        """Return the plain copy; None where the value is no JSON."""
        self._values += 1
        if self._values > MAX_VALUES:
            if self._values == MAX_VALUES + 1:
                self.faults.append(f"{path}: more than {MAX_VALUES} values")
            return None
        if _is(value, dict, list):
            return self._container(value, path)
        return self._scalar(value, path)

    def _scalar(self, value: object, path: str) -> JsonValue:
        kind = type(value)
        if value is None or kind is bool:
            return cast("bool | None", value)
        if issubclass(kind, str):
            return self._text(str.__str__(cast("str", value)), path)
        if issubclass(kind, int):
            return self._int(int.__int__(cast("int", value)), path)
        if issubclass(kind, float):
            return self._float(float.__float__(cast("float", value)), path)
        self.faults.append(f"{path}: {kind.__name__} is no JSON value")
        return None

    def _text(self, text: str, path: str) -> str | None:
        if text.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in text):
            return text
        self.faults.append(f"{path}: is no valid Unicode text")
        return None

    def _int(self, number: int, path: str) -> int | None:
        if _SMALLEST_INT <= number <= _LARGEST_INT:
            return number
        self.faults.append(f"{path}: a whole number must fit into 64 bits")
        return None

    def _float(self, number: float, path: str) -> float | None:
        if math.isfinite(number):
            return number
        self.faults.append(f"{path}: must be a finite number, not {number}")
        return None

    def _container(self, value: object, path: str) -> JsonValue:
        if id(value) in self._open or len(self._open) >= MAX_DEPTH:
            why = "contains itself" if id(value) in self._open else "is nested too deep"
            self.faults.append(f"{path}: {why}")
            return None
        self._open.add(id(value))
        try:
            if _is(value, list):
                return self._list(cast("list[object]", value), path)
            return self._object(cast("dict[object, object]", value), path)
        finally:
            self._open.discard(id(value))

    def _list(self, items: list[object], path: str) -> JsonValue:
        rows = enumerate(list.__iter__(items))
        return [self.copy(item, f"{path}[{index}]") for index, item in rows]

    def _object(self, items: dict[object, object], path: str) -> JsonValue:
        copied: dict[str, Any] = {}
        for key, item in dict.items(items):
            if not _is(key, str):
                self.faults.append(f"{path}: a key must be str, not {type(key).__name__}")
                continue
            name = self._text(str.__str__(cast("str", key)), path)
            if name is not None:
                copied[name] = self.copy(item, f"{path}.{_shown(name)[1:-1]}")
        return copied

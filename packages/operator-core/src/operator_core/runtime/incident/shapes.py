"""What is no row of a ledger in the tables of an archive, each in words; pure.

Whoever makes every hash of a file anew can write anything into it. What a column may hold is read
from the ledger's own schema; what the texts in it may say, from the models that read them.
"""

import json
import math
import re
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, NamedTuple, NoReturn

from pydantic import ValidationError

from operator_core.actions.policy import load
from operator_core.actions.policy.request import PolicyRequest
from operator_core.actions.rehearsal import Rehearsal
from operator_core.clock import from_text
from operator_core.db import approvals, decisions, diagnoses, rows
from operator_core.db.engine import Row
from operator_core.db.exports import ATTEMPTS, WATCHING, IncidentRows
from operator_core.db.schema import ACTIONS_SCHEMA_SQL, SCHEMA_SQL
from operator_core.errors import NotFoundError, OperatorError
from operator_core.runtime.incident.told import (
    require_bound,
    require_grounds,
    require_prediction,
    require_request,
    require_told,
)

_TABLES = {
    ATTEMPTS: "decisions",
    WATCHING: "audit_log",
    "comments": "ticket_comments",
    "effects": "effect_leases",
    "events": "audit_log",
    "group": "tickets",
    "group_diagnoses": "diagnoses",
    "proposals": "action_proposals",
    "records": "action_records",
    "switches": "audit_log",
}
"""How the ledger calls a table, where an archive calls it otherwise."""

_PARTIAL = {
    ATTEMPTS: frozenset({"id", "proposal_id", "at", "subject", "action_name", "target", "request"})
}
"""Tables of which an archive has some columns only."""

_TABLE = re.compile(r"CREATE TABLE IF NOT EXISTS (\w+) \((.*?)\n\);", re.DOTALL)
_COLUMN = re.compile(
    r"(?:^ +|, )(\w+) (TEXT|INTEGER|REAL)( NOT NULL| PRIMARY KEY)?( DEFAULT)?", re.MULTILINE
)
_CHOICE = re.compile(r"CHECK \((\w+) IN\s*\(([^)]*)\)")
_TIME = re.compile(r"(\w+_)?(at|since)|timestamp|until")
_OBJECTS = frozenset(
    {
        "approved_steps",
        "binds",
        "calls",
        "capacity",
        "compensation",
        "content",
        "event_data",
        "facts",
        "measured",
        "metric_snapshot",
        "parameters",
        "prediction",
        "request",
        "result_data",
        "revisions",
        "settings",
        "undo_parameters",
    }
)
"""Columns whose text is a JSON object."""

_LISTS = frozenset({"declared", "proposals", "reasons"})
"""Columns whose text is a JSON list."""

_INTEGER_BITS = 63

NO_ROW = (
    ArithmeticError,
    AttributeError,
    LookupError,
    OperatorError,
    RecursionError,
    TypeError,
    ValueError,
)
"""What reading a row raises that is none."""


class _Column(NamedTuple):
    """A column of the ledger: its kind, whether it is always there, and what may stand in it."""

    kind: str
    needed: bool
    filled: bool
    choices: frozenset[str]


def faults(incident: IncidentRows) -> Iterator[str]:
    """Yield what is no row, with its table, its number and what is wrong.

    Args:
        incident: the tables of an archive as they were read, whoever wrote them.
    """
    for table, found in incident.items():
        for place, row in enumerate(found):
            wrong = next(_wrong_columns(table, row), None) or _unreadable(table, row)
            if wrong:
                number = row.get("id") if type(row.get("id")) is int else f"at place {place + 1}"
                yield f"{table}, row {number}: {wrong}"


def in_words(error: Exception) -> str:
    """Return why a row cannot be read, in words and in one line.

    Args:
        error: one of `NO_ROW`.
    """
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(str(one) for one in first["loc"])
        return f"{place}: {first['msg']}" if place else str(first["msg"])
    if isinstance(error, RecursionError):
        return "it is nested without end"
    if isinstance(error, NotFoundError):
        return f"{error.kind.lower()} {error.key!r} is not there"
    if isinstance(error, UnicodeError):
        return "it holds half a sign"
    if isinstance(error, KeyError):
        return f"{error} is not there"
    return str(error) or type(error).__name__


# --- columns --------------------------------------------------------------------------


def _wrong_columns(table: str, row: Row) -> Iterator[str]:
    for name, column in _columns(table).items():
        if name not in row:
            if column.needed:
                yield f"{name} is missing"
        elif row[name] is None:
            if column.filled:
                yield f"{name} is empty"
        elif wrong := _wrong_value(name, column, row[name]):
            yield f"{name} {wrong}"


@cache
def _columns(table: str) -> dict[str, _Column]:
    """Return the columns of a table of an archive, by the ledger's schema."""
    texts = dict(_TABLE.findall(SCHEMA_SQL) + _TABLE.findall(ACTIONS_SCHEMA_SQL))
    text = texts[_TABLES.get(table, table)]
    words = {
        name: frozenset(one.strip("' \n") for one in listed.split(","))
        for name, listed in _CHOICE.findall(text)
    }
    kept = _PARTIAL.get(table)
    # What was added later has a default, and is not in the files of older versions.
    return {
        name: _Column(
            kind, bool(filled) and not default, bool(filled), words.get(name, frozenset())
        )
        for name, kind, filled, default in _COLUMN.findall(text)
        if kept is None or name in kept
    }


def _wrong_value(name: str, column: _Column, value: object) -> str:
    """Return what is wrong with the value of a column, or nothing."""
    if column.kind == "INTEGER":
        wrong = _wrong_number(value)
    elif column.kind == "REAL":
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        wrong = "" if is_number and math.isfinite(value) else "is no number"  # type: ignore[arg-type] # just seen
    else:
        wrong = _wrong_text(name, value)
    if not wrong and column.choices and str(value) not in column.choices:
        return f"is none of {', '.join(sorted(column.choices))}"
    return wrong


def _wrong_number(value: object) -> str:
    if not isinstance(value, int) or isinstance(value, bool):
        return "is no whole number"
    return "" if value.bit_length() <= _INTEGER_BITS else "is too large a number"


def _wrong_text(name: str, value: object) -> str:
    if not isinstance(value, str):
        return "is no text"
    try:
        if _TIME.fullmatch(name):
            from_text(value)
        elif name in _OBJECTS:
            return "" if isinstance(_parsed(value), dict) else "is no JSON object"
        elif name in _LISTS:
            return "" if isinstance(_parsed(value), list) else "is no JSON list"
    except (ArithmeticError, RecursionError, ValueError):
        return "is no time" if _TIME.fullmatch(name) else "is no JSON"
    return ""


def _parsed(text: str) -> object:
    return json.loads(text, parse_constant=_refused)


def _refused(number: str) -> NoReturn:
    """Refuse NaN and the infinities, which no ledger stores."""
    raise ValueError(number)


# --- what stands in them --------------------------------------------------------------


def _unreadable(table: str, row: Row) -> str:
    """Return why the models that a row is read into do not take it, or nothing."""
    read = _READ.get(table)
    try:
        if read is not None:
            read(row)
    except NO_ROW as error:
        return in_words(error)
    return ""


def _approval(row: Row) -> object:
    if row["digest"] is None:
        return None
    require_bound(row)
    return approvals.word_of(row, 0)


def _attempt(row: Row) -> object:
    require_request(row["request"])
    return PolicyRequest.of_json(json.loads(row["request"]))


def _decision(row: Row) -> object:
    require_grounds(row)
    return _attempt(row), decisions.of_row(row)


def _rehearsal(row: Row) -> object:
    require_prediction(row)
    return Rehearsal.of_json(json.loads(row["prediction"]))


_READ: dict[str, Callable[[Row], Any]] = {
    ATTEMPTS: _attempt,
    WATCHING: require_told,
    "approvals": _approval,
    "decisions": _decision,
    "diagnoses": diagnoses.of_row,
    "events": require_told,
    "group": rows.ticket,
    "group_diagnoses": diagnoses.of_row,
    "policies": lambda row: load(row["text"]),
    "proposals": rows.proposal,
    "records": rows.record,
    "rehearsals": _rehearsal,
    "rule_settings": rows.rule_settings,
    "switches": require_told,
    "tickets": rows.ticket,
    "workflows": rows.workflow,
}
"""What reads a row of a table. Looks are read where something rests on them: they are large."""

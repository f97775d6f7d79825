"""Named statements on a PostgreSQL connection."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import psycopg
from psycopg.rows import dict_row

from operator_core.db.codec import encoder
from operator_core.db.engine import Row, Value
from operator_core.db.postgres.troubles import of_statement
from operator_core.db.rows import storable
from operator_core.db.secrets import cleaned, cleaned_each, foreign
from operator_core.db.statements import statements
from operator_core.errors import RequestError

NAME = "postgres"

_NAMED = re.compile(r"'(?:[^']|'')*'|--[^\n]*|::\w+|:(\w+)( IS (?:NOT )?NULL\b)?")

_ENCODE = encoder(separators=(",", ":"), allow_nan=True)
_NUL = "\\u0000"

Connection = psycopg.Connection[Any]


@dataclass(frozen=True)
class Statement:
    """A statement in PostgreSQL's form: ``$1``, and which parameter stands there."""

    text: str
    names: tuple[str, ...]


def numbered(text: str) -> Statement:
    """Turn named parameters into numbered ones.

    Where one is only asked whether it is there, it gets a number of its own, as a text: the
    server could not tell its type from that.
    """
    places: dict[tuple[str, bool], int] = {}

    def place(match: re.Match[str]) -> str:
        name, test = match[1], match[2] or ""
        if not name:
            return match[0]
        number = places.setdefault((name, bool(test)), len(places) + 1)
        return f"${number}{f'::text{test}' if test else ''}"

    return Statement(_NAMED.sub(place, text), tuple(name for name, _ in places))


@cache
def plain_statements() -> Mapping[str, Statement]:
    """Return the statements as they stand in the files."""
    return {name: numbered(text) for name, text in statements(NAME).items()}


class PostgresTx:
    """Named statements on one connection, for transactions that only read."""

    writer = ""

    def __init__(self, connection: Connection) -> None:
        """Take the connection."""
        self._cursor = connection.cursor(row_factory=dict_row)
        self._sql = plain_statements()

    def one(self, name: str, /, **params: Value) -> Row | None:
        """Run a named statement and return its first row, if any."""
        rows = self.all(name, **params)
        return rows[0] if rows else None

    def all(self, name: str, /, **params: Value) -> list[Row]:
        """Run a named statement and return all its rows."""
        self._execute(name, params)
        return self._cursor.fetchall()

    def run(self, name: str, /, **params: Value) -> int:
        """Run a named statement and return how many rows it changed."""
        self._execute(name, params)
        return self._cursor.rowcount

    def each(self, name: str, params: Sequence[Mapping[str, Value]], /) -> int:
        """Run a named change for each set of parameters; return how many rows it changed."""
        if f"{name}.each" in self._sql:
            self._execute_each(name, _clean(params))
            return self._cursor.rowcount
        changed = 0
        for one in params:
            self._execute(name, one)
            changed += self._cursor.rowcount
        return changed

    def insert(self, name: str, params: Sequence[Mapping[str, Value]], /) -> list[int]:
        """Run a named insert for each set of parameters; return the new rows' ids."""
        self._execute_each(name, _clean(params))
        return sorted(row["id"] for row in self._cursor.fetchall())

    def audit_head(self) -> tuple[int, str] | None:
        """Return nothing: a transaction that only reads has no chain."""
        return None

    def append_audit(self, rows: Sequence[tuple[Value, ...]], /) -> None:
        """Take nothing: a transaction that only reads changes nothing.

        Raises:
            RequestError: always, where there is something.
        """
        if rows:
            raise RequestError("A transaction that only reads cannot write to the audit.")

    def _execute_each(self, name: str, params: Sequence[Mapping[str, Value]]) -> None:
        """Run a statement once for all sets of parameters, which hold no secret."""
        text = _ENCODE(params)
        if _NUL in text:
            text = _ENCODE([_storable(one) for one in params])
        self._execute(f"{name}.each", {"items": text})

    def _execute(self, name: str, params: Mapping[str, Value]) -> None:
        statement = self._sql[name]
        try:
            clean = cleaned(params, foreign(statement.names))
            values = [_value(clean[key]) for key in statement.names]
            self._cursor.execute(statement.text, values, prepare=True)
        except psycopg.Error as error:
            told = of_statement(error)
            if told is None:
                raise
            raise told from error
        except UnicodeEncodeError as error:
            raise RequestError(f"A value cannot be stored: {error}.") from error


def _clean(params: Sequence[Mapping[str, Value]]) -> Sequence[Mapping[str, Value]]:
    return cleaned_each(params, foreign(tuple(params[0]))) if params else params


def _storable(params: Mapping[str, Value]) -> dict[str, Value]:
    return {name: storable(v) if isinstance(v, str) else v for name, v in params.items()}


def _value(value: Value) -> str | None:
    """Return a parameter as text without a type, so that the server takes the column's.

    A type for each number's size would make a statement several ones.
    """
    if value is None:
        return None
    if isinstance(value, str):
        return storable(value)
    return str(int(value) if isinstance(value, bool) else value)

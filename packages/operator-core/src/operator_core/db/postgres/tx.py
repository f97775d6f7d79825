"""Named statements on a PostgreSQL connection, and the locks that a change needs.

SQLite has one writer; here several processes write at once. So in a transaction that writes,
whatever is read to decide on is locked before the decision, in one order for everybody: the
switch, then a workflow, then its steps. The work itself says nothing of locks and so cannot
forget one.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import psycopg
from psycopg.rows import dict_row

from operator_core.db.engine import Row, Value
from operator_core.db.postgres.troubles import of_statement
from operator_core.db.statements import statements
from operator_core.errors import RequestError

NAME = "postgres"

_NAMED = re.compile(r"'(?:[^']|'')*'|--[^\n]*|::\w+|:(\w+)")

_LOCKED = "FOR NO KEY UPDATE"
_LOCKING = {
    "proposal.executing": _LOCKED,
    "proposal.get": _LOCKED,
    "proposal.not_started_of_ticket": f"{_LOCKED} OF p",
    "proposal.pending": _LOCKED,
    "proposal.waiting_retry": _LOCKED,
    "proposal.waiting_retry_of_ticket": f"{_LOCKED} OF p",
    "ticket.get": _LOCKED,
    "ticket.open_for_key": _LOCKED,
    "ticket.resolved_since": _LOCKED,
    "workflow.get": _LOCKED,
    "workflow.not_started_of_ticket": _LOCKED,
    "workflow.unfinished": _LOCKED,
}
"""What a reading statement is followed by in a transaction that writes."""

_CLAIMS_GO_ON = "safety.of_claim"
_REMEMBERED = 20_000

Connection = psycopg.Connection[Any]


@dataclass(frozen=True)
class Statement:
    """A statement in PostgreSQL's form: ``$1``, and which parameter stands there."""

    text: str
    names: tuple[str, ...]


def numbered(text: str) -> Statement:
    """Turn named parameters into numbered ones."""
    places: dict[str, int] = {}

    def place(match: re.Match[str]) -> str:
        name = match[1]
        return f"${places.setdefault(name, len(places) + 1)}" if name else match[0]

    return Statement(_NAMED.sub(place, text), tuple(places))


@cache
def _statements(*, locking: bool) -> Mapping[str, Statement]:
    endings = _LOCKING if locking else {}
    return {
        name: numbered(f"{text}\n{endings.get(name, '')}")
        for name, text in statements(NAME).items()
    }


class PostgresTx:
    """Named statements on one connection."""

    def __init__(self, connection: Connection, writer: str = "") -> None:
        """Take the connection and the name of its audit chain; without one it only reads."""
        self.writer = writer
        self._cursor = connection.cursor(row_factory=dict_row)
        self._sql = _statements(locking=bool(writer))
        self._held: set[tuple[str, Value]] = set()
        self._workflow_of: dict[Value, Value] = {}

    def one(self, name: str, /, **params: Value) -> Row | None:
        """Run a named statement and return its first row, if any."""
        rows = self.all(name, **params)
        return rows[0] if rows else None

    def all(self, name: str, /, **params: Value) -> list[Row]:
        """Run a named statement and return all its rows."""
        self._prepare(name, params)
        self._execute(name, params)
        rows = self._cursor.fetchall()
        if self.writer and name.startswith("proposal."):
            self._learn(rows)
        return rows

    def run(self, name: str, /, **params: Value) -> int:
        """Run a named statement and return how many rows it changed."""
        self._prepare(name, params)
        self._execute(name, params)
        return self._cursor.rowcount

    def forget_locks(self) -> None:
        """Note that a transaction, or a part of one, has ended and its locks with it."""
        self._held.clear()

    # --- locks ------------------------------------------------------------------------

    def _prepare(self, name: str, params: Mapping[str, Value]) -> None:
        """Take the locks that must be held before a statement runs."""
        if not self.writer:
            return
        kind = name.partition(".")[0]
        if kind == "proposal":
            self._hold_workflow(params)
        elif kind == "safety":
            self._hold("lock.claims_go_on" if name == _CLAIMS_GO_ON else "lock.no_claims")

    def _hold_workflow(self, params: Mapping[str, Value]) -> None:
        """Lock the workflow of a step before the step: all that change either do so."""
        workflow_id = params.get("workflow_id")
        proposal_id = params.get("id")
        if workflow_id is None and proposal_id is not None:
            if proposal_id not in self._workflow_of:
                return self._hold("lock.workflow_of", id=proposal_id)
            workflow_id = self._workflow_of[proposal_id]
        return None if workflow_id is None else self._hold("lock.workflow", id=workflow_id)

    def _hold(self, name: str, **params: Value) -> None:
        key = (name, params.get("id"))
        if key not in self._held:
            self._execute(name, params)
            self._held.add(key)

    def _learn(self, rows: list[Row]) -> None:
        """Remember the workflows of steps: a step never changes it."""
        if len(self._workflow_of) > _REMEMBERED:
            self._workflow_of.clear()
        for row in rows:
            if "workflow_id" in row:
                self._workflow_of[row["id"]] = row["workflow_id"]

    # --- running ----------------------------------------------------------------------

    def _execute(self, name: str, params: Mapping[str, Value]) -> None:
        statement = self._sql[name]
        try:
            values = [_value(params[key]) for key in statement.names]
            self._cursor.execute(statement.text, values, prepare=True)
        except psycopg.Error as error:
            told = of_statement(error)
            if told is None:
                raise
            raise told from error
        except UnicodeEncodeError as error:
            raise RequestError(f"A value cannot be stored: {error}.") from error


def _value(value: Value) -> str | None:
    """Return a parameter as text without a type, so that the server takes the column's.

    A type for each number's size would make a statement several ones. PostgreSQL stores no
    NUL in a text; clusters may send one.
    """
    if value is None:
        return None
    if isinstance(value, str):
        return value.replace("\0", "\N{REPLACEMENT CHARACTER}") if "\0" in value else value
    return str(int(value) if isinstance(value, bool) else value)

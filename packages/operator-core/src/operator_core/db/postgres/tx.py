"""Named statements on a PostgreSQL connection."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import repeat
from typing import LiteralString

import psycopg
from psycopg.pq import TransactionStatus

from operator_core.db.codec import encoder
from operator_core.db.engine import Row, Value
from operator_core.db.postgres.line import Answer, Connection, Line
from operator_core.db.postgres.troubles import of_statement
from operator_core.db.rows import storable
from operator_core.db.secrets import cleaned, cleaned_each, foreign
from operator_core.db.statements import alike, statements
from operator_core.errors import RequestError

NAME = "postgres"

_NAMED = re.compile(r"'(?:[^']|'')*'|--[^\n]*|::\w+|:(\w+)( IS (?:NOT )?NULL\b)?")

_ENCODE = encoder(separators=(",", ":"), allow_nan=True)
_NUL = "\\u0000"

WORTH_SENDING = 8
"""How many rows take the server longer than it takes both sides to send another message."""

Question = tuple[str, frozenset[tuple[str, Value]]]


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
        self._line = Line(connection)
        self._status = connection.info
        self._sql = plain_statements()
        self._expected: dict[Question, Answer] = {}

    # --- the life of a transaction ----------------------------------------------------

    def begin(self) -> None:
        """Note that a transaction begins: what an earlier one left unsaid is void."""
        self._line.forget()
        self._expected.clear()

    def command(self, text: LiteralString) -> Answer:
        """Let a command as BEGIN or COMMIT be sent with what comes next, or by `fetch`."""
        return self._line.command(text)

    def fetch(self) -> None:
        """Send what waits, and wait for the answers.

        Raises:
            psycopg.Error: a statement failed.
        """
        self._line.fetch()

    def is_failed(self) -> bool:
        """Return whether a statement failed, so that the server takes no other one."""
        return self._status.transaction_status == TransactionStatus.INERROR

    def leave(self) -> None:
        """End a transaction that only read, and do not wait for that.

        Raises:
            psycopg.Error: the connection is lost.
        """
        self.begin()
        if self._status.transaction_status != TransactionStatus.IDLE:
            self._line.leave("ROLLBACK")

    def give_up(self) -> None:
        """End the transaction without a trace, and forget what was not sent yet."""
        self._line.forget()
        self._expected.clear()
        if self._status.transaction_status != TransactionStatus.IDLE:
            self.command("ROLLBACK")
            self.fetch()

    # --- statements -------------------------------------------------------------------

    def one(self, name: str, /, **params: Value) -> Row | None:
        """Run a named statement and return its first row, if any."""
        rows = self.all(name, **params)
        return rows[0] if rows else None

    def all(self, name: str, /, **params: Value) -> list[Row]:
        """Run a named statement and return all its rows."""
        return self._ask(name, params).rows()

    def run(self, name: str, /, **params: Value) -> int:
        """Run a named statement and return how many rows it changed."""
        return self._ask(name, params).count

    def each(self, name: str, params: Sequence[Mapping[str, Value]], /) -> int:
        """Run a named change for each set of parameters; return how many rows it changed."""
        answers = self._say_each(name, _clean(params))
        self._fetch_told()
        return sum(answer.count for answer in answers)

    def start(self, name: str, params: Sequence[Mapping[str, Value]], /) -> Callable[[], int]:
        """Let the server begin a change for each set of parameters, and go on meanwhile.

        Returns:
            What waits for its end and returns how many rows it changed.
        """
        answers = self._say_each(name, _clean(params))
        self._send(len(params))

        def count() -> int:
            if any(answer.result is None for answer in answers):
                self._fetch_told()
            return sum(answer.count for answer in answers)

        return count

    def later(self, name: str, params: Sequence[Mapping[str, Value]], /) -> None:
        """Run a named change for each set of parameters, before the next answer or the end."""
        self._say_each(name, _clean(params))

    def expect(self, name: str, /, **params: Value) -> None:
        """Ask now what will be read, so that the answer comes along with the next one."""
        question = _question(name, params)
        if question not in self._expected:
            self._expected[question] = self._say(name, params)

    def insert(self, name: str, params: Sequence[Mapping[str, Value]], /) -> list[int]:
        """Run a named insert for each set of parameters; return the new rows' ids."""
        answer = self._say_inserts(name, ".each", params, repeat(None))
        self._fetch_told()
        return sorted(row["id"] for row in answer.rows())

    def expect_new(self, kind: str, count: int) -> None:
        """Take no notice: a transaction that only reads inserts nothing."""

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

    # --- what is sent -----------------------------------------------------------------

    def _send(self, row_count: int) -> None:
        """Let the server begin with what was said, where that is worth a message."""
        if row_count >= WORTH_SENDING:
            self._line.send()

    def _ask(self, name: str, params: Mapping[str, Value]) -> Answer:
        answer = self._expected.pop(_question(name, params), None) if self._expected else None
        if answer is None:
            answer = self._say(name, params)
        if answer.result is None:
            self._fetch_told()
        return answer

    def _fetch_told(self) -> None:
        try:
            self.fetch()
        except psycopg.Error as error:
            told = of_statement(error)
            if told is None:
                raise
            raise told from error

    def _say_each(self, name: str, params: Sequence[Mapping[str, Value]]) -> list[Answer]:
        """Let a change wait for each set of parameters; those of rows made alike share one."""
        each = f"{name}.each"
        if each in self._sql:
            return [self._say(each, one) for one in alike(params)]
        return [self._say(name, one) for one in params]

    def _say_inserts(
        self, name: str, form: str, params: Sequence[Mapping[str, Value]], ids: Iterable[int | None]
    ) -> Answer:
        """Let an insert wait in its form for many rows, each with its id; None: the next one."""
        names = self._sql[name].names
        made = zip(_clean(params), ids, strict=False)  # ids may go on for ever
        rows = [(new, *map(one.__getitem__, names)) for one, new in made]
        return self._say_rows(f"{name}{form}", rows)

    def _say_rows(self, name: str, rows: Sequence[tuple[Value, ...]]) -> Answer:
        """Let an insert of many rows wait, each with what it takes for one; they hold no secret."""
        text = _ENCODE(rows)
        if _NUL in text:
            text = _ENCODE([_storable(row) for row in rows])
        return self._say(name, {"items": text})

    def _say(self, name: str, params: Mapping[str, Value]) -> Answer:
        statement = self._sql[name]
        clean = cleaned(params, foreign(statement.names))
        try:
            values = [_value(clean[key]) for key in statement.names]
        except UnicodeEncodeError as error:
            raise RequestError(f"A value cannot be stored: {error}.") from error
        return self._line.say(statement.text, values)


def _question(name: str, params: Mapping[str, Value]) -> Question:
    return name, frozenset(params.items())


def _clean(params: Sequence[Mapping[str, Value]]) -> Sequence[Mapping[str, Value]]:
    return cleaned_each(params, foreign(tuple(params[0]))) if params else params


def _storable(row: tuple[Value, ...]) -> tuple[Value, ...]:
    return tuple(storable(one) if isinstance(one, str) else one for one in row)


def _value(value: Value) -> bytes | None:
    """Return a parameter as text without a type, so that the server takes the column's.

    A type for each number's size would make a statement several ones.
    """
    if value is None:
        return None
    if isinstance(value, str):
        return storable(value).encode()
    return str(int(value) if isinstance(value, bool) else value).encode()

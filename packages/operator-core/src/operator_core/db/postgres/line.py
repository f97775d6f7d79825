"""What is said over one connection: prepared statements, as many as possible in one message.

A driver's cursor costs the processor several times what a small statement does, and waits for
each answer. Here statements wait until an answer is needed and are sent together, through the
functions of libpq as psycopg has them. What takes the server its time is sent before that, so
that it works while the work goes on.
"""

import itertools
import select
from collections.abc import Sequence
from typing import Any, LiteralString

import psycopg
from psycopg.adapt import Transformer
from psycopg.errors import error_from_result
from psycopg.pq import ConnStatus, ExecStatus
from psycopg.pq.abc import PGresult

from operator_core.db.engine import Row

Connection = psycopg.Connection[Any]
Values = list[bytes | None]
"""A list, as psycopg before 3.3 sends no other sequence."""

_ENCODING = "utf-8"
_NUMBERS = itertools.count()
_RAN = (ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK)


class _Form:
    """A statement as the server knows it by its number, and how its rows are read."""

    __slots__ = ("_columns", "_loader", "is_prepared", "name", "text")

    def __init__(self, text: str, connection: Connection) -> None:
        self.text = text.encode(_ENCODING)
        self.name = b"operator_%d" % next(_NUMBERS)
        self.is_prepared = False
        self._columns: tuple[str, ...] | None = None
        self._loader = Transformer(connection)

    def rows(self, result: PGresult) -> list[Row]:
        """Return a result's rows; what they are like never changes for a prepared statement."""
        self._loader.set_pgresult(result, set_loaders=self._columns is None)
        if self._columns is None:
            names = (result.fname(place) or b"" for place in range(result.nfields))
            self._columns = tuple(name.decode(_ENCODING) for name in names)
        return self._loader.load_rows(0, result.ntuples, self._row)

    def _row(self, values: Sequence[Any]) -> Row:
        return dict(zip(self._columns or (), values, strict=True))


class Answer:
    """What the server says to one statement, once it was fetched."""

    __slots__ = ("command", "form", "result", "values")

    def __init__(self, form: _Form | None, values: Values, command: bytes = b"") -> None:
        """Take what is asked: a prepared statement with values, or a command."""
        self.form = form
        self.values = values
        self.command = command
        self.result: PGresult | None = None

    def rows(self) -> list[Row]:
        """Return the rows; none where the statement has not run."""
        return self.form.rows(self.result) if self.form and self.result else []

    @property
    def count(self) -> int:
        """How many rows there are, or were changed."""
        return 0 if self.result is None else self.result.command_tuples or 0

    @property
    def done(self) -> str:
        """What the server says it did, as ``COMMIT``; empty: nothing that is known."""
        said = None if self.result is None else self.result.command_status
        return "" if said is None else said.decode(_ENCODING)


class Line:
    """Says statements over a connection, which nobody else uses at the same time."""

    def __init__(self, connection: Connection) -> None:
        """Take the connection."""
        self._connection = connection
        self._server = connection.pgconn
        self._forms: dict[str, _Form] = {}
        self._waiting: list[Answer] = []
        self._sent: list[Answer] = []
        self._new: set[_Form] = set()
        self._unread: Answer | None = None
        self._readable, self._usable = select.poll(), select.poll()
        self._readable.register(connection.fileno(), select.POLLIN)
        self._usable.register(connection.fileno(), select.POLLIN | select.POLLOUT)

    def command(self, text: LiteralString) -> Answer:
        """Let a command as BEGIN wait for the next `fetch`; it is sent in full each time."""
        answer = Answer(None, [], text.encode(_ENCODING))
        self._waiting.append(answer)
        return answer

    def say(self, text: str, values: Values | None = None) -> Answer:
        """Let a statement wait for the next `fetch`.

        Args:
            text: the statement, with ``$1`` and so on.
            values: what stands there, as texts without a type.
        """
        form = self._forms.get(text)
        if form is None:
            form = _Form(text, self._connection)
            self._forms[text] = form
        answer = Answer(form, values or [])
        self._waiting.append(answer)
        return answer

    def forget(self) -> None:
        """Leave unsaid what waits; what was sent before its answer is needed runs to its end."""
        self._waiting.clear()
        if self._sent:
            self._end_message()

    def send(self) -> None:
        """Send what waits; the answers come with the next `fetch`.

        Raises:
            psycopg.Error: the line is dead.
        """
        if self._waiting:
            self._send()
            self._flush()

    def leave(self, text: LiteralString) -> None:
        """Send a command that ends what was said; its answer comes with the next `fetch`.

        Where nothing was said since the last one there is nothing to end.

        Raises:
            psycopg.Error: the line is dead.
        """
        if self._unread is not None:
            return
        self._unread = self.command(text)
        self._send()
        self._sent.clear()
        self._server.pipeline_sync()
        self._flush()

    def fetch(self) -> None:
        """Send what waits, and wait for the answers.

        Raises:
            psycopg.Error: a statement failed, and none after it was run; or the line is dead.
        """
        if self._waiting:
            self._send()
        if not self._sent:
            return
        error = self._end_message()
        if error is not None:
            raise error

    # --- to the server ----------------------------------------------------------------

    def _send(self) -> None:
        asked, self._waiting = self._waiting, []
        if not self._sent:
            self._server.enter_pipeline_mode()
        self._sent += asked
        for one in asked:
            form = one.form
            if form is None:
                self._server.send_query_params(one.command, None)
                continue
            if not form.is_prepared and form not in self._new:
                self._server.send_prepare(form.name, form.text)
                self._new.add(form)
            self._server.send_query_prepared(form.name, one.values)

    def _flush(self) -> None:
        while self._server.flush():
            self._usable.poll()
            self._server.consume_input()

    def _end_message(self) -> psycopg.Error | None:
        """End what was sent, and take the answers; return the first error."""
        asked, self._sent = self._sent, []
        new, self._new = self._new, set()
        self._server.pipeline_sync()
        self._flush()
        left, self._unread = self._unread, None
        error = self._receive([left], set()) if left else None
        error = self._receive(asked, new) or error
        self._server.exit_pipeline_mode()
        return error

    # --- from the server --------------------------------------------------------------

    def _receive(self, asked: Sequence[Answer], new: set[_Form]) -> psycopg.Error | None:
        """Take the answers in the order of what was asked; return the first error."""
        errors = []
        for one in asked:
            if one.form is not None and one.form in new:
                new.discard(one.form)
                told = self._result()
                one.form.is_prepared = told.status == ExecStatus.COMMAND_OK
                errors.append(self._error(told))
            result = self._result()
            errors.append(self._error(result))
            if result.status in _RAN:
                one.result = result
        self._next()  # the end of the message
        return next(filter(None, errors), None)

    def _result(self) -> PGresult:
        """Return the next result, after which comes an end of its own."""
        result = self._next()
        if result is None:
            raise psycopg.OperationalError("the server said less than it was asked")
        self._next()
        return result

    def _next(self) -> PGresult | None:
        while self._server.is_busy():
            self._readable.poll()
            self._server.consume_input()
        return self._server.get_result()

    def _error(self, result: PGresult) -> psycopg.Error | None:
        if result.status != ExecStatus.FATAL_ERROR:
            return None
        error = error_from_result(result, _ENCODING)
        if self._server.status != ConnStatus.OK:
            raise error
        return error

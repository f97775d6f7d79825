"""A named statement as SQLite takes it: with numbered places, and for many rows at once.

SQLite sets up each run of a statement anew: its places, the tables that it makes of CHECK lists,
the last id of AUTOINCREMENT. That costs as much as a row does, so many rows share a run.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import chain

from operator_core.db.engine import Value
from operator_core.db.secrets import cleaned, cleaned_each, foreign
from operator_core.db.sqlite.seldom import in_few_columns
from operator_core.db.statements import picker, statements

NAME = "sqlite"

Params = Mapping[str, Value]
Bound = Sequence[Value]

_RETURNING = "RETURNING *"
_NAMED = re.compile(r"'(?:[^']|'')*'|--[^\n]*|:(\w+)")
_VALUES = re.compile(r"(?s)(INSERT INTO .*\bVALUES\s*)(\(.*\))")
_ROWS_EACH_RUN = (32, 8, 1)
"""How many rows one run of an insert takes; each number is a text that SQLite has to prepare."""


class Statement:
    """A statement with numbered places: what is bound by name is looked up by name each time."""

    __slots__ = ("_rows", "changing", "columns", "foreign", "text", "values")

    def __init__(self, text: str) -> None:
        """Take the text with named places."""
        places: dict[str, int] = {}

        def place(match: re.Match[str]) -> str:
            name = match[1]
            return f"?{places.setdefault(name, len(places) + 1)}" if name else match[0]

        self.text = in_few_columns(_NAMED.sub(place, text))
        self.changing = self.text.removesuffix(_RETURNING).rstrip()
        self.values = picker(tuple(places))
        self.foreign = foreign(tuple(places))
        self.columns: tuple[str, ...] = ()
        self._rows = _of_rows(self.changing, len(places))

    def bound(self, params: Params) -> Bound:
        """Return what is bound, in the order of its places and without secrets."""
        return self.values(cleaned(params, self.foreign) if self.foreign else params)

    def bound_each(self, params: Sequence[Params]) -> Iterator[Bound]:
        """Return what is bound of each set of parameters, likewise."""
        return map(self.values, cleaned_each(params, self.foreign) if self.foreign else params)

    def inserts(self, rows: Sequence[Bound]) -> Iterator[tuple[str, Bound, int]]:
        """Return the runs that insert rows: text, what is bound, and how many rows it takes."""
        done = 0
        for count, text in self._rows:
            while len(rows) - done >= count:
                yield text, tuple(chain.from_iterable(rows[done : done + count])), count
                done += count


def _of_rows(text: str, places: int) -> Sequence[tuple[int, str]]:
    """Return an insert's text for each number of rows that a run takes, the highest first."""
    found = _VALUES.fullmatch(text)
    if found is None:
        return ((1, text),)
    head, row = found.groups()
    return [(count, head + ", ".join(_rows(row, places, count))) for count in _ROWS_EACH_RUN]


def _rows(row: str, places: int, count: int) -> Iterator[str]:
    parts = [int(part) if part.isdigit() else part for part in re.split(r"(?<=\?)(\d+)", row)]
    for before in range(0, count * places, places):
        yield "".join(str(part + before) if isinstance(part, int) else part for part in parts)


@cache
def named_statements() -> Mapping[str, Statement]:
    """Return each statement by its name."""
    return {name: Statement(text) for name, text in statements(NAME).items()}

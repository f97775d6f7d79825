"""The named SQL statements, read once from the files, and which rows may share a run of one."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from operator import itemgetter
from pathlib import Path

from operator_core.db.engine import Value

Params = Mapping[str, Value]

_NAME = re.compile(r"^(?:-- (?!name: ).*\n)*-- name: (\S+)$", re.MULTILINE)
"""A name's line, with the comment before it, which belongs to no statement."""


@cache
def picker(names: tuple[str, ...]) -> Callable[[Params], tuple[Value, ...]]:
    """Return a function that picks the parameters of these names, in their order."""
    if len(names) > 1:
        return itemgetter(*names)
    if not names:
        return lambda _: ()
    name = names[0]
    return lambda params: (params[name],)


@cache
def statements(engine: str) -> dict[str, str]:
    """Return the text of each named statement as one engine needs it.

    Args:
        engine: the engine's name; its own file, where there is one, overrides the common one.
    """
    folder = Path(__file__).with_name("sql")
    found = parse((folder / "queries.sql").read_text(encoding="utf-8"))
    own = folder / f"queries.{engine}.sql"
    if own.is_file():
        found |= parse(own.read_text(encoding="utf-8"))
    return found


def parse(text: str) -> dict[str, str]:
    """Split a file of statements at its name lines.

    Raises:
        ValueError: a name stands twice.
    """
    pieces = _NAME.split(text)
    names, bodies = pieces[1::2], pieces[2::2]
    if len(set(names)) != len(names):
        raise ValueError("a statement's name stands twice in one file")
    return {name: body.strip() for name, body in zip(names, bodies, strict=True)}


def alike(params: Sequence[Params]) -> list[Params]:
    """Return sets of parameters that differ in nothing but their id as one each, with all ``ids``.

    Args:
        params: sets of the same names, which are in the same order.
    """
    names = [*params[0]] if params else ["id"]
    place = names.index("id")
    names[place] = "ids"
    found: dict[tuple[Value, ...], list[Value]] = {}
    for one in params:
        values = [*one.values()]
        row_id, values[place] = values[place], None
        found.setdefault(tuple(values), []).append(row_id)
    joined = [
        (*shared[:place], json.dumps(ids), *shared[place + 1 :]) for shared, ids in found.items()
    ]
    return [dict(zip(names, values, strict=True)) for values in joined]

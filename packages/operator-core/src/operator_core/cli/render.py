"""Drawing on the terminal: tables, facts, colours. Nothing that is shown is markup."""

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from enum import Enum

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from operator_core.cli.text import NOTHING, local_time, one_line
from operator_core.visible import visible

PIPE_WIDTH = 200
"""Characters in a line where no terminal says how many it has."""

_WHOLE = frozenset({"id", "when", "who", "status", "event", "action", "about", "severity", "for"})
"""Columns that are not broken into lines while others can be."""

_MAX_WHOLE_CELLS = 40
"""A longer name would leave no room for the other columns."""

_STYLES = {
    "open": "bold red",
    "acknowledged": "yellow",
    "diagnosed": "cyan",
    "resolved": "green",
    "critical": "bold red",
    "warning": "yellow",
    "info": "blue",
    "proposed": "yellow",
    "pending": "yellow",
    "validated": "cyan",
    "executing": "bold blue",
    "in_progress": "bold blue",
    "completed": "green",
    "succeeded": "green",
    "failed": "bold red",
    "unknown": "bold magenta",
    "cancelled": "dim",
    "observe": "yellow",
    "execute": "bold green",
    "ok": "green",
    "wrong": "bold red",
    "note": "yellow",
    "high": "red",
    "medium": "yellow",
    "low": "green",
    "escalated": "bold magenta",
}


def console() -> Console:
    """Return the terminal, wide enough for whole lines where it is a pipe."""
    width = None if sys.stdout.isatty() else PIPE_WIDTH
    return Console(width=width, highlight=False, markup=False, emoji=False)


def cell(value: object) -> Text:
    """Return a value as one line of a table, coloured where it is a known word."""
    if isinstance(value, Text):
        return value
    if value is None or value == "":
        return Text(NOTHING, style="dim")
    if isinstance(value, bool):
        return Text("yes" if value else "no")
    if isinstance(value, datetime):
        return Text(local_time(value))
    if isinstance(value, Enum):
        word = str(value.value)
        return Text(word, style=_STYLES.get(word, ""))
    return Text(one_line(value))


def word(text: str) -> Text:
    """Return Operator's own words in the colour of the first one."""
    return Text(text, style=_STYLES.get(text.partition(" ")[0], ""))


def lines(text: object, style: str = "") -> Text:
    """Return text of several lines."""
    return Text(visible(text), style=style)


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Table:
    """Return a table; numbers to the right, long texts folded."""
    drawn = Table(
        title=title or None,
        title_justify="left",
        title_style="bold",
        header_style="bold",
        box=SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    cells = [list(map(cell, row)) for row in rows]
    for place, name in enumerate(columns):
        is_short = all(one[place].cell_len <= _MAX_WHOLE_CELLS for one in cells)
        drawn.add_column(name, overflow="fold", no_wrap=name in _WHOLE and is_short)
    for one in cells:
        drawn.add_row(*one)
    return drawn


def facts(title: str, pairs: Mapping[str, object]) -> Panel:
    """Return a panel of names and values; what is not known is left out."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in pairs.items():
        if value is not None and value != "":
            grid.add_row(name, value if isinstance(value, Table | Group) else _fact(value))
    return Panel(grid, title=Text(one_line(title), style="bold"), title_align="left", expand=False)


def _fact(value: object) -> Text:
    return lines(value) if isinstance(value, str) and not isinstance(value, Enum) else cell(value)


def bullets(items: Iterable[object]) -> Text | None:
    """Return a list with one line an item, or None where there is nothing."""
    found = [f"• {one_line(item, 1000)}" for item in items]
    return Text("\n".join(found)) if found else None


def stacked(*parts: RenderableType | None) -> Group:
    """Return the parts one below the other; what is None is left out."""
    return Group(*(part for part in parts if part is not None and str(part)))


def hint(text: str) -> Text:
    """Return a line that says what to do next; the text is Operator's own."""
    return Text(text, style="dim")


Draw = Callable[[], RenderableType]
"""Draws something; called only where a person reads it."""

"""Text from clusters, people and models, as it stands in lines and cells; and what people gave."""

from datetime import datetime

from operator_core.errors import RequestError
from operator_core.visible import visible

NOTHING = "-"
MAX_CELL_CHARS = 300


def one_line(text: object, limit: int = MAX_CELL_CHARS) -> str:
    """Return the text as one visible line, cut where it is longer than ``limit`` characters."""
    line = " ".join(visible(text).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def local_time(moment: datetime) -> str:
    """Return a moment in local time, with the name of its zone."""
    return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S %Z")


def given(text: str, what: str) -> str:
    """Return text that a person gave, without blanks at its ends.

    Args:
        text: as it stood on the command line.
        what: how the message calls it.

    Raises:
        RequestError: it is empty, or no text at all.
    """
    stripped = text.strip()
    if not stripped:
        raise RequestError(f"{what} is empty; write something.")
    if any("\ud800" <= char <= "\udfff" for char in stripped):
        raise RequestError(f"{what} is no valid Unicode text.")
    return stripped

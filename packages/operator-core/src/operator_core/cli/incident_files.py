"""What commands share that look at a ticket or at an exported incident."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from operator_core.errors import RequestError
from operator_core.runtime.incident.archive import MAX_PACKED_BYTES, Archive, unpack
from operator_core.runtime.incident.misfits import ArchiveError, no_row
from operator_core.runtime.incident.shapes import NO_ROW

OptionalTicket = Annotated[
    int | None, typer.Argument(metavar="ID", help="The ticket.", show_default=False)
]
Unsealed = Annotated[
    bool, typer.Option("--unsealed", help="Take a file without a seal: anybody can have edited it.")
]
IncidentFile = Annotated[
    Path | None, typer.Option("--incident", help="An exported incident instead of a ticket.")
]


def require_one(ticket_id: int | None, file: Path | None) -> None:
    """See that either a ticket or a file is named.

    Raises:
        RequestError: neither is, or both are.
    """
    if (ticket_id is None) == (file is None):
        raise RequestError("Name a ticket, or an exported incident with --incident FILE.")


async def read_archive(file: Path, *, unsealed: bool) -> Archive:
    """Return the incident of a file, after all of it was checked.

    Args:
        file: the archive.
        unsealed: whether one without a seal will do.

    Raises:
        RequestError: it cannot be read.
        ArchiveError: it is no archive, something in it does not match, or it is not sealed.
    """
    packed = await asyncio.to_thread(_read, file)
    archive = await asyncio.to_thread(unpack, packed)
    if archive.seal is None and not unsealed:
        raise ArchiveError(
            f"{file} is not sealed: nothing shows whether it was edited. Export it again, or give "
            "--unsealed to take it as it is."
        )
    return archive


def _read(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            packed = opened.read(MAX_PACKED_BYTES + 1)
    except OSError as error:
        raise RequestError(f"{file} cannot be read: {error.strerror}.") from error
    if len(packed) > MAX_PACKED_BYTES:
        raise RequestError(f"{file} is too large to be an incident.")
    return packed


@contextmanager
def rows_that_are_rows() -> Iterator[None]:
    """Say in a line that a row of an archive is none; one without a seal may hold anything.

    Raises:
        ArchiveError: it holds a row that nobody can read.
    """
    try:
        yield
    except ArchiveError:
        raise
    except NO_ROW as error:
        raise no_row(error) from error

"""What commands share that look at a ticket or at an exported incident."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from operator_core.errors import RequestError
from operator_core.runtime.incident.archive import Archive, unpack

OptionalTicket = Annotated[
    int | None, typer.Argument(metavar="ID", help="The ticket.", show_default=False)
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


async def read_archive(file: Path) -> Archive:
    """Return the incident of a file, after all of it was checked.

    Raises:
        RequestError: it cannot be read.
        ArchiveError: it is no archive, or something in it does not match.
    """
    try:
        packed = await asyncio.to_thread(file.read_bytes)
    except OSError as error:
        raise RequestError(f"{file} cannot be read: {error.strerror}.") from error
    return await asyncio.to_thread(unpack, packed)

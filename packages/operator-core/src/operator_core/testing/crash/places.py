"""Where the ledgers of runs lie: a fresh file, or a fresh database of a real server, for each."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Protocol

from operator_core.db.ledger import open_ledger
from operator_core.testing.postgres import PostgresServer, programs

SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    "max_connections": "300",
}
"""Processes are killed here, never the server or the machine: it needs no disk's promise."""


class Place(Protocol):
    """Gives each run a ledger of its own."""

    name: str

    def ledger(self, folder: Path) -> AbstractAsyncContextManager[str]:
        """Lend an empty ledger, gone afterwards."""
        ...


class Files:
    """Ledgers on SQLite."""

    name = "sqlite"

    @asynccontextmanager
    async def ledger(self, folder: Path) -> AsyncIterator[str]:
        """Lend the path of a ledger in a folder."""
        yield str(folder / "ledger.db")


class Databases:
    """Ledgers on PostgreSQL."""

    name = "postgres"

    def __init__(self, server: PostgresServer) -> None:
        """Take a running server; `prepare` comes next."""
        self._server = server
        self._template = f"fresh_{uuid.uuid4().hex}"

    async def prepare(self) -> None:
        """Make the empty ledger of which each run gets a copy."""
        await self._do("createdb", self._template)
        ledger = await open_ledger(self._server.url_of(self._template))
        await ledger.engine.close()

    @asynccontextmanager
    async def ledger(self, folder: Path) -> AsyncIterator[str]:
        """Lend the URL of a database."""
        del folder
        name = f"run_{uuid.uuid4().hex}"
        await self._do("createdb", "--template", self._template, name)
        try:
            yield self._server.url_of(name)
        finally:
            # What stays where that fails goes with its server.
            await self._run("dropdb", "--force", name)

    async def _do(self, program: str, *arguments: str) -> None:
        """Run one of PostgreSQL's own programs.

        Raises:
            RuntimeError: it failed.
        """
        error = await self._run(program, *arguments)
        if error:
            raise RuntimeError(f"{program} failed: {error}")

    async def _run(self, program: str, *arguments: str) -> str:
        """Run one of PostgreSQL's own programs and return its error, if any."""
        process = await asyncio.create_subprocess_exec(
            str(programs() / program),
            "--maintenance-db",
            self._server.url,
            *arguments,
            stderr=asyncio.subprocess.PIPE,
        )
        _, error = await process.communicate()
        return error.decode(errors="replace") if process.returncode != 0 else ""

"""LISTEN: wakes this process when another one has committed."""

import asyncio
import contextlib
from collections.abc import Callable
from functools import partial

import psycopg

from operator_core.db.postgres.connection import Address
from operator_core.db.postgres.line import Connection
from operator_core.errors import LedgerError
from operator_core.logs import get_logger

log = get_logger(__name__)

_LISTEN = "LISTEN operator_ledger"
_PAUSE_SECONDS = 0.5


class Listener:
    """Hears the notifications of other engines, over a connection that is made again when lost."""

    def __init__(self, address: Address, engine_id: str, heard: Callable[[], None]) -> None:
        """Take what to call when another engine has committed; `start` begins."""
        self._address = address
        self._engine_id = engine_id
        self._heard = heard
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to listen, once."""
        self._task = self._task or asyncio.create_task(self._listen())

    async def close(self) -> None:
        """Stop listening."""
        if self._task is None:
            return
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    async def _listen(self) -> None:
        while True:
            try:
                connection = await self._connect()
            except (psycopg.Error, LedgerError) as error:
                log.warning("ledger_not_heard", ledger=str(self._address), error=str(error))
                await asyncio.sleep(_PAUSE_SECONDS)
                continue
            try:
                self._heard()  # while nobody listened something may have happened
                await self._until_lost(connection)
            finally:
                connection.close()

    async def _connect(self) -> Connection:
        """Connect in a thread; a connection that comes after nobody waits is closed."""
        made = asyncio.get_running_loop().run_in_executor(None, self._open)
        try:
            return await asyncio.shield(made)
        except asyncio.CancelledError:
            made.add_done_callback(_close_late)
            raise

    def _open(self) -> Connection:
        connection = self._address.connect(f"operator {self._engine_id} listens")
        try:
            connection.execute(_LISTEN)
        except psycopg.Error:
            connection.close()
            raise
        return connection

    async def _until_lost(self, connection: Connection) -> None:
        loop, lost = asyncio.get_running_loop(), asyncio.Event()
        socket = connection.fileno()
        loop.add_reader(socket, partial(self._hear, connection, lost))
        try:
            self._hear(connection, lost)  # what came between LISTEN and now
            await lost.wait()
        finally:
            loop.remove_reader(socket)

    def _hear(self, connection: Connection, lost: asyncio.Event) -> None:
        try:
            connection.pgconn.consume_input()
        except psycopg.Error:
            lost.set()
        foreign = False
        while note := connection.pgconn.notifies():
            foreign |= note.extra.decode() != self._engine_id
        if foreign:
            self._heard()


def _close_late(made: "asyncio.Future[Connection]") -> None:
    if not made.cancelled() and made.exception() is None:
        made.result().close()

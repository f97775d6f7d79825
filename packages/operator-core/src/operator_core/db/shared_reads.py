"""Reads on items: what many ask for at the same time is asked once, in few messages."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, cast

from operator_core.db.engine import ItemWork, Tx
from operator_core.db.work import Job, Piece, hand_out
from operator_core.errors import LedgerError

T = TypeVar("T")
I = TypeVar("I")  # noqa: E741 - an item

_Work = ItemWork[Any, Any]


class SharedReads:
    """The reads on items of one ledger in one event loop.

    Each kind is asked about one group at a time. Who asks meanwhile is in the next group, so that
    nobody gets an answer from before the question.
    """

    def __init__(self, read: Callable[[Callable[[Tx], None]], Awaitable[None]]) -> None:
        """Take what runs reading work."""
        self._read = read
        self._waiting: dict[_Work, list[Job]] = {}
        self._asking: dict[_Work, asyncio.Task[None]] = {}

    async def ask(self, work: ItemWork[I, T], item: I) -> T:
        """Run work that only reads on an item, together with others' items.

        Raises:
            Exception: the error that the work returned or raised for this item.
        """
        job = Job(items=work, item=item)
        self._waiting.setdefault(work, []).append(job)
        if work not in self._asking:
            self._asking[work] = asyncio.create_task(self._ask_all(work))
        return cast("T", await job.future)

    async def _ask_all(self, work: _Work) -> None:
        try:
            while jobs := self._waiting.pop(work, []):
                await self._ask(Piece(jobs))
        finally:
            del self._asking[work]

    async def _ask(self, piece: Piece) -> None:
        """Ask, and tell all of it; where what is raised is about an item, ask for each alone."""
        try:
            await self._read(piece.run)
        except Exception as error:  # noqa: BLE001 - handed to who asked
            if len(piece.jobs) > 1 and not isinstance(error, LedgerError):
                for job in piece.jobs:
                    await self._ask(Piece([job]))
                return
            piece.fail(error)
        except BaseException as error:
            piece.fail(error)
            hand_out(piece.jobs)
            raise
        hand_out(piece.jobs)

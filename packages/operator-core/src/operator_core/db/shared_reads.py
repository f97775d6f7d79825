"""Reads on items: what many ask for at the same time is asked once, in few messages."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar, cast

from operator_core.db.engine import ItemWork, Tx
from operator_core.errors import LedgerError

T = TypeVar("T")
I = TypeVar("I")  # noqa: E741 - an item

_Work = ItemWork[Any, Any]
_Asked = tuple[object, asyncio.Future[Any]]


class SharedReads:
    """The reads on items of one ledger in one event loop.

    Each kind is asked about one group at a time. Who asks meanwhile is in the next group, so that
    nobody gets an answer from before the question.
    """

    def __init__(self, read: Callable[[Callable[[Tx], Any]], Awaitable[Any]]) -> None:
        """Take what runs reading work."""
        self._read = read
        self._waiting: dict[_Work, list[_Asked]] = {}
        self._asking: dict[_Work, asyncio.Task[None]] = {}

    async def ask(self, work: ItemWork[I, T], item: I) -> T:
        """Run work that only reads on an item, together with others' items.

        Raises:
            Exception: the error that the work returned or raised for this item.
        """
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Any] = loop.create_future()
        self._waiting.setdefault(work, []).append((item, answer))
        if work not in self._asking:
            self._asking[work] = loop.create_task(self._ask_all(work))
        return cast("T", await answer)

    async def _ask_all(self, work: _Work) -> None:
        try:
            while asked := self._waiting.pop(work, []):
                await self._ask(work, asked)
        finally:
            del self._asking[work]

    async def _ask(self, work: _Work, asked: Sequence[_Asked]) -> None:
        items = [item for item, _ in asked]
        try:
            results = await self._read(lambda tx: work(tx, items))
        except BaseException as error:  # noqa: BLE001 - handed to who asked
            await self._refused(work, asked, error)
            return
        for (_, answer), result in zip(asked, results, strict=True):
            _give(answer, result)

    async def _refused(self, work: _Work, asked: Sequence[_Asked], error: BaseException) -> None:
        """Tell of what ended a read; where that is about an item, each is asked for alone."""
        if len(asked) > 1 and isinstance(error, Exception) and not isinstance(error, LedgerError):
            for one in asked:
                await self._ask(work, [one])
            return
        for _, answer in asked:
            _give(answer, error)
        if not isinstance(error, Exception):
            raise error


def _give(answer: asyncio.Future[Any], result: object) -> None:
    if answer.done():
        return  # who asked went away
    if isinstance(result, Exception):
        answer.set_exception(result)
    elif isinstance(result, BaseException):
        answer.cancel()
    else:
        answer.set_result(result)

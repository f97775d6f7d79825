"""Who asks at the same time is asked for together, and gets an answer of its own."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, cast

import pytest

from operator_core.db.engine import Tx
from operator_core.db.shared_reads import SharedReads
from operator_core.errors import LedgerUnavailableError


class Slow:
    """A ledger that lets others ask while it reads; counts its reads."""

    def __init__(self) -> None:
        self.reads = 0
        self.begun = asyncio.Event()

    async def read(self, work: Callable[[Tx], Any]) -> None:
        self.reads += 1
        self.begun.set()
        await asyncio.sleep(0)
        work(cast("Tx", None))


def halves(_: Tx, items: Sequence[int]) -> list[int | Exception]:
    if any(item < 0 for item in items):
        raise ValueError("below zero")
    return [ValueError("odd") if item % 2 else item // 2 for item in items]


async def test_each_gets_its_own_answer_of_one_read() -> None:
    slow = Slow()
    reads = SharedReads(slow.read)
    found = await asyncio.gather(*(reads.ask(halves, one) for one in (2, 4, 6)))
    assert (found, slow.reads) == ([1, 2, 3], 1)


async def test_who_asks_during_a_read_is_in_the_next_one() -> None:
    slow = Slow()
    reads = SharedReads(slow.read)
    first = asyncio.create_task(reads.ask(halves, 2))
    await slow.begun.wait()
    assert (await reads.ask(halves, 4), await first, slow.reads) == (2, 1, 2)


@pytest.mark.parametrize("wrong", [3, -2])
async def test_an_error_of_one_item_is_its_own(wrong: int) -> None:
    reads = SharedReads(Slow().read)
    asked = [reads.ask(halves, one) for one in (2, wrong, 4)]
    first, second, third = await asyncio.gather(*asked, return_exceptions=True)
    assert (first, third) == (1, 2)
    assert isinstance(second, ValueError)


async def test_trouble_of_the_ledger_is_told_to_all_at_once() -> None:
    tried = []

    async def away(work: Callable[[Tx], Any]) -> None:
        tried.append(work)
        raise LedgerUnavailableError("away")

    reads = SharedReads(away)
    asked = [reads.ask(halves, one) for one in (2, 4)]
    found = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(one) for one in found] == [LedgerUnavailableError] * 2
    assert len(tried) == 1


async def test_who_went_away_keeps_nobody_from_an_answer() -> None:
    reads = SharedReads(Slow().read)
    gone, stays = (asyncio.create_task(reads.ask(halves, one)) for one in (2, 4))
    await asyncio.sleep(0)
    gone.cancel()
    assert await stays == 2

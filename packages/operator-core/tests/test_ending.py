"""A signal ends work once, and what tidies up after it comes to its end."""

import asyncio
import signal

import pytest

from operator_core.runtime.ending import until_told


async def _work(tidied: list[str], signals: int) -> str:
    """Be interrupted, and again at each step of the tidying up."""
    try:
        signal.raise_signal(signal.SIGINT)
        await asyncio.sleep(60)
    finally:
        for number in range(1, signals):
            signal.raise_signal(signal.SIGINT)
            await asyncio.sleep(0.01)
            tidied.append(f"step {number}")
    return "never"


@pytest.mark.parametrize("signals", [1, 2, 4])
def test_another_interrupt_does_not_cut_the_tidying_up_short(signals: int) -> None:
    tidied: list[str] = []
    told = asyncio.run(until_told(_work(tidied, signals), signal.SIGINT))
    assert told is signal.SIGINT
    assert len(tidied) == signals - 1


def test_work_that_nobody_ends_gives_what_it_made() -> None:
    async def work() -> str:
        return "made"

    assert asyncio.run(until_told(work(), signal.SIGINT)) == "made"
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_work_that_cancels_itself_was_not_told_to_end() -> None:
    async def work() -> None:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(until_told(work(), signal.SIGINT))

"""A signal ends work once: the tidying up that follows is not cut short by another signal."""

import asyncio
import signal
from collections.abc import Coroutine
from typing import TypeVar

Made = TypeVar("Made")


async def until_told(
    work: Coroutine[object, object, Made], *numbers: signal.Signals
) -> Made | signal.Signals:
    """Run work until it is done or a signal cancels it; wait until it has tidied up.

    Args:
        work: what is run; it is cancelled once, however many signals come.
        numbers: the signals that end it.

    Returns:
        What the work made, or the first signal that ended it.
    """
    running = asyncio.ensure_future(work)
    told: list[signal.Signals] = []

    def end(number: signal.Signals) -> None:
        if not told:
            running.cancel()
        told.append(number)

    loop = asyncio.get_running_loop()
    for number in numbers:
        loop.add_signal_handler(number, end, number)
    try:
        return await running
    except asyncio.CancelledError:
        if not told:
            raise
        return told[0]
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)

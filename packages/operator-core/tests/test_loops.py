"""What a loop waits for between two turns."""

import asyncio

import pytest

from operator_core.errors import LedgerGoneError
from operator_core.runtime import loops
from operator_core.runtime.loops import lasting, wait_or_sooner

LONG_SECONDS = 3600.0


@pytest.mark.parametrize("which", ["stop", "sooner"])
async def test_a_long_wait_ends_when_it_is_asked_to(which: str) -> None:
    events = {"stop": asyncio.Event(), "sooner": asyncio.Event()}
    waiting = asyncio.create_task(
        wait_or_sooner(events["stop"], LONG_SECONDS, events["sooner"], 0.01)
    )
    await asyncio.sleep(0.02)
    assert not waiting.done()
    events[which].set()
    await waiting


async def test_what_has_happened_does_not_end_a_wait_before_it_may() -> None:
    stop, sooner = asyncio.Event(), asyncio.Event()
    sooner.set()
    waiting = asyncio.create_task(wait_or_sooner(stop, 2 * LONG_SECONDS, sooner, LONG_SECONDS))
    await asyncio.sleep(0.02)
    assert not waiting.done()
    stop.set()
    await waiting


async def test_a_wait_is_never_longer_than_it_should_be() -> None:
    await wait_or_sooner(asyncio.Event(), 0.01, asyncio.Event(), LONG_SECONDS)


async def test_a_loop_that_something_has_ended_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """A moment without memory between two rounds ended the process."""
    monkeypatch.setattr(loops, "TROUBLE_PAUSE_SECONDS", 0.0)
    stop, errors = asyncio.Event(), [MemoryError(), KeyError("x")]

    async def loop() -> None:
        if errors:
            raise errors.pop()
        stop.set()

    await lasting("agent", "fake", loop, stop)
    assert errors == []


async def test_a_loop_ends_where_its_ledger_is_gone() -> None:
    async def loop() -> None:
        raise LedgerGoneError("gone")

    with pytest.raises(LedgerGoneError):
        await lasting("agent", "fake", loop, asyncio.Event())

"""One monitor a cluster: the second waits, and takes over when the first is gone."""

from pathlib import Path

import pytest

from operator_core.db.ledger import open_ledger
from operator_core.runtime.watch import Watch
from operator_core.testing.clock import ManualClock

LEASE_SECONDS = 10.0


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


async def test_one_watches_and_the_other_takes_over_within_one_lease(
    tmp_path: Path, clock: ManualClock
) -> None:
    ledger = await open_ledger(tmp_path / "ledger.db", clock)
    try:
        first = Watch(ledger, "prod", "one", LEASE_SECONDS)
        second = Watch(ledger, "prod", "two", LEASE_SECONDS)
        assert await first.is_mine()
        assert not await second.is_mine()
        clock.advance(LEASE_SECONDS / 2)
        assert await first.is_mine()
        clock.advance(LEASE_SECONDS + 1)  # the first has died
        assert await second.is_mine()
        assert not await first.is_mine()
    finally:
        await ledger.engine.close()


async def test_who_stops_lets_the_next_one_watch_at_once(
    tmp_path: Path, clock: ManualClock
) -> None:
    ledger = await open_ledger(tmp_path / "ledger.db", clock)
    try:
        first = Watch(ledger, "prod", "one", LEASE_SECONDS)
        second = Watch(ledger, "prod", "two", LEASE_SECONDS)
        other = Watch(ledger, "other", "two", LEASE_SECONDS)
        assert await first.is_mine()
        assert await other.is_mine()
        await first.end()
        assert await second.is_mine()
    finally:
        await ledger.engine.close()


async def test_a_holder_that_is_seen_to_be_dead_is_not_waited_for(
    tmp_path: Path, clock: ManualClock
) -> None:
    ledger = await open_ledger(tmp_path / "ledger.db", clock)
    try:
        dead: set[str] = set()
        first = Watch(ledger, "prod", "one", LEASE_SECONDS)
        second = Watch(ledger, "prod", "two", LEASE_SECONDS, holder_is_dead=dead.__contains__)
        assert await first.is_mine()
        assert not await second.is_mine()
        dead.add("one")
        assert await second.is_mine()
        await first.keep()
        assert not await first.is_mine()
        assert await second.is_mine()
    finally:
        await ledger.engine.close()


async def test_who_waits_asks_so_often_that_one_lease_is_enough(
    tmp_path: Path, clock: ManualClock
) -> None:
    ledger = await open_ledger(tmp_path / "ledger.db", clock)
    try:
        first = Watch(ledger, "prod", "one", LEASE_SECONDS)
        second = Watch(ledger, "prod", "two", LEASE_SECONDS)
        assert await first.is_mine()  # and dies at once
        waited = 0.0
        while not await second.is_mine():
            clock.advance(second.look_seconds)
            waited += second.look_seconds
        assert LEASE_SECONDS / 2 < waited <= LEASE_SECONDS
    finally:
        await ledger.engine.close()


async def test_a_look_that_lasts_long_does_not_lose_the_right(
    tmp_path: Path, clock: ManualClock
) -> None:
    ledger = await open_ledger(tmp_path / "ledger.db", clock)
    try:
        first = Watch(ledger, "prod", "one", LEASE_SECONDS)
        second = Watch(ledger, "prod", "two", LEASE_SECONDS)
        await first.keep()  # nothing to keep yet, and nothing is taken
        assert await second.is_mine()
        await second.end()
        assert await first.is_mine()
        for _ in range(10):
            clock.advance(first.look_seconds)
            await first.keep()
            assert not await second.is_mine()
    finally:
        await ledger.engine.close()

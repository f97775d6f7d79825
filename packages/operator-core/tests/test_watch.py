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

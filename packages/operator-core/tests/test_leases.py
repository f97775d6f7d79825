"""Leases by name: each subject is watched by one monitor, and taken over when it dies."""

import asyncio
from pathlib import Path

import pytest

from engine_bench import bench
from operator_core.db.leases import LeaseDB
from operator_core.errors import RequestError

NAME = "monitor:tikv-eu"


async def test_one_holder_at_a_time(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        db = LeaseDB(one.ledger)
        first = await db.acquire(NAME, "a", 10)
        assert first is not None
        assert await db.acquire(NAME, "b", 10) is None
        assert await db.acquire("monitor:us", "b", 10) is not None
        assert [lease.holder for lease in await db.list_leases()] == ["a", "b"]


async def test_it_is_taken_over_when_its_time_is_over(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        db = LeaseDB(one.ledger)
        first = await db.acquire(NAME, "a", 10)
        one.clock.advance(9.9)
        assert await db.acquire(NAME, "b", 10) is None
        one.clock.advance(0.1)
        second = await db.acquire(NAME, "b", 10)
        assert first is not None
        assert second is not None
        assert (first.fence, second.fence) == (1, 2)
        assert await db.renew(first, 10) is None
        assert not await db.release(first)


async def test_its_holder_renews_it(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        db = LeaseDB(one.ledger)
        lease = await db.acquire(NAME, "a", 10)
        for _ in range(3):
            one.clock.advance(8)
            assert lease is not None
            lease = await db.renew(lease, 10)
        again = await db.acquire(NAME, "a", 10)
        assert again is not None
        assert again.fence == 1
        assert await db.acquire(NAME, "b", 10) is None


async def test_a_holder_that_was_late_and_finds_nobody_else_has_a_new_fence(
    tmp_path: Path,
) -> None:
    async with bench(tmp_path) as one:
        db = LeaseDB(one.ledger)
        await db.acquire(NAME, "a", 10)
        one.clock.advance(11)
        late = await db.acquire(NAME, "a", 10)
        assert late is not None
        assert late.fence == 2


async def test_a_released_lease_is_free_at_once(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        db = LeaseDB(one.ledger)
        lease = await db.acquire(NAME, "a", 10)
        assert lease is not None
        assert await db.release(lease)
        assert not await db.release(lease)
        taken = await db.acquire(NAME, "b", 10)
        assert taken is not None
        assert taken.fence == 2


async def test_changes_of_holder_are_audited_and_renewals_are_not(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        db = LeaseDB(one.ledger)
        lease = await db.acquire(NAME, "a", 10)
        assert lease is not None
        await db.renew(lease, 10)
        await db.acquire(NAME, "a", 10)
        await db.release(lease)
        told = [event for event in await one.events() if event.startswith("lease_")]
        assert told == ["lease_taken", "lease_released"]


async def test_only_one_of_many_gets_it(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        db = LeaseDB(one.ledger)
        got = await asyncio.gather(*[db.acquire(NAME, f"m{n}", 10) for n in range(20)])
        assert sum(lease is not None for lease in got) == 1


async def test_a_lease_of_no_time_is_refused(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        with pytest.raises(RequestError):
            await LeaseDB(one.ledger).acquire(NAME, "a", 0)

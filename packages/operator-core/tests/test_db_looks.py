"""Looks in the ledger are kept within a budget and an age, on both engines."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from engine_bench import Bench, bench
from operator_core.agent.diagnosis import Diagnosis
from operator_core.db import looks
from operator_core.db.care import CareDB, KeptLooks
from operator_core.db.engine import Tx
from operator_core.db.looks import NewLook
from operator_core.monitor.retention import MIB, ROW_BYTES, KeptAs, Retention
from operator_core.monitor.types import Violation

DAY, HOUR = 86_400.0, 3600.0
CONTENT = '{"parts":{},"text":"' + "x" * 600 + '"}'
SIZE = len(CONTENT) + ROW_BYTES
USUAL = Retention()


class Watched:
    """A cluster that is looked at, many looks in one transaction."""

    def __init__(self, one: Bench, retention: Retention = USUAL, subject: str = "fake") -> None:
        self.one, self.retention, self.subject = one, retention, subject

    async def look(self, *, every: float, times: int) -> list[int]:
        """Look so many times, and let time pass after each."""

        def work(tx: Tx) -> list[int]:
            return [self._look(tx, every) for _ in range(times)]

        return await self.one.ledger.write(work)

    def _look(self, tx: Tx, every: float) -> int:
        now = self.one.clock.now()
        new = looks.record(
            tx,
            NewLook(self.subject, now, complete=True, digest="d", content=CONTENT),
            self.retention,
            now,
        )
        self.one.clock.advance(every)
        return new

    async def kept(self) -> KeptLooks:
        """Return what is kept, after making sure that the sums are right."""
        kept = await CareDB(self.one.ledger).kept_looks()
        stored = await self.one.ledger.read(lambda tx: tx.all("looks.stored"))
        assert sum(row["looks"] for row in stored) == kept.looks
        assert sum(row["size_bytes"] for row in stored) == kept.size_bytes
        return kept

    async def by_kind(self) -> dict[str, int]:
        """Return how many are kept, by kind."""
        return {one.kept_as: one.looks for one in (await self.kept()).kinds}

    async def has(self, look: int) -> bool:
        """Return whether a look is kept."""
        return await self.one.ledger.read(lambda tx: tx.one("observation.get", id=look)) is not None


@asynccontextmanager
async def watched(folder: Path, retention: Retention = USUAL) -> AsyncIterator[Watched]:
    async with bench(folder) as one:
        yield Watched(one, retention)


async def test_looks_become_fewer_the_older_they_are(tmp_path: Path) -> None:
    async with watched(tmp_path) as fake:
        await fake.look(every=40, times=270)  # three hours
        kept = await fake.by_kind()
        assert kept[KeptAs.FRESH] == pytest.approx(90, abs=2)
        assert kept[KeptAs.MINUTE] == pytest.approx(120, abs=2)
        fake.one.clock.advance(DAY)
        await fake.look(every=20, times=1)
        assert (await fake.by_kind())[KeptAs.HOUR] == pytest.approx(3, abs=1)


async def test_round_an_incident_every_look_is_kept(tmp_path: Path) -> None:
    async with watched(tmp_path, Retention(around_seconds=600)) as fake:
        await fake.look(every=60, times=60)
        before = await fake.look(every=20, times=30)
        ticket = await fake.one.tickets.report(
            Violation(invariant="full", target="s", message="m"), subject="fake"
        )
        during = await fake.look(every=20, times=30)
        await fake.one.tickets.resolve(int(ticket.id or 0), actor="ann", resolution="gone")
        after = await fake.look(every=20, times=30)
        await fake.look(every=60, times=100)
        fake.one.clock.advance(2 * DAY)
        await fake.look(every=20, times=1)
        assert all([await fake.has(one) for one in (*before, *during, *after)])
        kept = await fake.by_kind()
        assert kept[KeptAs.INCIDENT] == pytest.approx(90, abs=2)
        assert kept[KeptAs.HOUR] < 10


async def test_old_looks_go_but_the_latest_of_each_cluster_stays(tmp_path: Path) -> None:
    async with watched(tmp_path, Retention(max_age_seconds=10 * DAY)) as fake:
        other = Watched(fake.one, fake.retention, "other")
        await other.look(every=HOUR, times=2)
        (lonely,) = await other.look(every=HOUR, times=1)
        await fake.look(every=HOUR, times=5)
        fake.one.clock.advance(20 * DAY)
        (latest,) = await fake.look(every=1, times=1)
        assert await fake.has(lonely)
        assert await fake.has(latest)
        assert (await fake.kept()).looks == 2


async def test_within_the_budget_the_thinned_give_way_first_and_the_oldest_of_them(
    tmp_path: Path,
) -> None:
    async with watched(tmp_path) as fake:
        old = await fake.look(every=60, times=10)
        ticket = await fake.one.tickets.report(
            Violation(invariant="full", target="s", message="m"), subject="fake"
        )
        fake.one.clock.advance(2 * HOUR)
        await fake.one.tickets.resolve(int(ticket.id or 0), actor="ann", resolution="gone")
        fake.one.clock.advance(2 * HOUR)
        between = await fake.look(every=60, times=10)
        fake.one.clock.advance(2 * HOUR)
        young = await fake.look(every=60, times=10)
        assert await fake.by_kind() == {"fresh": 10, "minute": 10, "incident": 10}
        fake.retention = Retention(budget_bytes=26 * SIZE)
        await fake.look(every=1, times=1)
        assert [await fake.has(one) for one in between] == [False] * 5 + [True] * 5
        fake.retention = Retention(budget_bytes=15 * SIZE)
        await fake.look(every=1, times=1)
        assert [await fake.has(one) for one in old] == [False] * 7 + [True] * 3
        fake.retention = Retention(budget_bytes=5 * SIZE)
        (latest,) = await fake.look(every=1, times=1)
        assert [await fake.has(one) for one in young] == [False] * 8 + [True] * 2
        assert await fake.has(latest)
        assert (await fake.kept()).looks == 5


async def test_what_decisions_rest_on_is_never_dropped(tmp_path: Path) -> None:
    tiny = Retention(budget_bytes=1, max_age_seconds=DAY)
    async with watched(tmp_path) as fake:
        named, opened, _, _ = await fake.look(every=1, times=4)
        ticket = await fake.one.tickets.report(
            Violation(invariant="full", target="s", message="m"), subject="fake"
        )
        words = {"diagnoser": "d", "hypothesis": "h", "confidence": 0.5, "cause": "c"}
        await fake.one.tickets.add_diagnosis(
            Diagnosis.model_validate({"ticket_id": ticket.id, "observation_id": named, **words})
        )
        await fake.one.tickets.keep_look(opened)
        fake.retention = tiny
        await fake.look(every=1, times=2)
        fake.one.clock.advance(50 * DAY)
        await fake.look(every=1, times=1)
        await CareDB(fake.one.ledger).prune(fake.one.clock.now(), actor="ann")
        assert [await fake.has(one) for one in (named, opened)] == [True, True]
        kept = await fake.kept()
        assert kept.over_budget
        assert {one.kept_as: one.looks for one in kept.kinds} == {"fresh": 1, "evidence": 2}


async def test_what_an_older_operator_named_without_pinning_it_stays(tmp_path: Path) -> None:
    async with watched(tmp_path) as fake:
        named, *_ = await fake.look(every=1, times=3)
        ticket = await fake.one.tickets.report(
            Violation(invariant="full", target="s", message="m"), subject="fake"
        )
        content = {"ticket_id": ticket.id, "subject": None, "diagnoser": "d", "hypothesis": "h"}
        content |= {"signature": None}
        await fake.one.ledger.write(
            lambda tx: tx.one(
                "diagnosis.insert",
                observation_id=named,
                confidence=0.5,
                content="{}",
                now=fake.one.ledger.now_text(),
                **content,
            )
        )
        fake.retention = Retention(budget_bytes=1)
        await fake.look(every=1, times=1)
        assert await fake.by_kind() == {"fresh": 1, "evidence": 1}


async def test_a_month_stays_within_its_budget_and_keeps_its_incidents(tmp_path: Path) -> None:
    budget = MIB // 2
    async with watched(tmp_path, Retention(budget_bytes=budget)) as fake:
        for day in range(30):
            await fake.look(every=3600, times=12)
            if day % 10 == 5:
                ticket = await fake.one.tickets.report(
                    Violation(invariant="full", target="s", message="m"), subject="fake"
                )
                await fake.look(every=20, times=60)
                await fake.one.tickets.resolve(int(ticket.id or 0), actor="ann", resolution="gone")
            await fake.look(every=3600, times=12)
            assert (await fake.kept()).size_bytes <= budget
        kinds = await fake.by_kind()
        assert kinds[KeptAs.INCIDENT] >= 3 * 60
        assert kinds[KeptAs.HOUR] > 24 * 10


async def test_a_recount_mends_what_an_older_operator_left_out(tmp_path: Path) -> None:
    async with watched(tmp_path) as fake:
        await fake.look(every=1, times=3)
        await fake.one.ledger.write(
            lambda tx: tx.run("looks.add", subject="fake", looks=-7, size_bytes=-7000)
        )
        await fake.one.tickets.count_looks("fake")
        assert (await fake.kept()).looks == 3


async def test_the_limits_are_those_that_the_monitors_go_by(tmp_path: Path) -> None:
    async with watched(tmp_path) as fake:
        assert (await fake.kept()).limits is None
        limits = Retention(3 * MIB, 5 * DAY, 60.0)
        fake.retention = limits
        await fake.look(every=1, times=1)
        assert (await fake.kept()).limits == limits

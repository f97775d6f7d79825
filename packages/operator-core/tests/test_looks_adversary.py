"""What looks are kept when clocks leap, work is cut off, and schedules rehearse for a month."""

import random
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from engine_bench import id_of, proposal
from operator_core.actions.rehearsal import Rehearsal
from operator_core.db import looks
from operator_core.db.actions import ActionDB
from operator_core.db.care import CareDB
from operator_core.db.engine import Tx
from operator_core.db.looks import NewLook
from operator_core.db.rehearsals import RehearsalDB
from operator_core.monitor.retention import MIB, KeptAs, Retention
from operator_core.monitor.types import Observation, Violation
from test_db_looks import CONTENT, DAY, SIZE, Watched, watched

SEEN = Observation(subject="fake", parts={})


async def rehearse(fake: Watched, ticket: int | None = None) -> int:
    """Store a proposal with its rehearsal, as the agent's round does; return the look's id."""
    stored = await ActionDB(fake.one.ledger).create_proposal(proposal(ticket_id=ticket))
    rehearsals = RehearsalDB(fake.one.ledger)
    seen = SEEN.model_copy(update={"observed_at": fake.one.clock.now()})
    await rehearsals.add({id_of(stored): Rehearsal()}, seen)
    rehearsed = await rehearsals.latest(id_of(stored))
    assert rehearsed is not None
    return int(rehearsed.observation_id or 0)


async def a_ticket(fake: Watched) -> int:
    violation = Violation(invariant="full", target="s", message="m")
    return int((await fake.one.tickets.report(violation, subject="fake")).id or 0)


async def test_rehearsals_of_no_ticket_are_thinned_and_those_of_a_ticket_stay(
    tmp_path: Path,
) -> None:
    async with watched(tmp_path) as fake:
        ticket = await a_ticket(fake)
        mine = await rehearse(fake, ticket)
        await fake.one.tickets.resolve(ticket, actor="ann", resolution="gone")
        fake.one.clock.advance(DAY)
        nobodys = [await rehearse(fake) for _ in range(3)]
        await fake.look(every=60, times=1)
        assert await fake.has(nobodys[-1]), "what is young stays"
        fake.one.clock.advance(100 * DAY)
        await fake.look(every=60, times=2)
        assert [await fake.has(one) for one in (mine, *nobodys)] == [True] + [False] * 3
        assert (await fake.by_kind())[KeptAs.EVIDENCE] == 1


async def test_a_schedule_that_rehearses_all_the_time_adds_no_evidence(tmp_path: Path) -> None:
    async with watched(tmp_path, Retention(budget_bytes=MIB // 8)) as fake:
        for _ in range(60):  # a month, in steps of half a day
            await rehearse(fake)
            await fake.look(every=DAY / 6, times=3)
        kept = await fake.kept()
        assert KeptAs.EVIDENCE not in await fake.by_kind()
        assert kept.size_bytes <= MIB // 8


class CutOffError(Exception):
    """The process ends here."""


async def test_who_is_cut_off_while_looks_are_dropped_has_dropped_none(tmp_path: Path) -> None:
    async with watched(tmp_path) as fake:
        await fake.look(every=60, times=50)
        before = await fake.kept()

        def cut_off(tx: Tx) -> None:
            assert looks.drop(tx, list(range(1, 31))) == 30
            raise CutOffError

        with pytest.raises(CutOffError):
            await fake.one.ledger.write(cut_off)
        assert await fake.kept() == before
        fake.retention = Retention(budget_bytes=5 * SIZE)
        await fake.look(every=60, times=1)
        assert (await fake.kept()).looks == 5, "and the next look drops them"


@pytest.mark.parametrize("seed", range(5))
async def test_evidence_stays_whatever_the_clock_does(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    async with watched(tmp_path) as fake:
        evidence: list[int] = []
        now = fake.one.clock.now() + timedelta(days=4000)
        for _ in range(100):
            now += timedelta(seconds=chance.choice([0, 1, 60, DAY, -DAY, 400 * DAY, -300 * DAY]))
            budget_bytes = chance.choice([1, 10 * SIZE, MIB])
            latest = await look_at(fake, now, Retention(budget_bytes=budget_bytes))
            if chance.random() < 0.2:
                await fake.one.tickets.keep_look(latest)
                evidence.append(latest)
            assert await fake.has(latest)
            await fake.kept()  # which checks the sums
        await CareDB(fake.one.ledger).prune(now + timedelta(days=4000), actor="ann")
        assert evidence
        assert all([await fake.has(one) for one in evidence])


async def look_at(fake: Watched, now: datetime, retention: Retention) -> int:
    """Look at a time that may lie before the last look's."""
    new = NewLook("fake", now, complete=True, digest="d", content=CONTENT)
    return await fake.one.ledger.write(lambda tx: looks.record(tx, new, retention, now))

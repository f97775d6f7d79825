"""Whatever dies, at any statement: after a restart no effect is left behind."""

from contextlib import suppress
from pathlib import Path

import pytest

from engine_bench import LEASE_SECONDS, Bench, bench
from operator_core.db.ledger import Ledger
from operator_core.testing.faults import CrashError, CrashingEngine
from sluices import Weir, a_ticket, id_of_ticket, leases, resolve, rounds, shut


async def _life(one: Bench, weir: Weir, **where: int) -> CrashingEngine:
    """Shut a sluice for a ticket and resolve it, in a process that dies somewhere."""
    ticket = await a_ticket(one)
    await shut(one, weir, ticket_id=id_of_ticket(ticket))
    engine = CrashingEngine(one.ledger.engine, **where)
    ledger = Ledger(engine, one.ledger.ledger_id, one.clock)
    with suppress(CrashError):
        await rounds(one, weir, 3, ledger=ledger)
    await resolve(one, ticket)
    with suppress(CrashError):
        await rounds(one, weir, 3, ledger=ledger)
    return engine


async def _restart(one: Bench, weir: Weir) -> None:
    one.clock.advance(LEASE_SECONDS + 1)
    await rounds(one, weir, 5)


async def _whole(folder: Path) -> CrashingEngine:
    async with bench(folder) as one:
        weir = Weir(one)
        engine = await _life(one, weir)
        assert weir.done == [("shut", 4), ("lift", 4)]
        return engine


@pytest.mark.timeout(60)
@pytest.mark.parametrize("trouble", ["", "lost"])
async def test_a_crash_at_any_step_leaves_no_effect_behind(tmp_path: Path, trouble: str) -> None:
    whole = await _whole(tmp_path / "whole")
    places = [{"after_commit": place} for place in range(1, whole.commits + 1)]
    places += [{"at_statement": place} for place in range(1, whole.statements + 1, 2)]
    for number, place in enumerate(places):
        async with bench(tmp_path / str(number)) as one:
            weir = Weir(one, trouble=trouble)
            await _life(one, weir, **place)
            await _restart(one, weir)
            assert weir.shut == set(), place
            assert await leases(one).list_leases() == [], place
            assert weir.done in ([], [("shut", 4), ("lift", 4)]), place

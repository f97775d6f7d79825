"""Looks that approvals rest on stay only where something was then done for a ticket."""

from pathlib import Path

import pytest

from engine_bench import id_of
from gate_kit import ALLOW, ASK_ONE, Gate, gate, wanted
from operator_core.db.care import CareDB, KeptLooks
from operator_core.db.exports import ExportDB
from operator_core.monitor.retention import KeptAs, Retention
from operator_core.monitor.types import Violation

DAY = 86_400.0
SMALL = Retention(budget_bytes=4096)
ANN = "alice"
POLICIES = {"a person": ASK_ONE, "the policy": ALLOW}


async def look(one: Gate) -> int:
    return await one.bench.tickets.record_look(
        await one.valves.observe(), {}, subject="fake", keep=SMALL
    )


async def kept(one: Gate) -> KeptLooks:
    return await CareDB(one.bench.ledger).kept_looks()


async def evidence(one: Gate) -> int:
    return {found.kept_as: found.looks for found in (await kept(one)).kinds}.get(KeptAs.EVIDENCE, 0)


async def allowed(one: Gate, ticket: int | None, text: str) -> int:
    """Let an action be proposed and approved, for a ticket or for none."""
    found = await one.bench.executor().propose_action(wanted("turn"), ticket)
    await one.bench.executor().validate_proposal(id_of(found))
    if text == ASK_ONE:
        await one.approve(id_of(found), ANN)
    assert (await one.bench.get(id_of(found))).is_approved
    return id_of(found)


async def a_ticket(one: Gate, target: str = "1") -> int:
    broken = Violation(invariant="leak", target=target, message="it leaks")
    return int((await one.bench.tickets.report(broken, subject="fake")).id or 0)


@pytest.mark.parametrize("who", POLICIES)
async def test_a_month_of_approvals_stays_within_the_budget(tmp_path: Path, who: str) -> None:
    text = POLICIES[who]
    async with gate(tmp_path, text) as one:
        for week in range(4):
            await look(one)
            await one.bench.run(await allowed(one, None, text))  # as a schedule's are: no ticket
            called_off = await allowed(one, await a_ticket(one, str(week)), text)
            await one.bench.db.cancel_proposal(called_off, cancelled_by=ANN)
            one.bench.clock.advance(7 * DAY)
        assert await evidence(one) == 0
        assert (await kept(one)).size_bytes <= SMALL.budget_bytes


@pytest.mark.parametrize("who", POLICIES)
async def test_what_was_done_for_a_ticket_keeps_its_look_and_is_exported(
    tmp_path: Path, who: str
) -> None:
    text = POLICIES[who]
    async with gate(tmp_path, text) as one:
        ticket = await a_ticket(one)
        seen = await look(one)
        target = await allowed(one, ticket, text)
        assert await evidence(one) == 0
        await one.bench.run(target)
        assert await evidence(one) == 1
        await one.bench.tickets.resolve(ticket, actor=ANN, resolution="mended")
        one.bench.clock.advance(400 * DAY)
        await look(one)
        async with ExportDB(one.bench.ledger) as exports:
            incident = await exports.incident(ticket)
        assert [row["id"] for row in incident["observations"]] == [seen]

"""Tickets in the ledger: one a problem, a person's hold, no rising from the dead."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from engine_bench import bench, proposal
from operator_core.agent.diagnosis import Diagnosis
from operator_core.db.ledger import Ledger, open_ledger
from operator_core.db.tickets import TicketDB
from operator_core.errors import ConflictError, TransitionError
from operator_core.monitor.types import TicketStatus, Violation
from operator_core.testing.faults import CrashingEngine

DOWN = Violation(invariant="store_down", target="store-4", message="store 4 is down")


async def test_many_monitors_open_one_ticket_for_one_problem(tmp_path: Path) -> None:
    """Pitfall 30 and peer bug 16: two writers on one file."""
    path = tmp_path / "l.db"
    ledgers = [await open_ledger(path) for _ in range(2)]
    reports = [TicketDB(ledger).report(DOWN, subject="a") for ledger in ledgers * 10]
    tickets = await asyncio.gather(*reports)
    assert {ticket.id for ticket in tickets} == {1}
    assert max(ticket.occurrence_count for ticket in tickets) == 20
    for ledger in ledgers:
        await ledger.engine.close()


async def test_problems_of_other_targets_and_clusters_are_other_tickets(tmp_path: Path) -> None:
    """Peer bug 17."""
    async with bench(tmp_path) as one:
        other = DOWN.model_copy(update={"target": "store-5"})
        for violation, subject in ((DOWN, "a"), (DOWN, "b"), (other, "a")):
            await one.tickets.report(violation, subject=subject)
        assert len(await one.tickets.list_tickets()) == 3


async def test_a_diagnosis_does_not_raise_a_resolved_ticket(tmp_path: Path) -> None:
    """Pitfall 28: it was resolved while the diagnosis was being made."""
    async with bench(tmp_path) as one:
        ticket = await one.tickets.report(DOWN)
        await one.tickets.resolve(1, actor="monitor", resolution="gone")
        with pytest.raises(TransitionError):
            await one.tickets.add_diagnosis(Diagnosis(ticket_id=ticket.id, cause="c", confidence=1))
        assert await one.tickets.list_diagnoses(1) == []
        kept = await one.tickets.get_ticket(1)
        assert kept is not None
        assert kept.status is TicketStatus.RESOLVED


async def test_a_problem_that_recurs_keeps_hold_and_diagnosis(tmp_path: Path) -> None:
    """Pitfalls 64 and 71: each cycle cleared the person's hold and the diagnosis."""
    async with bench(tmp_path) as one:
        await one.tickets.report(DOWN)
        await one.tickets.add_diagnosis(Diagnosis(ticket_id=1, cause="c", confidence=1))
        await one.tickets.hold(1, actor="alice", reason="mine")
        again = await one.tickets.report(DOWN)
        assert (again.status, again.held, again.held_by) == (TicketStatus.DIAGNOSED, True, "alice")
        await one.tickets.resolve(1, actor="monitor", resolution="gone")
        back = await one.tickets.report(DOWN)
        assert (back.id, back.flap_count, back.held) == (1, 1, True)
        assert await one.tickets.list_undiagnosed() == []


async def test_a_problem_that_comes_back_late_is_a_new_ticket(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        await one.tickets.report(DOWN)
        await one.tickets.resolve(1, actor="monitor", resolution="gone")
        one.clock.advance(601)
        assert (await one.tickets.report(DOWN)).id == 2


async def test_a_life_cycle_is_few_transactions_on_one_connection(tmp_path: Path) -> None:
    """Pitfall 54: 7 connections and 10 write transactions."""
    async with bench(tmp_path) as one:
        engine = CrashingEngine(one.ledger.engine)
        one.ledger.engine = engine
        await one.run(await one.validated())
        assert engine.commits == 4  # propose, validate, claim, finish


async def test_a_view_with_another_clock_wakes_the_same_sleepers(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        wake = one.ledger.subscribe()
        view = one.ledger.told_by(type(one.clock)())
        assert isinstance(view, Ledger)
        await TicketDB(view).report(DOWN)
        assert wake.is_set()


@pytest.mark.real
@pytest.mark.parametrize(
    "module",
    [
        "monitor.types",
        "monitor.detect",
        "agent.diagnosis",
        "agent.rules",
        "actions",
        "actions.executor",
        "actions.types",
        "db",
        "db.actions",
        "db.tickets",
        "subject",
    ],
)
def test_each_module_may_be_the_first_that_is_imported(module: str) -> None:
    """Pitfall 53: circular imports that show only in some order."""
    subprocess.run([sys.executable, "-c", f"import operator_core.{module}"], check=True)


async def test_nothing_is_proposed_for_a_resolved_ticket(tmp_path: Path) -> None:
    """Pitfall 44 and peer bug 15: actions of a resolved ticket still ran."""
    async with bench(tmp_path) as one:
        tickets = TicketDB(one.ledger)
        ticket = await tickets.report(Violation(invariant="disk", target="n1", message="full"))
        ticket_id = int(ticket.id or 0)
        await tickets.resolve(ticket_id, actor="ann", resolution="gone")
        with pytest.raises(ConflictError, match="resolved"):
            await one.db.create_proposal(proposal(ticket_id=ticket_id))
        with pytest.raises(ConflictError, match="resolved"):
            await one.db.create_workflow("w", "d", [proposal()], ticket_id)
        assert await one.db.list_proposals() == []

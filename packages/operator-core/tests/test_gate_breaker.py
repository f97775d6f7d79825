"""A remedy that did not help is counted, stopped, and a person is called with its history."""

from pathlib import Path

from engine_bench import id_of
from gate_kit import ALLOW, Gate, gate, wanted
from operator_core.actions.types import ActionStatus
from operator_core.agent.diagnosis import Diagnosis
from operator_core.agent.runner import AgentRunner
from operator_core.db.verifications import VerifyDB
from operator_core.monitor.types import TicketPhase, Violation
from operator_core.monitor.verification import Verdict, Verification

BREAKER = ALLOW + '[[breaker]]\nname = "stop"\ntries = 2\n'
BROKEN = Violation(invariant="leak", target="1", message="it leaks")


async def tried(one: Gate) -> tuple[int, int]:
    """Open or reopen the ticket, diagnose it, and try the remedy; return ticket and proposal."""
    ticket = await one.bench.tickets.report(BROKEN, subject="fake")
    ticket_id = int(ticket.id or 0)
    diagnosis = Diagnosis(ticket_id=ticket_id, cause="c", confidence=1)
    await one.bench.tickets.add_diagnosis(diagnosis)
    executor = one.bench.executor()
    target = id_of(await executor.propose_action(wanted("shut"), ticket_id))
    await executor.validate_proposal(target)
    await one.bench.run(target)
    await one.bench.tickets.set_phase(ticket_id, TicketPhase.VERIFYING)
    return ticket_id, target


async def judged(one: Gate, ticket_id: int, verdict: Verdict) -> None:
    """Give a verdict on what was done for a ticket."""
    ticket = await one.bench.tickets.get_ticket(ticket_id)
    assert ticket is not None
    assert ticket.diagnosed_at is not None
    now = one.bench.clock.now()
    proof = Verification(
        ticket_id=ticket_id,
        diagnosed_at=ticket.diagnosed_at,
        started_at=now,
        ended_at=now,
        verdict=verdict,
    )
    await VerifyDB(one.bench.ledger).save(proof, actor="monitor")


async def helped(one: Gate, proposal_id: int) -> list[int | None]:
    """Return what is known of a remedy's attempts."""
    rows = await one.policies.decisions_of(proposal_id)
    return [row["helped"] for row in rows if row["stage"] == "claim"]


async def test_what_is_verified_has_helped_and_what_comes_back_has_not(tmp_path: Path) -> None:
    async with gate(tmp_path, BREAKER) as one:
        ticket_id, target = await tried(one)
        assert await helped(one, target) == [None]
        await judged(one, ticket_id, Verdict.VERIFIED)
        await one.bench.tickets.resolve(ticket_id, actor="monitor", resolution="gone")
        assert await helped(one, target) == [1]
        again, _ = await tried(one)
        assert again == ticket_id
        assert await helped(one, target) == [0]


async def test_the_breaker_calls_a_person(tmp_path: Path) -> None:
    async with gate(tmp_path, BREAKER) as one:
        for _ in range(2):
            ticket_id, target = await tried(one)
            await judged(one, ticket_id, Verdict.NOT_VERIFIED)
            assert await helped(one, target) == [0]
            await one.bench.tickets.resolve(ticket_id, actor="ann", resolution="by hand")
            one.bench.clock.advance(3600)
        ticket = await one.bench.tickets.report(BROKEN, subject="fake")
        executor = one.bench.executor()
        late = id_of(await executor.propose_action(wanted("shut"), ticket.id))
        await executor.validate_proposal(late)
        runner = AgentRunner(
            one.bench.ledger, one.valves, executor, one.bench.safety, clock=one.bench.clock
        )
        await runner.execute()
        await runner.drain(5)
        assert await one.bench.status(late) is ActionStatus.CANCELLED
        assert len(one.valves.done) == 2
        (comment,) = await one.bench.tickets.list_comments(int(ticket.id or 0))
        assert "Breaker 'stop'" in comment["body"]
        assert "2 times" in comment["body"]

"""Earlier incidents in the ledger, on both engines: found by their signs, bounded, and harmless."""

import json
import random
from dataclasses import dataclass, field
from pathlib import Path

from lamps import LampSubject, Room
from ledger_places import address_of
from operator_core.actions.policy import load
from operator_core.actions.policy.request import PolicyRequest
from operator_core.actions.types import ActionProposal, ActionStatus, ActionType, SafetyMode
from operator_core.agent.diagnosis import Diagnosis, RemedyOutcomes
from operator_core.agent.past import signature_of
from operator_core.clock import to_text
from operator_core.db import rows
from operator_core.db.actions import ActionDB
from operator_core.db.control import ControlDB
from operator_core.db.engine import Tx
from operator_core.db.ledger import Ledger, LedgerUse
from operator_core.db.past import MAX_PAST_TICKETS, PastDB
from operator_core.db.policy import PolicyDB
from operator_core.db.tickets import TicketDB
from operator_core.runtime.wiring import Wired, WiringOptions, wire
from operator_core.testing.clock import ManualClock

SURE_ONLY = """
unknown_blast = "as ruled"
[[rule]]
name = "sure"
match = { confidence_at_least = 0.96 }
effect = "auto"
[[rule]]
name = "ask"
effect = "approve"
approvals = [{ role = "dba" }]
[roles]
dba = ["alice"]
"""


@dataclass
class Fake:
    """One row of history that somebody made up: a resolved ticket with its diagnosis and deed."""

    ledger: Ledger
    diagnosis: Diagnosis
    clock: ManualClock
    number: int = 0
    helped: dict[str, int] = field(default_factory=lambda: {"relight": 1})

    async def put(self, count: int, **helped: int) -> None:
        """Store as many, with these deeds and whether they helped."""
        self.helped = helped
        await self.ledger.write(lambda tx: self._several(tx, count))
        self.clock.advance(1)

    def _several(self, tx: Tx, count: int) -> None:
        for _ in range(count):
            self._one(tx)

    def _one(self, tx: Tx) -> None:
        self.number += 1
        now = to_text(self.clock.now())
        ticket = tx.one(
            "ticket.insert",
            subject="lamps",
            violation_key=f"lamp_out:fake-{self.number}",
            invariant_name="lamp_out",
            target="fake",
            message="made up",
            severity="critical",
            metric_snapshot="{}",
            first_seen_at=now,
            now=now,
        )
        ticket_id = int((ticket or {})["id"])
        tx.one(
            "diagnosis.insert",
            subject="lamps",
            ticket_id=ticket_id,
            observation_id=None,
            diagnoser="rules",
            hypothesis=self.diagnosis.hypothesis,
            confidence=1.0,
            signature=signature_of(self.diagnosis),
            content=self.diagnosis.model_dump_json(),
            now=now,
        )
        for name, helped in self.helped.items():
            self._deed(tx, ticket_id, name, helped)
        tx.one("ticket.resolve", id=ticket_id, actor="x", resolution="x", now=now)

    def _deed(self, tx: Tx, ticket_id: int, name: str, helped: int) -> None:
        done = ActionProposal(
            action_name=name,
            action_type=ActionType.SUBJECT,
            status=ActionStatus.COMPLETED,
            reason="r",
            ticket_id=ticket_id,
            proposed_at=self.clock.now(),
        )
        now = to_text(self.clock.now())
        row = tx.one("proposal.insert", **rows.proposal_params(done), now=now) or {}
        texts = dict.fromkeys(("rule", "reasons", "request", "binds", "revisions"), "{}")
        tx.run(
            "decision.insert",
            proposal_id=row["id"],
            stage="claim",
            now=now,
            subject="lamps",
            action_name=name,
            target="",
            policy_hash="",
            effect="auto",
            **texts,
        )
        tx.run("decision.set_helped", proposal_id=row["id"], helped=helped)


async def diagnosed(ledger: Ledger, clock: ManualClock) -> tuple[Wired, Diagnosis]:
    """Let one lamp go out, and return its diagnosis."""
    room = Room(random.Random(1), {"lamp-1": True, "lamp-2": True})
    wired = wire(ledger, LampSubject(room, clock), WiringOptions(clock=clock))
    room.put_out("lamp-1")
    await wired.monitor.step()
    (made,) = await wired.investigate.step()
    return wired, made


async def test_a_resolved_incident_with_a_proven_remedy_is_found(tmp_path: Path) -> None:
    clock = ManualClock()
    async with LedgerUse(address_of(tmp_path), clock) as ledger:
        _, first = await diagnosed(ledger, clock)
        sign = signature_of(first)
        assert sign is not None
        assert await PastDB(ledger).incidents([sign]) == [], "it is not resolved"
        fakes = Fake(ledger, first, clock)
        await fakes.put(2, relight=1)
        await fakes.put(1, relight=0)
        await fakes.put(1)
        (found,) = await PastDB(ledger).incidents([sign, "another"])
    assert (found.hypothesis, found.seen) == ("wind", 4)
    assert found.ticket_ids == [5, 4, 3, 2]
    assert found.remedies == [RemedyOutcomes(remedy="relight", verified=2, failed=1)]


async def test_a_diagnosis_says_what_happened_before(tmp_path: Path) -> None:
    clock = ManualClock()
    async with LedgerUse(address_of(tmp_path), clock) as ledger:
        wired, first = await diagnosed(ledger, clock)
        await Fake(ledger, first, clock).put(1, ring=0)
        await TicketDB(ledger).resolve(1, actor="ann", resolution="relit by hand")
        clock.advance(1000)
        await wired.monitor.step()
        (again,) = await wired.investigate.step()
        assert signature_of(again) == signature_of(first)
        stored = (await TicketDB(ledger).list_diagnoses(3))[-1]
    (known,) = stored.past
    assert (known.seen, known.weight < 0) == (2, True)
    assert stored == again


async def test_of_thousands_only_the_latest_are_looked_at(tmp_path: Path) -> None:
    clock = ManualClock()
    async with LedgerUse(address_of(tmp_path), clock) as ledger:
        _, first = await diagnosed(ledger, clock)
        await Fake(ledger, first, clock).put(MAX_PAST_TICKETS + 50, relight=1)
        (found,) = await PastDB(ledger).incidents([str(signature_of(first))])
    assert found.seen == len(found.ticket_ids) == MAX_PAST_TICKETS
    assert found.remedies[0].verified == MAX_PAST_TICKETS


async def test_poisoned_history_changes_nothing_in_the_gates_verdict(tmp_path: Path) -> None:
    clock = ManualClock()
    async with LedgerUse(address_of(tmp_path), clock) as ledger:
        await ControlDB(ledger).set_mode(SafetyMode.EXECUTE, actor="ann")
        await PolicyDB(ledger).enforce(load(SURE_ONLY), source="test", actor="ann")
        wired, first = await diagnosed(ledger, clock)
        clean = await _verdicts(wired, ledger)
        await TicketDB(ledger).resolve(1, actor="ann", resolution="relit by hand")
        await Fake(ledger, first, clock).put(400, relight=1)
        clock.advance(1000)
        await wired.monitor.step()
        assert await _verdicts(wired, ledger) == clean
        (poisoned,) = await TicketDB(ledger).list_diagnoses(402)
        assert poisoned.past[0].weight > 0
    assert {effect for effect, _, _ in clean} == {"approve"}


async def _verdicts(wired: Wired, ledger: Ledger) -> list[tuple[str, str, float | None]]:
    """Let the agent propose, and return what the policy said of its present proposals."""
    await wired.investigate.step()
    await wired.agent.follow()
    await wired.agent.validate()
    found = await ActionDB(ledger).list_proposals(ActionStatus.VALIDATED)
    told = [row for one in found for row in await PolicyDB(ledger).decisions_of(int(one.id or 0))]
    return [
        (row["effect"], row["rule"], PolicyRequest.of_json(json.loads(row["request"])).confidence)
        for row in told
    ]

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
from operator_core.agent.diagnosis import ActionRecommendation, Assessment, Diagnosis
from operator_core.agent.past import signature_of, told, warnings
from operator_core.clock import to_text
from operator_core.db import rows
from operator_core.db.actions import ActionDB
from operator_core.db.control import ControlDB
from operator_core.db.engine import Tx
from operator_core.db.ledger import Ledger
from operator_core.db.past import MAX_PAST_TICKETS, PastDB
from operator_core.db.policy import PolicyDB
from operator_core.db.sharing import LedgerUse
from operator_core.db.tickets import TicketDB
from operator_core.monitor.types import Violation
from operator_core.monitor.verification import ROLLBACK_BY
from operator_core.runtime.wiring import Wired, WiringOptions, wire
from operator_core.testing.clock import ManualClock

WHY = "the problem is still there 121 s after the remedy ended"
RELIGHT = Assessment(
    cause="wind", actions=[ActionRecommendation(action_name="relight", reason="dark")]
)
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
    verdicts: dict[str, str] = field(default_factory=dict)

    async def put(self, count: int, **verdicts: str) -> None:
        """Store as many, with these deeds and the verdicts on them."""
        self.verdicts = verdicts
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
        for name, verdict in self.verdicts.items():
            self._deed(tx, ticket_id, name, verdict)
        tx.one("ticket.resolve", id=ticket_id, actor="x", resolution="x", now=now)

    def _deed(self, tx: Tx, ticket_id: int, name: str, verdict: str) -> None:
        is_undone = verdict == "failed"
        done = ActionProposal(
            action_name=name,
            action_type=ActionType.SUBJECT,
            status=ActionStatus.FAILED if is_undone else ActionStatus.COMPLETED,
            reason="r",
            last_error="the ladder broke" if is_undone else None,
            ticket_id=ticket_id,
            proposed_at=self.clock.now(),
        )
        now = to_text(self.clock.now())
        row = tx.one("proposal.insert", **rows.proposal_params(done), now=now) or {}
        if is_undone:
            return
        tx.one(
            "verification.insert",
            subject="lamps",
            ticket_id=ticket_id,
            diagnosed_at=now,
            proposals=f"[{row['id']}]",
            baseline_id=None,
            capacity=None,
            declared="[]",
            started_at=now,
            ended_at=now,
            held_since=None,
            looks=3,
            look_id=None,
            looked_at=now,
            verdict=verdict,
            was_seen=1,
            reasons=rows.to_json([WHY] if verdict == "not_verified" else []),
            decided_at=now,
        )


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
        await fakes.put(2, relight="verified")
        await fakes.put(1, relight="not_verified")
        await fakes.put(1)
        (found,) = await PastDB(ledger).incidents([sign, "another"])
    assert (found.hypothesis, found.seen) == ("wind", 4)
    assert found.ticket_ids == [5, 4, 3, 2]
    (relight,) = found.remedies
    assert (relight.remedy, relight.verified, relight.failed) == ("relight", 2, 1)
    assert relight.last_failure is not None
    assert (relight.last_failure.ticket_id, relight.last_failure.why) == (4, WHY)


async def test_a_diagnosis_says_what_happened_before(tmp_path: Path) -> None:
    clock = ManualClock()
    async with LedgerUse(address_of(tmp_path), clock) as ledger:
        wired, first = await diagnosed(ledger, clock)
        await Fake(ledger, first, clock).put(1, ring="not_verified")
        await TicketDB(ledger).resolve(1, actor="ann", resolution="relit by hand")
        clock.advance(1000)
        await wired.monitor.step()
        (again,) = await wired.investigate.step()
        assert signature_of(again) == signature_of(first)
        stored = (await TicketDB(ledger).list_diagnoses(3))[-1]
    (known,) = stored.past
    assert (known.seen, known.weight < 0) == (2, True)
    assert stored == again


async def test_what_is_not_proven_is_not_called_verified(tmp_path: Path) -> None:
    clock = ManualClock()
    async with LedgerUse(address_of(tmp_path), clock) as ledger:
        _, first = await diagnosed(ledger, clock)
        fakes = Fake(ledger, first, clock)
        await fakes.put(1, relight="verified")
        await fakes.put(1, relight="waiting")
        await fakes.put(1, relight="failed")
        (found,) = await PastDB(ledger).incidents([str(signature_of(first))])
    (relight,) = found.remedies
    assert (found.seen, relight.verified, relight.failed) == (3, 1, 1)
    assert relight.last_failure is not None
    assert relight.last_failure.why == "it could not be done: the ladder broke"
    (told,) = warnings(found, RELIGHT)
    assert told.startswith("relight failed once of 2 before, where the signs were the same; ")
    assert told.endswith("UTC, ticket 4: it could not be done: the ladder broke.")


async def test_a_proven_remedy_that_did_not_last_has_failed(tmp_path: Path) -> None:
    clock = ManualClock()
    async with LedgerUse(address_of(tmp_path), clock) as ledger:
        _, first = await diagnosed(ledger, clock)
        await Fake(ledger, first, clock).put(1, relight="verified")
        clock.advance(9)
        back = Violation(invariant="lamp_out", target="fake-1", message="out again")
        again = await TicketDB(ledger).report(back, subject="lamps")
        assert again.id == 2, "it came back"
        await TicketDB(ledger).resolve(2, actor="ann", resolution="a new lamp")
        (found,) = await PastDB(ledger).incidents([str(signature_of(first))])
    (relight,) = found.remedies
    assert (relight.verified, relight.failed, relight.rolled_back) == (0, 1, 0)
    assert relight.last_failure is not None
    assert relight.last_failure.why == "the problem was back after 10 s"


async def test_what_was_rolled_back_is_said(tmp_path: Path) -> None:
    clock = ManualClock()
    async with LedgerUse(address_of(tmp_path), clock) as ledger:
        _, first = await diagnosed(ledger, clock)
        await Fake(ledger, first, clock).put(1, relight="not_verified")
        put_out = ActionProposal(
            action_name="put_out",
            status=ActionStatus.COMPLETED,
            reason="r",
            ticket_id=2,
            proposed_at=clock.now(),
            proposed_by=ROLLBACK_BY,
        )
        made = {**rows.proposal_params(put_out), "now": to_text(clock.now())}
        await ledger.write(lambda tx: tx.one("proposal.insert", **made))
        (found,) = await PastDB(ledger).incidents([str(signature_of(first))])
    (relight,) = found.remedies
    assert (relight.failed, relight.rolled_back) == (1, 1)
    assert "relight verified 0 times, failed once (rolled back once)" in str(told(found))
    assert warnings(found, RELIGHT)[0].endswith(f"ticket 2: {WHY}; once it was rolled back.")


async def test_of_thousands_only_the_latest_are_looked_at(tmp_path: Path) -> None:
    clock = ManualClock()
    async with LedgerUse(address_of(tmp_path), clock) as ledger:
        _, first = await diagnosed(ledger, clock)
        await Fake(ledger, first, clock).put(MAX_PAST_TICKETS + 50, relight="verified")
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
        await Fake(ledger, first, clock).put(400, relight="verified")
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

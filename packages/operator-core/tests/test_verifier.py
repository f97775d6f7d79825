"""The proof of a remedy through the whole loop, on both storage engines."""

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

import pytest

from ledger_places import address_of
from operator_core.actions.types import (
    ActionDefinition,
    ActionProposal,
    ActionStatus,
    ParamDef,
    SafetyMode,
)
from operator_core.agent.diagnosis import ActionRecommendation, Assessment, Claim, Predicate
from operator_core.db.actions import ActionDB
from operator_core.db.control import ControlDB
from operator_core.db.ledger import Ledger
from operator_core.db.sharing import LedgerUse
from operator_core.db.tickets import TicketDB
from operator_core.db.verifications import VerifyDB
from operator_core.monitor.config import MonitorConfig, Patience
from operator_core.monitor.retention import Retention
from operator_core.monitor.types import (
    Invariant,
    Observation,
    Part,
    Ticket,
    TicketPhase,
    TicketStatus,
    Violation,
)
from operator_core.monitor.verification import Capacity, Verdict, Verification
from operator_core.monitor.verifier import newly_broken
from operator_core.runtime.acting import agent_round
from operator_core.runtime.wiring import Wired, WiringOptions, wire
from operator_core.subject import Hypothesis, SubjectDefaults
from operator_core.testing.clock import ManualClock

PATIENCE = Patience(soak_seconds=20, verify_seconds=30, blind_seconds=200, gap_seconds=60)
LOOK_SECONDS = 5.0


@dataclass
class Pumps(SubjectDefaults):
    """Three pumps; the remedy of a jam is what a test says."""

    clock: ManualClock
    remedy: str = "clear"
    jammed: set[str] = field(default_factory=set)
    hot: set[str] = field(default_factory=set)
    present: set[str] = field(default_factory=lambda: {"a", "b", "c"})
    done: list[str] = field(default_factory=list)
    is_dark: bool = False
    stays_hot: bool = False
    name: str = "pumps"

    async def observe(self) -> Observation:
        now = self.clock.now()
        pumps = {
            one: {"jammed": one in self.jammed, "hot": one in self.hot} for one in self.present
        }
        part = Part(source="eyes", observed_at=now, complete=not self.is_dark, data=pumps)
        return Observation(subject=self.name, observed_at=now, parts={"pumps": part})

    def get_action_definitions(self) -> list[ActionDefinition]:
        pump = {"pump": ParamDef(type="str", description="Which")}
        names = ("clear", "kick", "overload", "cool")
        plain = [ActionDefinition(name=name, description=name, parameters=pump) for name in names]
        plain[2] = plain[2].model_copy(update={"inverse": "cool"})
        scrap = ActionDefinition(name="scrap", description="Throw it away", parameters=pump)
        retire = scrap.model_copy(update={"name": "retire", "shrinks": ("pumps/{pump}",)})
        return [*plain, scrap, retire]

    async def clear(self, pump: str) -> None:
        self.done.append("clear")
        self.jammed.discard(pump)

    async def kick(self, pump: str) -> None:
        del pump
        self.done.append("kick")

    async def overload(self, pump: str) -> None:
        self.done.append("overload")
        self.jammed.discard(pump)
        self.hot.add("b")

    async def cool(self, pump: str) -> None:
        del pump
        self.done.append("cool")
        if not self.stays_hot:
            self.hot.clear()

    async def scrap(self, pump: str) -> None:
        self.done.append("scrap")
        self.present.discard(pump)
        self.jammed.discard(pump)

    async def retire(self, pump: str) -> None:
        await self.scrap(pump)

    def capacity(self, observation: Observation) -> Capacity | None:
        if not observation.sees(("pumps",)):
            return None
        return Capacity(members={"pumps": tuple(sorted(observation.data("pumps")))})

    def invariants(self) -> Sequence[Invariant]:
        return (
            Invariant("jam", "A pump is jammed", _broken("jam", "jammed"), needs=("pumps",)),
            Invariant("heat", "A pump is hot", _broken("heat", "hot"), needs=("pumps",)),
        )

    def hypotheses(self) -> Sequence[Hypothesis]:
        return (Hypothesis("sand", frozenset({"jam"}), self._sand, prior=0.9),)

    def _sand(self, violation: Violation, observation: Observation) -> Assessment:
        del observation
        jammed = Claim(
            statement="it does not turn",
            path=f"pumps/{violation.target}/jammed",
            predicate=Predicate.EQ,
            value=True,
        )
        action = ActionRecommendation(
            action_name=self.remedy, parameters={"pump": violation.target}, reason="sand"
        )
        return Assessment(cause="There is sand in it", supports=[jammed], actions=[action])


def _broken(rule: str, flag: str) -> Callable[[Observation], Iterable[Violation]]:
    def check(observation: Observation) -> Iterable[Violation]:
        for name, pump in observation.data("pumps").items():
            if pump[flag]:
                yield Violation(invariant=rule, target=name, message=f"{name} is {flag}")

    return check


@dataclass
class Plant:
    """The pumps, watched and repaired."""

    wired: Wired
    pumps: Pumps
    clock: ManualClock
    ledger: Ledger

    async def rounds(self, seconds: float, *, restarts: bool = False) -> None:
        for _ in range(int(seconds / LOOK_SECONDS)):
            if restarts:
                self.wired = wire(self.ledger, self.pumps, options(self.clock))
            await self.wired.monitor.step()
            await agent_round(self.wired)
            await self.wired.agent.drain(5)
            self.clock.advance(LOOK_SECONDS)

    async def ticket(self, rule: str = "jam") -> Ticket:
        found = await TicketDB(self.ledger).list_tickets()
        (ticket,) = (one for one in found if one.invariant_name == rule)
        return ticket

    async def proof(self) -> Verification:
        ticket = await self.ticket()
        (proof,) = await VerifyDB(self.ledger).list(int(ticket.id or 0))
        return proof

    async def said(self) -> str:
        ticket = await self.ticket()
        found = await TicketDB(self.ledger).list_comments(int(ticket.id or 0))
        return "\n".join(str(one["body"]) for one in found)

    async def proposals(self) -> list[ActionProposal]:
        return await ActionDB(self.ledger).list_proposals()


def options(clock: ManualClock) -> WiringOptions:
    monitor = MonitorConfig(patience=PATIENCE)
    return WiringOptions(require_approval=False, monitor=monitor, clock=clock)


@asynccontextmanager
async def plant(folder: Path, remedy: str) -> AsyncIterator[Plant]:
    clock = ManualClock()
    pumps = Pumps(clock, remedy)
    async with LedgerUse(address_of(folder), clock) as ledger:
        await ControlDB(ledger).set_mode(SafetyMode.EXECUTE, actor="test")
        one = Plant(wire(ledger, pumps, options(clock)), pumps, clock, ledger)
        await one.rounds(LOOK_SECONDS)
        pumps.jammed.add("a")
        yield one


async def test_a_remedy_that_holds_is_verified_after_the_soak(tmp_path: Path) -> None:
    async with plant(tmp_path, "clear") as one:
        await one.rounds(25)
        ticket = await one.ticket()
        assert ticket.phase is TicketPhase.VERIFYING
        assert (await one.proof()).verdict is Verdict.WAITING
        await one.rounds(25)
        ticket, proof = await one.ticket(), await one.proof()
        assert ticket.status is TicketStatus.RESOLVED
        assert (ticket.resolution or "").startswith("verified after the remedy")
        assert proof.verdict is Verdict.VERIFIED
        assert proof.baseline_id is not None
        assert proof.capacity == Capacity(members={"pumps": ("a", "b", "c")})
        assert "The remedy is verified" in await one.said()
        assert one.pumps.done == ["clear"]


async def test_a_look_counts_before_the_ticket_says_that_it_is_acted_on(tmp_path: Path) -> None:
    async with plant(tmp_path, "clear") as one:
        await one.rounds(LOOK_SECONDS)
        assert one.pumps.done == ["clear"]
        assert one.wired.agent.acted.is_set(), "a look may come sooner"
        assert (await one.ticket()).phase is None
        look = await one.wired.monitor.step()
        assert look.awaits_proof
        assert (await one.proof()).looks == 1


@pytest.mark.parametrize(
    ("remedy", "ends"), [("clear", Verdict.VERIFIED), ("kick", Verdict.NOT_VERIFIED)]
)
async def test_a_proof_goes_on_after_a_restart_at_every_look(
    tmp_path: Path, remedy: str, ends: Verdict
) -> None:
    async with plant(tmp_path, remedy) as one:
        await one.rounds(60, restarts=True)
        proof = await one.proof()
        assert proof.verdict is ends
        assert one.pumps.done == [remedy]
        assert (await one.said()).count("The remedy is") == 1


async def test_a_remedy_without_effect_calls_a_person_once(tmp_path: Path) -> None:
    async with plant(tmp_path, "kick") as one:
        await one.rounds(200)
        ticket = await one.ticket()
        assert ticket.phase is TicketPhase.ESCALATED
        assert one.pumps.done == ["kick"]
        said = await one.said()
        assert "The remedy is not verified: the problem is still there" in said
        assert "nothing takes the remedy back" in said
        assert said.count("A person is needed") == 1


async def test_a_remedy_that_breaks_something_else_is_taken_back(tmp_path: Path) -> None:
    async with plant(tmp_path, "overload") as one:
        await one.rounds(90)
        proof, ticket = await one.proof(), await one.ticket()
        assert proof.verdict is Verdict.NOT_VERIFIED
        assert proof.reasons == ("broken since the remedy began: b is hot",)
        assert one.pumps.done == ["overload", "cool"]
        (back,) = [one for one in await one.proposals() if one.proposed_by == "agent:rollback"]
        assert back.action_name == "cool"
        assert back.status is ActionStatus.COMPLETED
        assert (ticket.resolution or "").startswith("gone"), "all is well by now"


async def test_a_person_is_called_where_taking_back_does_not_help(tmp_path: Path) -> None:
    async with plant(tmp_path, "overload") as one:
        one.pumps.stays_hot = True
        await one.rounds(100)
        assert one.pumps.done == ["overload", "cool"]
        assert (await one.ticket()).phase is TicketPhase.ESCALATED
        (back,) = [one for one in await one.proposals() if one.proposed_by == "agent:rollback"]
        said = await one.said()
        assert f"b is hot; action {back.id} is proposed to take the remedy back" in said


def test_what_the_same_cause_brings_is_not_newly_broken() -> None:
    begun = ManualClock().now()

    def ticket(
        number: int, root: int | None = None, *, seconds: float = 9, severity: str = "warning"
    ) -> Ticket:
        words = {"violation_key": "k", "invariant_name": "i", "message": f"problem {number}"}
        seen = {"first_seen_at": begun + timedelta(seconds=seconds), "severity": severity}
        return Ticket.model_validate({"id": number, "root_ticket_id": root, **words, **seen})

    proof = Verification(ticket_id=1, diagnosed_at=begun, started_at=begun, ended_at=begun)
    before, told = ticket(3, seconds=0), ticket(4, severity="info")
    others = [ticket(2, root=1), before, told, ticket(5), ticket(6, 5)]
    assert newly_broken(ticket(1), proof, [ticket(1), *others]) == ("problem 5", "problem 6")
    assert newly_broken(ticket(6, 5), proof, [ticket(5), ticket(7, 5)]) == ()


async def test_to_throw_away_what_is_broken_is_no_remedy(tmp_path: Path) -> None:
    async with plant(tmp_path, "scrap") as one:
        await one.rounds(300)
        ticket, proof = await one.ticket(), await one.proof()
        assert proof.reasons == ("pumps a is gone",)
        assert ticket.status is TicketStatus.DIAGNOSED, "it does not resolve by itself"
        assert ticket.phase is TicketPhase.ESCALATED


async def test_what_an_action_declares_may_be_gone(tmp_path: Path) -> None:
    async with plant(tmp_path, "retire") as one:
        await one.rounds(60)
        assert (await one.ticket()).status is TicketStatus.RESOLVED
        assert (await one.proof()).declared == ("pumps/a",)


async def test_while_nothing_can_be_seen_nothing_is_verified(tmp_path: Path) -> None:
    async with plant(tmp_path, "clear") as one:
        await one.rounds(10)
        one.pumps.is_dark = True
        await one.rounds(190)
        proof = await one.proof()
        assert (proof.verdict, proof.looks) == (Verdict.WAITING, 0)
        await one.rounds(20)
        proof = await one.proof()
        assert proof.verdict is Verdict.NOT_VERIFIED
        assert proof.reasons == ("it could not be checked: pumps could not be read",)
        assert not proof.was_seen
        assert (await one.ticket()).phase is TicketPhase.ESCALATED
        assert "so nothing is taken back" in await one.said()


async def test_a_held_ticket_is_not_resolved_though_its_remedy_is_proven(tmp_path: Path) -> None:
    async with plant(tmp_path, "clear") as one:
        await one.rounds(10)
        ticket = await one.ticket()
        await TicketDB(one.ledger).hold(int(ticket.id or 0), actor="ann")
        await one.rounds(100)
        assert (await one.proof()).verdict is Verdict.VERIFIED
        assert (await one.ticket()).status is TicketStatus.DIAGNOSED


async def test_the_look_before_a_remedy_is_kept_and_a_verdict_is_given_once(
    tmp_path: Path,
) -> None:
    async with plant(tmp_path, "clear") as one:
        await one.rounds(50)
        proof = await one.proof()
        tickets = TicketDB(one.ledger)
        dark = Observation(subject="pumps", observed_at=one.clock.now())
        await tickets.record_look(dark, {}, subject="pumps", keep=Retention(budget_bytes=1))
        kept = await tickets.get_observation(int(proof.baseline_id or 0))
        assert kept.data("pumps")["a"] == {"jammed": True, "hot": False}
        late = proof.model_copy(update={"verdict": Verdict.NOT_VERIFIED, "looks": 99})
        saved = await VerifyDB(one.ledger).save(late, actor="another")
        assert (saved.verdict, saved.looks) == (Verdict.VERIFIED, 99)
        assert (await one.said()).count("The remedy is") == 1
        assert await ControlDB(one.ledger).first_broken_audit_row() is None


@pytest.mark.parametrize(("relapse_seconds", "proven_after"), [(None, 20.0), (10.0, 10.0)])
async def test_a_rule_says_how_soon_a_relapse_would_show(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    relapse_seconds: float | None,
    proven_after: float,
) -> None:
    rules = Pumps(ManualClock()).invariants()
    said = [replace(rule, relapse_seconds=relapse_seconds) for rule in rules]
    monkeypatch.setattr(Pumps, "invariants", lambda _: said)
    async with plant(tmp_path, "clear") as one:
        await one.rounds(40)
        proof = await one.proof()
    assert proof.verdict is Verdict.VERIFIED
    assert proof.decided_at is not None
    waited = (proof.decided_at - proof.ended_at).total_seconds()
    assert proven_after <= waited <= proven_after + LOOK_SECONDS

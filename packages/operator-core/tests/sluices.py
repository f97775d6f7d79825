"""A weir whose sluices are shut for a while: the effect can be seen, counted and taken back."""

from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass, field

from engine_bench import LEASE_SECONDS, Bench, id_of
from operator_core.actions.retry import RetryConfig
from operator_core.actions.types import ActionDefinition, ActionProposal, ParamDef
from operator_core.agent.diagnosis import ActionRecommendation
from operator_core.agent.janitor import OVERDUE
from operator_core.db.effect_leases import EffectDB
from operator_core.db.ledger import Ledger
from operator_core.errors import ActionRefusedError, OutcomeUnknownError
from operator_core.monitor.types import Observation, Part, Ticket, Violation
from operator_core.runtime.acting import agent_round
from operator_core.runtime.wiring import Wired, WiringOptions, wire
from operator_core.subject import ActionCall, ProbeAnswer, SubjectDefaults

HOUR = 3600.0


@dataclass
class Weir(SubjectDefaults):
    """The weir.

    Attributes:
        shut: the sluices that are shut, whoever shut them.
        done: what was done to it by calls, in order.
        trouble: what goes wrong with the next call: "refuse", "lost" or "late".
        blind: whether nobody can see the sluices.
    """

    bench: Bench
    name: str = "fake"
    shut: set[int] = field(default_factory=set)
    done: list[tuple[str, int]] = field(default_factory=list)
    trouble: str = ""
    blind: bool = False

    async def observe(self) -> Observation:
        """Return which sluices are shut."""
        now = self.bench.clock.now()
        part = Part(source="eyes", observed_at=now, data={"shut": sorted(self.shut)})
        parts = {} if self.blind else {"sluices": part}
        return Observation(subject=self.name, observed_at=now, parts=parts)

    def temporary_effects(self, observation: Observation) -> Collection[str] | None:
        """Return the sluices that are shut."""
        if "sluices" not in observation.parts:
            return None
        return [f"shut/{number}" for number in observation.data("sluices")["shut"]]

    def get_action_definitions(self) -> list[ActionDefinition]:
        """Return how to shut a sluice, and how to open it."""
        value = {"value": ParamDef(type="int")}
        return [
            ActionDefinition(
                name="shut",
                description="shut",
                parameters=value,
                idempotent=True,
                inverse="lift",
                temporary_effect="shut/{value}",
                effect_seconds=HOUR,
            ),
            ActionDefinition(name="lift", description="lift", parameters=value, idempotent=True),
        ]

    async def perform(self, call: ActionCall) -> object:
        """Do it, or what the test asks for."""
        value, trouble, self.trouble = int(call.parameters["value"]), self.trouble, ""
        if trouble == "refuse":
            raise ActionRefusedError("the sluice is stuck")
        if trouble == "late":
            raise OutcomeUnknownError("no answer, and nothing has happened yet")
        before = value in self.shut
        self.done.append((call.action_name, value))
        (self.shut.add if call.action_name == "shut" else self.shut.discard)(value)
        if trouble == "lost":
            raise OutcomeUnknownError("no answer")
        undo = {"action_name": "lift", "parameters": {"value": value}}
        return {"undo": None if before else undo}

    async def probe(self, call: ActionCall) -> ProbeAnswer:
        """Answer truly."""
        is_shut = call.parameters["value"] in self.shut
        happened = is_shut == (call.action_name == "shut")
        return ProbeAnswer.HAPPENED if happened else ProbeAnswer.NOT_HAPPENED


def wired(one: Bench, weir: Weir, ledger: Ledger | None = None) -> Wired:
    """Return the stages of a process that starts."""
    options = WiringOptions(
        require_approval=one.approval_mode,
        lease_seconds=LEASE_SECONDS,
        retry=RetryConfig(jitter_fraction=0.0),
        clock=one.clock,
    )
    return wire(ledger or one.ledger, weir, options)


async def rounds(
    one: Bench,
    weir: Weir,
    count: int = 5,
    *,
    ledger: Ledger | None = None,
    seconds: float = 1.0,
) -> None:
    """Let a process that has just started look and act so often, each so long after the other."""
    stages = wired(one, weir, ledger)
    for _ in range(count):
        one.clock.advance(seconds)
        await stages.monitor.step()
        await agent_round(stages)
        await stages.agent.drain(1.0)


async def shut(
    one: Bench, weir: Weir, value: int = 4, *, ticket_id: int | None = None
) -> ActionProposal:
    """Propose to shut a sluice."""
    wanted = ActionRecommendation(
        action_name="shut", parameters={"value": value}, reason="it leaks"
    )
    await one.safety.state()
    return await wired(one, weir).executor.propose_action(wanted, ticket_id)


async def a_ticket(one: Bench) -> Ticket:
    """Open a ticket."""
    violation = Violation(invariant="leak", target="4", message="it leaks")
    return await one.tickets.report(violation)


async def resolve(one: Bench, ticket: Ticket) -> None:
    """Resolve it."""
    await one.tickets.resolve(id_of_ticket(ticket), actor="ann", resolution="mended")


async def pages(one: Bench, *, unresolved: bool = False) -> list[str]:
    """Return which effects a person was called for, or only those that still call for one."""
    found = await one.tickets.list_tickets(unresolved=unresolved)
    return [ticket.target for ticket in found if ticket.invariant_name == OVERDUE]


def id_of_ticket(ticket: Ticket) -> int:
    """Return the id of a stored ticket."""
    assert ticket.id is not None
    return ticket.id


def leases(one: Bench) -> EffectDB:
    """Return the leases of the bench's ledger."""
    return EffectDB(one.ledger)


__all__ = ["HOUR", "Weir", "a_ticket", "id_of", "leases", "resolve", "rounds", "shut", "suppress"]

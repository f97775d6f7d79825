"""A dark room whose causes come to light one after the other: for tests of second diagnoses."""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ledger_places import address_of
from operator_core.actions.types import ActionDefinition, ActionProposal, SafetyMode
from operator_core.agent.diagnosis import (
    ActionRecommendation,
    Assessment,
    Claim,
    Diagnosis,
    Predicate,
)
from operator_core.clock import Clock
from operator_core.db.actions import ActionDB
from operator_core.db.control import ControlDB
from operator_core.db.ledger import Ledger
from operator_core.db.sharing import LedgerUse
from operator_core.db.tickets import TicketDB
from operator_core.monitor.types import Invariant, Observation, Part, Ticket, Violation
from operator_core.runtime.acting import agent_round
from operator_core.runtime.wiring import Wired, WiringOptions, wire
from operator_core.subject import Hypothesis, SubjectDefaults
from operator_core.testing.clock import ManualClock

if TYPE_CHECKING:
    from operator_core.types import JsonObject

LOOK_SECONDS = 30.0
FUSE, BULB, BOTH, MAINS = "fuse", "bulb", "both", "mains"


@dataclass
class Room(SubjectDefaults):
    """A dark room: the signs of each cause as they are seen, and the parts that cannot be read."""

    clock: Clock
    name: str = "room"
    is_dark: bool = True
    signs: Mapping[str, int] = field(default_factory=dict)
    unread: frozenset[str] = frozenset()
    done: list[str] = field(default_factory=list)

    async def observe(self) -> Observation:
        """Return whether it is dark, and what is seen of each cause."""
        now = self.clock.now()
        data: dict[str, JsonObject] = {
            "room": {"dark": self.is_dark},
            "signs": dict(self.signs),
        }
        parts = {
            name: Part(source="eyes", observed_at=now, complete=name not in self.unread, data=seen)
            for name, seen in data.items()
        }
        return Observation(observed_at=now, parts=parts)

    def get_action_definitions(self) -> list[ActionDefinition]:
        """Return one remedy for each of two causes."""
        names = ("mend_fuse", "change_bulb")
        return [ActionDefinition(name=one, description="-", idempotent=True) for one in names]

    async def mend_fuse(self) -> None:
        """Put a new fuse in."""
        self.done.append("mend_fuse")

    async def change_bulb(self) -> None:
        """Put a new bulb in."""
        self.done.append("change_bulb")

    def invariants(self) -> Sequence[Invariant]:
        """Return the one rule."""
        return [Invariant(name="dark", description="-", check=_dark, needs=("room",))]

    def hypotheses(self) -> Sequence[Hypothesis]:
        """Return two causes with a remedy, one with the first one's, and one for a person."""
        rule = frozenset({"dark"})
        return (
            Hypothesis(FUSE, rule, _cause(FUSE, "mend_fuse"), prior=0.9),
            Hypothesis(BULB, rule, _cause(BULB, "change_bulb"), prior=0.9),
            Hypothesis(BOTH, rule, _cause(BOTH, "mend_fuse"), prior=0.9),
            Hypothesis(MAINS, rule, _cause(MAINS, None), prior=0.9),
        )


def _dark(observation: Observation) -> Iterable[Violation]:
    if observation.data("room")["dark"]:
        yield Violation(invariant="dark", target="room", message="it is dark")


def _cause(name: str, remedy: str | None) -> Callable[[Violation, Observation], Assessment]:
    """Return a cause whose confidence is as large as the number that stands for its signs."""
    supports = [
        Claim(
            statement=f"{name} is at {least} of 10",
            path=f"signs/{name}",
            predicate=Predicate.GE,
            value=least,
        )
        for least in range(1, 11)
    ]
    steps = [ActionRecommendation(action_name=remedy, parameters={}, reason="r")] if remedy else []

    def assess(_violation: Violation, _look: Observation) -> Assessment:
        return Assessment(
            cause=name,
            supports=supports,
            components=["room"],
            actions=steps,
            escalate=remedy is None,
        )

    return assess


@dataclass
class Night:
    """The whole loop round one room."""

    ledger: Ledger
    clock: ManualClock
    room: Room
    wired: Wired

    async def looks(self, count: int, **signs: int) -> None:
        """Look some times, while these signs are seen."""
        if signs:
            self.room.signs = signs
        for _ in range(count):
            await self.wired.monitor.step()
            await agent_round(self.wired)
            await self.wired.agent.drain(1)
            self.clock.advance(LOOK_SECONDS)

    async def ticket(self) -> Ticket:
        """Return the one ticket."""
        (found,) = await TicketDB(self.ledger).list_tickets()
        return found

    async def diagnoses(self) -> list[Diagnosis]:
        """Return its diagnoses, the first one first."""
        return await TicketDB(self.ledger).list_diagnoses(1)

    async def causes(self) -> list[str]:
        """Return their causes."""
        return [one.hypothesis for one in await self.diagnoses()]

    async def proposals(self) -> list[ActionProposal]:
        """Return what was proposed."""
        return await ActionDB(self.ledger).list_proposals()


@asynccontextmanager
async def night(folder: Path, *, approval: bool = True) -> AsyncIterator[Night]:
    """Wire the loop on a ledger of its own."""
    clock = ManualClock()
    async with LedgerUse(address_of(folder), clock) as ledger:
        await ControlDB(ledger).set_mode(SafetyMode.EXECUTE, actor="ann")
        room = Room(clock)
        wired = wire(ledger, room, WiringOptions(require_approval=approval, clock=clock))
        yield Night(ledger, clock, room, wired)

"""The whole loop with one cause and what it brings: one remedy, and no second fault is lost."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from operator_core.actions.types import ActionDefinition, SafetyMode
from operator_core.agent.diagnosis import ActionRecommendation, Assessment, Claim, Predicate
from operator_core.clock import Clock
from operator_core.db.actions import ActionDB
from operator_core.db.control import ControlDB
from operator_core.db.sharing import LedgerUse
from operator_core.db.tickets import TicketDB
from operator_core.monitor.types import Check, Invariant, Observation, Part, TicketStatus, Violation
from operator_core.runtime.acting import agent_round
from operator_core.runtime.wiring import Wired, WiringOptions, wire
from operator_core.subject import Hypothesis, SubjectDefaults
from operator_core.testing.clock import ManualClock

ROUND_SECONDS = 25.0


@dataclass
class House(SubjectDefaults):
    """A fuse, and a bulb that is dark while the fuse is blown, and after it where it is burnt."""

    clock: Clock
    name: str = "house"
    is_blown: bool = True
    is_burnt: bool = True
    done: list[str] = field(default_factory=list)

    async def observe(self) -> Observation:
        """Return what does not work."""
        now = self.clock.now()
        data = {"fuse": self.is_blown, "bulb": self.is_blown or self.is_burnt}
        part = Part(source="eyes", observed_at=now, data=data)
        return Observation(observed_at=now, parts={"broken": part})

    def get_action_definitions(self) -> list[ActionDefinition]:
        """Return the two things that can be done."""
        names = ("mend_fuse", "change_bulb")
        return [ActionDefinition(name=one, description="-", idempotent=True) for one in names]

    async def mend_fuse(self) -> None:
        """Put a new fuse in."""
        self.is_blown = False
        self.done.append("mend_fuse")

    async def change_bulb(self) -> None:
        """Put a new bulb in."""
        self.is_burnt = False
        self.done.append("change_bulb")

    def invariants(self) -> Sequence[Invariant]:
        """Return a rule for each thing."""
        return [
            Invariant(name=one, description="-", check=_check(one), needs=("broken",))
            for one in ("fuse", "bulb")
        ]

    def hypotheses(self) -> Sequence[Hypothesis]:
        """Return a cause for each, of which the first brings the second."""
        brings = frozenset({"bulb"})
        return (
            replace(Hypothesis("short", frozenset({"fuse"}), _cause("mend_fuse")), brings=brings),
            Hypothesis("old_bulb", frozenset({"bulb"}), _cause("change_bulb")),
        )


def _check(name: str) -> Check:
    def check(observation: Observation) -> Iterable[Violation]:
        if observation.data("broken")[name]:
            yield Violation(invariant=name, target="house", message=f"no {name}")

    return check


def _cause(remedy: str) -> Callable[[Violation, Observation], Assessment]:
    def assess(violation: Violation, _: Observation) -> Assessment:
        rule = violation.invariant
        sign = Claim(
            statement="it is dark", path=f"broken/{rule}", predicate=Predicate.EQ, value=True
        )
        step = ActionRecommendation(action_name=remedy, parameters={}, reason="r")
        return Assessment(cause=rule, supports=[sign], components=["house"], actions=[step])

    return assess


async def live(wired: Wired, clock: ManualClock, rounds: int) -> None:
    for _ in range(rounds):
        await wired.monitor.step()
        await agent_round(wired)
        await wired.agent.drain(1)
        clock.advance(ROUND_SECONDS)


async def test_one_remedy_for_the_group_and_then_what_is_left_of_it(tmp_path: Path) -> None:
    clock = ManualClock()
    async with LedgerUse(tmp_path / "ledger.db", clock) as ledger:
        await ControlDB(ledger).set_mode(SafetyMode.EXECUTE, actor="ann")
        house = House(clock)
        wired = wire(ledger, house, WiringOptions(require_approval=False, clock=clock))
        tickets, actions = TicketDB(ledger), ActionDB(ledger)
        await live(wired, clock, 2)
        follower = (await tickets.list_tickets())[1]
        assert follower.root_ticket_id == 1
        assert [one.action_name for one in await actions.list_proposals()] == ["mend_fuse"]
        await live(wired, clock, 12)
        assert house.done == ["mend_fuse", "change_bulb"]
        states = [one.status for one in await tickets.list_tickets()]
        assert states == [TicketStatus.RESOLVED] * 2
        assert len(await tickets.list_diagnoses(2)) == 2

"""An engine under a policy: valves whose actions have tags, facts and sources."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine_bench import Bench, bench, id_of
from operator_core.actions.policy import LoadedPolicy, load
from operator_core.actions.types import ActionDefinition, ActionProposal, ParamDef
from operator_core.agent.diagnosis import ActionRecommendation
from operator_core.clock import Clock
from operator_core.db.policy import PolicyDB
from operator_core.errors import SubjectUnreachableError
from operator_core.monitor.types import Observation, Part
from operator_core.subject import ActionCall
from operator_core.testing.fakes import FakeSubject
from operator_core.types import RiskLevel

ROLES = """
unknown_blast = "as ruled"
[roles]
dba = ["alice", "bob"]
sre = ["bob", "carol"]
ghosts = []
"""
ASK_ONE = (
    ROLES
    + """
[[rule]]
name = "look"
match = { tags = "read-only" }
effect = "auto"
[[rule]]
name = "never"
match = { action = "smash" }
effect = "deny"
[[rule]]
name = "ask"
effect = "approve"
approvals = [{ role = "dba" }]
expires_seconds = 3600
"""
)
ASK_TWO = ASK_ONE.replace('{ role = "dba" }', '{ role = "dba" }, { role = "sre" }')
ALLOW = ROLES + '[[rule]]\nname = "all"\neffect = "auto"\n'


@dataclass
class Valves(FakeSubject):
    """Valves that are turned; what was done stands in ``done``."""

    name: str = "fake"
    clock: Clock | None = None
    state: dict[str, Any] = field(default_factory=lambda: {"1": {"open": False, "flow": 0}})
    done: list[tuple[str, int]] = field(default_factory=list)
    dark: bool = False
    seen: dict[str, Any] = field(default_factory=dict)
    version: int = 1

    def get_action_definitions(self) -> list[ActionDefinition]:
        """Return what can be done with a valve."""
        valve = {"valve": ParamDef(type="int")}
        common: dict[str, Any] = {"parameters": valve, "version": self.version}
        turns = ("valves/{valve}/open",)
        turn: dict[str, Any] = {"facts": turns, "changes": turns}
        return [
            ActionDefinition(name="look", description="-", tags=("read-only",), **common),
            ActionDefinition(
                name="turn", description="-", tags=("movement",), inverse="shut", **turn, **common
            ),
            ActionDefinition(name="shut", description="-", **common),
            ActionDefinition(
                name="block",
                description="-",
                temporary_effect="blocked/{valve}",
                inverse="unblock",
                **common,
            ),
            ActionDefinition(name="unblock", description="-", **common),
            ActionDefinition(name="smash", description="-", risk_level=RiskLevel.HIGH, **common),
            ActionDefinition(name="knock", description="-", disruptive=True, **common),
            ActionDefinition(
                name="flush",
                description="-",
                needs_sources=("valves",),
                max_age_seconds=30,
                **common,
            ),
        ]

    async def observe(self) -> Observation:
        """Return the valves, if there is light."""
        if self.dark:
            raise SubjectUnreachableError("it is dark")
        assert self.clock is not None
        now = self.clock.now()
        data = {name: dict(one) for name, one in self.state.items()}
        part = Part(source="eyes", observed_at=now, data=data).model_copy(update=self.seen)
        return Observation(subject=self.name, observed_at=now, parts={"valves": part})

    async def perform(self, call: ActionCall) -> object:
        """Do it."""
        await self._before()
        valve = int(call.parameters["valve"])
        self.done.append((call.action_name, valve))
        if call.action_name == "turn":
            one = self.state.setdefault(str(valve), {"open": False, "flow": 0})
            one["open"] = not one["open"]
        return None


@dataclass
class Gate:
    """A bench whose ledger has a policy in force."""

    bench: Bench
    valves: Valves

    @property
    def policies(self) -> PolicyDB:
        """The policies of the ledger."""
        return PolicyDB(self.bench.ledger)

    async def enforce(self, text: str) -> LoadedPolicy:
        """Put a policy in force."""
        loaded = load(text)
        await self.policies.enforce(loaded, source="test", actor="root")
        return loaded

    async def look(self) -> int:
        """Let the monitor look once."""
        observation = await self.valves.observe()
        return await self.bench.tickets.record_look(observation, {}, subject="fake")

    async def proposed(self, action: str, valve: int = 1, *, by: str = "agent") -> int:
        """Propose an action; return its id."""
        found = await self.bench.executor().propose_action(wanted(action, valve), proposed_by=by)
        return id_of(found)

    async def valid(self, action: str, valve: int = 1, *, by: str = "agent") -> int:
        """Propose and validate an action; return its id."""
        proposal_id = await self.proposed(action, valve, by=by)
        await self.bench.executor().validate_proposal(proposal_id)
        return proposal_id

    async def approve(self, proposal_id: int, *people: str) -> ActionProposal:
        """Let people approve, one after the other."""
        for person in people:
            await self.bench.db.approve_proposal(proposal_id, person)
        return await self.bench.get(proposal_id)

    async def chain(self, *actions: str, validate: bool = True) -> tuple[int, list[int]]:
        """Propose a workflow; return its id and its steps'."""
        executor = self.bench.executor()
        workflow_id = await executor.propose_workflow("w", "-", [wanted(one) for one in actions])
        steps = [id_of(one) for one in await self.bench.db.list_workflow_actions(workflow_id)]
        for step in steps if validate else []:
            await executor.validate_proposal(step)
        return workflow_id, steps

    async def workflow_approved_by(self, workflow_id: int) -> str | None:
        """Return who approved a workflow."""
        found = await self.bench.db.get_workflow(workflow_id)
        assert found is not None
        return found.approved_by


def wanted(action: str, valve: int = 1) -> ActionRecommendation:
    """Return a recommendation."""
    return ActionRecommendation(action_name=action, parameters={"valve": valve}, reason="-")


@asynccontextmanager
async def gate(folder: Path, text: str = ASK_ONE, *, approval: bool = False) -> AsyncIterator[Gate]:
    """Open an engine under a policy; an empty one is none."""
    async with bench(folder, approval_mode=approval) as one:
        valves = Valves(clock=one.clock)
        one.subject = valves
        made = Gate(one, valves)
        await made.look()
        if text:
            await made.enforce(text)
        yield made

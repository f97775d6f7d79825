"""The cage that canaries sing in: a scratch ledger, a cluster that is none, the real executor."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property

from operator_core.actions.audit import ActionAuditor
from operator_core.actions.execution import carry_out
from operator_core.actions.executor import ActionExecutor
from operator_core.actions.policy import load
from operator_core.actions.registry import ActionRegistry
from operator_core.actions.retry import RetryConfig
from operator_core.actions.safety import SafetyController
from operator_core.actions.terms import Terms
from operator_core.actions.types import (
    ActionDefinition,
    ActionProposal,
    ActionRecord,
    ActionRequest,
    ActionStatus,
    ParamDef,
)
from operator_core.agent.diagnosis import ActionRecommendation
from operator_core.clock import SYSTEM_CLOCK, Clock
from operator_core.db import rows
from operator_core.db.actions import ActionDB
from operator_core.db.changes import Stamp
from operator_core.db.claims import Attempt, ClaimTerms
from operator_core.db.control import ControlDB
from operator_core.db.engine import Tx
from operator_core.db.executions import ExecutionDB
from operator_core.db.ledger import Ledger, scratch_ledger
from operator_core.db.policy import PolicyDB
from operator_core.db.tickets import TicketDB
from operator_core.errors import RequestError, SubjectError
from operator_core.monitor.types import Observation, Part, Violation
from operator_core.subject import ActionCall, SubjectDefaults
from operator_core.twin import BlastRadius, Prediction, Twin
from operator_core.types import JsonObject, RunMode

PERSON = "canary-keeper"
AGENT = "canary"
_VALVE = {"valve": ParamDef(type="int", minimum=0, maximum=9, description="Any number")}
ACTIONS = (
    ActionDefinition(name="turn", description="Turn a valve", parameters=_VALVE),
    ActionDefinition(
        name="shut",
        description="Shut a valve that was looked at",
        parameters=_VALVE,
        facts=("valves/{valve}/open",),
    ),
    ActionDefinition(
        name="flush",
        description="Flush what is seen",
        parameters=_VALVE,
        needs_sources=("valves",),
        max_age_seconds=30,
    ),
    ActionDefinition(name="smash", description="Smash a valve", parameters=_VALVE, disruptive=True),
    ActionDefinition(
        name="block",
        description="Block a valve for a while",
        parameters=_VALVE,
        temporary_effect="blocked/{valve}",
        inverse="unblock",
    ),
    ActionDefinition(name="unblock", description="Unblock a valve", parameters=_VALVE),
)


class CageClock:
    """A clock that can be put forward."""

    def __init__(self, clock: Clock = SYSTEM_CLOCK) -> None:
        self._clock = clock
        self.ahead = timedelta(0)

    def now(self) -> datetime:
        """Return the moment that the cage believes in."""
        return self._clock.now() + self.ahead

    async def sleep(self, seconds: float) -> None:
        """Wait for a number of seconds."""
        await self._clock.sleep(seconds)


@dataclass(frozen=True)
class _NullTwin:
    """Says of every call what it was told to say."""

    blast: BlastRadius
    worse: tuple[str, ...]

    def apply(self, call: ActionRequest) -> Prediction:
        """Return the same, whatever is called."""
        del call
        return Prediction(seconds=0.0, blast=self.blast, then=self, worse=self.worse)


@dataclass
class NullSubject(SubjectDefaults):
    """A cluster that is none: what is done to it stands in ``done``, and nowhere else.

    Attributes:
        name: the cluster's name.
        clock: the source of time.
        offers: its actions.
        is_open: the one fact there is.
        part: what its one source says of itself; None: it says nothing.
        is_dark: whether it cannot be seen at all.
        is_brittle: whether whatever is done to it makes it less safe.
        touched_share: how much of it is touched by whatever is done.
        behind: whose models count in place of its own, if anybody's.
        done: the actions that were carried out.
    """

    name: str = "null"
    clock: Clock = SYSTEM_CLOCK
    offers: tuple[ActionDefinition, ...] = ACTIONS
    is_open: bool = False
    part: JsonObject | None = field(default_factory=dict)
    is_dark: bool = False
    is_brittle: bool = False
    touched_share: float = 0.0
    behind: SubjectDefaults | None = None
    done: list[str] = field(default_factory=list)

    def get_action_definitions(self) -> list[ActionDefinition]:
        """Return its actions."""
        return list(self.offers)

    async def observe(self) -> Observation:
        """Return its one valve."""
        if self.is_dark:
            raise SubjectError("It is dark in the cage.")
        now = self.clock.now()
        if self.part is None:
            return Observation(subject=self.name, observed_at=now, parts={})
        data = {"1": {"open": self.is_open}}
        part = Part(source="cage", observed_at=now, data=data).model_copy(update=self.part)
        return Observation(subject=self.name, observed_at=now, parts={"valves": part})

    def twin(self, observation: Observation) -> Twin:
        """Return a model of it in which nothing ever changes."""
        del observation
        worse = ("it breaks",) if self.is_brittle else ()
        return _NullTwin(BlastRadius(*[self.touched_share] * 4), worse)

    def temporary_effects(self, observation: Observation) -> frozenset[str]:
        """Return none: what was put on it is not looked for."""
        del observation
        return frozenset()

    async def perform(self, call: ActionCall) -> object:
        """Write down that it was done."""
        self.done.append(call.action_name)
        return None


@dataclass(frozen=True)
class Cage:
    """One canary's place: its own subject on a scratch ledger."""

    ledger: Ledger
    clock: CageClock
    subject: NullSubject
    require_approval: bool = False

    @property
    def db(self) -> ActionDB:
        """The scratch ledger's side of acting."""
        return ActionDB(self.ledger)

    def stamp(self) -> Stamp:
        """Return who changes something here, and when."""
        return Stamp(PERSON, self.clock.now())

    @cached_property
    def _registry(self) -> ActionRegistry:
        return ActionRegistry(self.subject)

    @cached_property
    def executor(self) -> ActionExecutor:
        """The executor that the agent has, on this ledger and subject."""
        auditor = ActionAuditor(self.ledger, clock=self.clock)
        return ActionExecutor(
            self.ledger,
            self._registry,
            SafetyController(self.ledger, auditor, clock=self.clock),
            auditor,
            self.require_approval,
            RetryConfig(max_attempts=0),
            clock=self.clock,
        )

    def offer(self, *actions: ActionDefinition) -> None:
        """Let the subject offer other actions from now on."""
        self.subject.offers = actions
        self._registry.refresh()

    async def enforce(self, *texts: str) -> None:
        """Put a policy in force."""
        await PolicyDB(self.ledger).enforce(load("\n".join(texts)), source="cage", actor=PERSON)

    async def look(self) -> None:
        """Let the subject be seen, as a monitor does."""
        observation = await self.subject.observe()
        await TicketDB(self.ledger).record_look(observation, {}, subject=self.subject.name)

    async def suspect(self, target: str) -> int:
        """Report a problem at a target; return its ticket."""
        broken = Violation(invariant="leak", target=target, message="it leaks")
        ticket = await TicketDB(self.ledger).report(broken, subject=self.subject.name)
        return int(ticket.id or 0)

    async def propose(self, action: str = "turn") -> int:
        """Propose an action; return its id."""
        found = await self.executor.propose_action(wanted(action), proposed_by=AGENT)
        return int(found.id or 0)

    async def valid(self, action: str = "turn") -> int:
        """Propose an action, and have it validated."""
        return await self.validated(await self.propose(action))

    async def validated(self, proposal_id: int) -> int:
        """Have a proposal validated."""
        await self.executor.validate_proposal(proposal_id)
        return proposal_id

    async def slipped_in(self, **columns: object) -> int:
        """Store and validate a proposal past the executor, as a faulty stage might."""
        columns = {"action_name": "turn", "parameters": {"valve": 1}, "reason": "-"} | columns
        columns.setdefault("subject", self.subject.name)
        stored = await self.db.create_proposal(ActionProposal.model_validate(columns))
        return await self.validated(int(stored.id or 0))

    async def forced_in(self, **columns: object) -> int:
        """Write a valid proposal past every check, as a hand in the ledger might."""
        now = self.clock.now()
        valid = {"status": ActionStatus.VALIDATED, "proposed_at": now, "validated_at": now}
        planted = {"action_name": "turn", "parameters": {"valve": 1}, "reason": "-"}
        columns = planted | {"subject": self.subject.name} | valid | columns
        model = ActionProposal.model_validate(columns)
        params = {**rows.proposal_params(model), "now": self.stamp().text}
        (proposal_id,) = await self.ledger.write(lambda tx: tx.insert("proposal.insert", [params]))
        return proposal_id

    async def workflow(self, *actions: str) -> tuple[int, list[int]]:
        """Propose a workflow, and have its steps validated; return its id and theirs."""
        steps = [wanted(name) for name in actions]
        workflow_id = await self.executor.propose_workflow("planted", "-", steps)
        found = await self.db.list_workflow_actions(workflow_id)
        return workflow_id, [await self.validated(int(step.id or 0)) for step in found]

    async def carry_out(self, attempt: Attempt) -> ActionRecord:
        """Go on with an attempt that was claimed before, as the executor does."""
        claim = ClaimTerms(
            attempt.proposal.owner or "", self.ledger.ledger_id, 60.0, require_approval=False
        )
        terms = Terms(claim, lambda *_: None, self.clock)
        registry = ActionRegistry(self.subject)
        return await carry_out(ExecutionDB(self.ledger), attempt, self.subject, registry, terms)

    async def run(self, proposal_id: int) -> None:
        """Execute a proposal as the agent does."""
        await self.executor.execute_proposal(proposal_id, self.subject)


def wanted(action: str) -> ActionRecommendation:
    """Return the recommendation of an action of the cage."""
    return ActionRecommendation(action_name=action, parameters={"valve": 1}, reason="planted")


@asynccontextmanager
async def scratch(clock: Clock = SYSTEM_CLOCK) -> AsyncIterator[Ledger]:
    """Make a scratch ledger in memory; it is gone afterwards.

    Raises:
        LedgerError: it cannot be made.
    """
    async with scratch_ledger(CageClock(clock)) as ledger:
        yield ledger


async def cage(ledger: Ledger, name: str, *, require_approval: bool = False) -> Cage:
    """Return a cage on a scratch ledger, which may act from now on.

    Args:
        ledger: as `scratch` opened it.
        name: of the subject in it; one that was not there before.
        require_approval: whether a person must approve where no policy is in force.

    Raises:
        RequestError: it is no scratch ledger.
    """
    clock = ledger.clock
    if not isinstance(clock, CageClock):
        raise RequestError("A cage needs a scratch ledger, never that of a cluster.")
    await ControlDB(ledger).set_mode(RunMode.EXECUTE, actor=PERSON)
    return Cage(ledger, clock, NullSubject(name, clock), require_approval)


async def sweep(ledger: Ledger) -> None:
    """Cancel what waits on a scratch ledger: a policy that comes into force asks about it all.

    It is written past the audit, as a hand in the ledger might: nobody reads that one.
    """
    now = ledger.now_text()

    def work(tx: Tx) -> None:
        for kind, waiting in (
            ("workflow", "workflow.unfinished"),
            ("proposal", "proposal.pending"),
        ):
            for row in tx.all(waiting):
                tx.one(f"{kind}.cancel", id=row["id"], now=now)

    await ledger.write(work)


def rule(effect: str, more: str = "") -> str:
    """Return a policy's text: one rule for everything."""
    return f'unknown_blast = "as ruled"\n{more}\n[[rule]]\nname = "all"\neffect = "{effect}"\n'


def asking(people: Iterable[str] = (PERSON,), *, seconds: float = 3600, count: int = 1) -> str:
    """Return a policy's text: everything on the words of some people."""
    names = ", ".join(f'"{one}"' for one in people)
    return (
        f"[roles]\nkeeper = [{names}]\n"
        '[[rule]]\nname = "ask"\neffect = "approve"\n'
        f'approvals = [{{ role = "keeper", count = {count} }}]\n'
        f"expires_seconds = {seconds}\n"
    )

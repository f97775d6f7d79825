"""A whole engine on a fresh ledger, for tests: one context manager, everything at hand."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from ledger_places import address_of
from operator_core.actions.audit import ActionAuditor
from operator_core.actions.executor import ActionExecutor
from operator_core.actions.registry import ActionRegistry
from operator_core.actions.retry import RetryConfig
from operator_core.actions.safety import SafetyController
from operator_core.actions.types import (
    ActionProposal,
    ActionRecord,
    ActionStatus,
    SafetyMode,
)
from operator_core.agent.diagnosis import ActionRecommendation
from operator_core.db.actions import ActionDB
from operator_core.db.claims import ClaimTerms
from operator_core.db.control import ControlDB
from operator_core.db.engine import Row
from operator_core.db.executions import ExecutionDB
from operator_core.db.ledger import Ledger, open_ledger, scratch_ledger
from operator_core.db.tickets import TicketDB
from operator_core.testing.clock import LeapingClock, ManualClock
from operator_core.testing.fakes import FakeSubject

LEASE_SECONDS = 30.0


def recommend(action_name: str = "act", **parameters: object) -> ActionRecommendation:
    """Return a recommendation of one of the fake's actions."""
    if not parameters and action_name.startswith("act"):
        parameters = {"value": 1}
    return ActionRecommendation(action_name=action_name, parameters=parameters, reason="it is ill")


def proposal(action_name: str = "act", /, **columns: Any) -> ActionProposal:  # noqa: ANN401 - any column
    """Return a proposal that is not stored yet."""
    columns.setdefault("parameters", {"value": 1} if action_name.startswith("act") else {})
    return ActionProposal(action_name=action_name, reason="it is ill", **columns)


def id_of(stored: ActionProposal | ActionRecord | None) -> int:
    """Return the id of something that is stored."""
    assert stored is not None
    assert stored.id is not None
    return stored.id


@dataclass
class Bench:
    """An engine: its ledger, stores, subject and machines."""

    ledger: Ledger
    clock: ManualClock
    subject: FakeSubject
    approval_mode: bool = False
    retry: RetryConfig = field(default_factory=lambda: RetryConfig(jitter_fraction=0.0))

    @property
    def db(self) -> ActionDB:
        return ActionDB(self.ledger)

    @property
    def executions(self) -> ExecutionDB:
        return ExecutionDB(self.ledger)

    @property
    def control(self) -> ControlDB:
        return ControlDB(self.ledger)

    @property
    def tickets(self) -> TicketDB:
        return TicketDB(self.ledger)

    @property
    def safety(self) -> SafetyController:
        return SafetyController(self.ledger, self.auditor, SafetyMode.EXECUTE, clock=self.clock)

    @property
    def auditor(self) -> ActionAuditor:
        return ActionAuditor(self.ledger, clock=self.clock)

    def executor(
        self,
        owner: str = "one",
        *,
        approval_mode: bool | None = None,
        ledger: Ledger | None = None,
        subject: FakeSubject | None = None,
    ) -> ActionExecutor:
        """Return an executor on this ledger."""
        return ActionExecutor(
            ledger or self.ledger,
            ActionRegistry(subject or self.subject),
            self.safety,
            self.auditor,
            self.approval_mode if approval_mode is None else approval_mode,
            self.retry,
            owner=owner,
            lease_seconds=LEASE_SECONDS,
            clock=self.clock,
        )

    def terms(self, owner: str) -> ClaimTerms:
        """Return the terms on which an owner claims."""
        return ClaimTerms(owner, self.ledger.ledger_id, LEASE_SECONDS, require_approval=False)

    async def validated(self, action_name: str = "act", **parameters: object) -> int:
        """Propose and validate an action; return its id."""
        executor = self.executor()
        stored = await executor.propose_action(recommend(action_name, **parameters))
        return id_of(await executor.validate_proposal(id_of(stored)))

    async def workflow(self, *names: str, validate: bool = True, approve: bool = True) -> list[int]:
        """Propose a workflow of these actions; return the ids of its steps."""
        executor = self.executor()
        steps = [recommend(name, **({"seconds": 300} if name == "wait" else {})) for name in names]
        workflow_id = await executor.propose_workflow("drain_and_verify", "as it says", steps)
        ids = [id_of(step) for step in await self.db.list_workflow_actions(workflow_id)]
        for step_id in ids if validate else []:
            await executor.validate_proposal(step_id)
        if approve:
            await self.db.approve_workflow(workflow_id, approved_by="alice")
        return ids

    async def run(self, proposal_id: int, **changes: Any) -> ActionRecord:  # noqa: ANN401 - passed on
        """Execute a proposal."""
        return await self.executor(**changes).execute_proposal(proposal_id, self.subject)

    async def get(self, proposal_id: int) -> ActionProposal:
        """Return a proposal that must exist."""
        found = await self.db.get_proposal(proposal_id)
        assert found is not None
        return found

    async def status(self, proposal_id: int) -> ActionStatus:
        """Return the state of a proposal."""
        return (await self.get(proposal_id)).status

    async def events(self, proposal_id: int | None = None) -> list[str]:
        """Return the audit's event types, oldest first."""
        return [one.event_type for one in await self.auditor.list_events(proposal_id)]

    async def rows(self, name: str, **params: Any) -> list[Row]:  # noqa: ANN401 - any parameter
        """Return the rows of a named statement."""
        return await self.ledger.read(lambda tx: tx.all(name, **params))

    def in_seconds(self, seconds: float) -> datetime:
        """Return a moment relative to now."""
        return self.clock.now() + timedelta(seconds=seconds)


@asynccontextmanager
async def bench(
    folder: Path,
    *,
    clock: ManualClock | None = None,
    approval_mode: bool = False,
    lasting: bool = True,
) -> AsyncIterator[Bench]:
    """Open an engine in execute mode on a fresh ledger; time leaps over every sleep.

    ``lasting``: whether its file survives a crash of the machine. A test whose processes only
    seem to die need not wait for the disk.
    """
    clock = clock or LeapingClock()
    async with _opened(folder, clock) if lasting else scratch_ledger(clock) as ledger:
        made = Bench(ledger, clock, FakeSubject(), approval_mode)
        try:
            await made.safety.state()
            yield made
        finally:
            made.subject.let_go.set()  # a call that cannot be stopped would hold up the loop's end


@asynccontextmanager
async def _opened(folder: Path, clock: ManualClock) -> AsyncIterator[Ledger]:
    ledger = await open_ledger(address_of(folder), clock)
    try:
        yield ledger
    finally:
        await ledger.engine.close()


async def until(condition: Callable[[], bool], *, seconds: float = 1.5) -> None:
    """Let others run until a condition holds.

    Raises:
        TimeoutError: it does not come to hold.
    """
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - threads and tasks have no common event
            await asyncio.sleep(0.001)

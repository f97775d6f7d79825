"""Our engine as a benchmark uses it: the public API, policy auto, a subject that does nothing.

No twin rehearses anything and no person is asked: what is left is the engine itself.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from operator_core.actions.audit import ActionAuditor
from operator_core.actions.executor import ActionExecutor
from operator_core.actions.registry import ActionRegistry
from operator_core.actions.safety import SafetyController
from operator_core.actions.types import ActionDefinition, ActionStatus, ParamDef, SafetyMode
from operator_core.agent.diagnosis import ActionRecommendation
from operator_core.db.actions import ActionDB
from operator_core.monitor.types import Observation
from operator_core.subject import SubjectDefaults

ACTION = "touch"
SUBJECT = "bench"


class Still(SubjectDefaults):
    """A subject with one action that does nothing but say that it was called."""

    name = SUBJECT

    def __init__(self, on_effect: Callable[[int], None] | None = None) -> None:
        """Take who is told of each effect."""
        self.effects = 0
        self._on_effect = on_effect

    async def observe(self) -> Observation:
        """Return an observation without parts."""
        return Observation(subject=self.name)

    def get_action_definitions(self) -> list[ActionDefinition]:
        """Return the one action."""
        value = {"value": ParamDef(type="int", description="Any number")}
        return [
            ActionDefinition(
                name=ACTION, description="Do nothing", parameters=value, idempotent=True
            )
        ]

    async def touch(self, value: int) -> None:
        """Do nothing."""
        self.effects += 1
        if self._on_effect is not None:
            self._on_effect(value)


@dataclass(frozen=True)
class Ours:
    """An open engine."""

    db: ActionDB
    executor: ActionExecutor
    subject: Still

    async def life_cycle(self, value: int) -> None:
        """Take one action from its proposal to its recorded success."""
        proposal = await self.executor.propose_action(recommend(value))
        await self.execute(await self.validate(int(proposal.id or 0)))

    async def validate(self, proposal_id: int) -> int:
        """Validate a proposal, which approves it where nobody is to be asked."""
        await self.executor.validate_proposal(proposal_id)
        return proposal_id

    async def execute(self, proposal_id: int) -> None:
        """Execute a proposal and insist on its success.

        Raises:
            RuntimeError: it did not succeed, so that its time means nothing.
        """
        record = await self.executor.execute_proposal(proposal_id, self.subject)
        if not record.success:
            raise RuntimeError(f"proposal {proposal_id} failed: {record.error_message}")

    async def require_completed(self, count: int) -> None:
        """Check that the ledger says what the benchmark believes.

        Raises:
            RuntimeError: it does not.
        """
        stored = len(await self.db.list_proposals(ActionStatus.COMPLETED))
        if (stored, self.subject.effects) != (count, count):
            raise RuntimeError(f"{stored} completed, {self.subject.effects} effects, not {count}")


def recommend(value: int) -> ActionRecommendation:
    """Return the recommendation of the one action."""
    return ActionRecommendation(action_name=ACTION, parameters={"value": value}, reason="bench")


@asynccontextmanager
async def opened(
    where: Path | str, subject: Still | None = None, *, approval_mode: bool = False
) -> AsyncIterator[Ours]:
    """Open an engine in execute mode with its default durability."""
    subject = subject or Still()
    async with ActionDB(where) as db:
        auditor = ActionAuditor(db.ledger)
        safety = SafetyController(db.ledger, auditor, SafetyMode.EXECUTE)
        await safety.state()
        registry = ActionRegistry(subject)
        executor = ActionExecutor(db.ledger, registry, safety, auditor, approval_mode)
        yield Ours(db, executor, subject)

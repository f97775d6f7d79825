"""Our engine as a benchmark uses it: the public API, policy auto, a subject that does nothing.

No twin rehearses anything and no person is asked: what is left is the engine itself.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.ours.still import ACTION, Still
from operator_core.actions.audit import ActionAuditor
from operator_core.actions.executor import ActionExecutor
from operator_core.actions.registry import ActionRegistry
from operator_core.actions.safety import SafetyController
from operator_core.actions.types import ActionStatus, SafetyMode
from operator_core.agent.diagnosis import ActionRecommendation
from operator_core.db.actions import ActionDB


@dataclass(frozen=True)
class Ours:
    """An open engine."""

    db: ActionDB
    executor: ActionExecutor
    subject: Still

    async def run(self, value: int) -> None:
        """Take one action from its proposal to its recorded success, in one go."""
        run = await self.executor.run_action(recommend(value), self.subject)
        if run.record is None or not run.record.success:
            raise RuntimeError(f"proposal {run.proposal.id} did not succeed: {run.refused}")

    async def life_cycle(self, value: int) -> None:
        """Take one action from its proposal to its recorded success, call by call."""
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

"""Rehearses proposals on a twin of the cluster, and measures afterwards how right it was."""

import asyncio
from collections.abc import Iterable, Sequence

from operator_core.actions.rehearsal import (
    BROKEN_TWIN,
    Rehearsal,
    measure,
    rehearse,
    require_safe,
)
from operator_core.actions.types import ActionProposal, ActionRecord, ActionRequest, ActionType
from operator_core.contain import contained
from operator_core.db.ledger import Ledger
from operator_core.db.rehearsals import RehearsalDB
from operator_core.logs import get_logger
from operator_core.monitor.types import Observation
from operator_core.subject import FullSubject, has_twin
from operator_core.twin import Twin

LOOK_LIMIT_SECONDS = 10.0
"""How long the look that a twin is built from may take."""

log = get_logger(__name__)


class Rehearser:
    """Rehearses for one cluster."""

    def __init__(self, ledger: Ledger, subject: FullSubject) -> None:
        """Take an open ledger and the cluster."""
        self._rehearsals = RehearsalDB(ledger)
        self._subject = subject

    async def rehearse(self, proposals: Sequence[ActionProposal]) -> dict[int, Rehearsal]:
        """Rehearse what waits for validation, from one look, and keep what the twin says.

        Args:
            proposals: with all steps of each workflow that waits.

        Returns:
            The rehearsals by the proposal's id; none of what nobody could rehearse, of what undoes
            a step (see `require_safe_undo`) and of what has no effect on the cluster.
        """
        concerned = [one for one in proposals if _is_rehearsed(one)]
        twin = await self._twin() if concerned else None
        if twin is None:
            return {}
        found: dict[int, Rehearsal] = {}
        for steps in _together(concerned):
            found |= self._of_steps(twin, steps)
        for proposal_id, rehearsal in found.items():
            await self._rehearsals.add(proposal_id, rehearsal)
        return found

    def _of_steps(self, twin: Twin, steps: Sequence[ActionProposal]) -> dict[int, Rehearsal]:
        calls = [
            ActionRequest(action_name=one.action_name, parameters=one.parameters) for one in steps
        ]
        undos = [one.compensation for one in reversed(steps) if one.compensation is not None]
        try:
            said = rehearse(twin, calls, undos)
        except BROKEN_TWIN as error:
            log.warning("not_rehearsed", subject=self._subject.name, reason=repr(error))
            return {}
        return dict(zip((int(one.id or 0) for one in steps), said, strict=True))

    async def require_safe_undo(self, undo: ActionProposal) -> None:
        """Rehearse what undoes a step right before it runs, and keep what the twin says.

        Args:
            undo: what is about to run; what undoes nothing was rehearsed when it was validated.

        Raises:
            UnsafeError: it would make something worse now.
        """
        twin = await self._twin() if undo.compensates_proposal_id is not None else None
        said = self._of_steps(twin, [undo]) if twin is not None else {}
        for proposal_id, rehearsal in said.items():
            await self._rehearsals.add(proposal_id, rehearsal)
            require_safe(rehearsal)

    async def _twin(self) -> Twin | None:
        seen = await self._look() if has_twin(self._subject) else None
        try:
            return None if seen is None else self._subject.twin(seen)
        except BROKEN_TWIN as error:
            log.warning("no_twin", subject=self._subject.name, reason=repr(error))
            return None

    async def _look(self) -> Observation | None:
        try:
            async with asyncio.timeout(LOOK_LIMIT_SECONDS):
                return await contained(self._subject.observe())
        except Exception as error:  # noqa: BLE001 - whatever a subject raises, nothing was seen
            log.info("no_twin", subject=self._subject.name, reason=str(error) or "it took too long")
            return None

    async def measure(self, record: ActionRecord) -> None:
        """Look at the cluster after an effect, and keep how right its rehearsal was."""
        if not record.success or not has_twin(self._subject):
            return
        rehearsed = await self._rehearsals.latest(record.proposal_id)
        known = rehearsed is not None and rehearsed.rehearsal.seconds is not None
        seen = await self._look() if known else None
        if rehearsed is None or seen is None or not (record.started_at and record.completed_at):
            return
        seconds = (record.completed_at - record.started_at).total_seconds()
        came = measure(rehearsed.rehearsal, seen, seconds)
        await self._rehearsals.measure(record.proposal_id, came)


def _is_rehearsed(proposal: ActionProposal) -> bool:
    undoes = proposal.compensates_proposal_id is not None
    return proposal.action_type is ActionType.SUBJECT and not undoes


def _together(proposals: Iterable[ActionProposal]) -> list[list[ActionProposal]]:
    """Return the steps of each workflow in their order, and each other proposal by itself."""
    groups: dict[tuple[str, int | None], list[ActionProposal]] = {}
    for one in proposals:
        alone = one.workflow_id is None
        key = ("proposal", one.id) if alone else ("workflow", one.workflow_id)
        groups.setdefault(key, []).append(one)
    return [sorted(steps, key=lambda one: one.execution_order) for steps in groups.values()]

"""Rehearses proposals on a twin of the cluster, and measures afterwards how right it was."""

import asyncio
from collections.abc import Sequence

from operator_core.actions.rehearsal import (
    BROKEN_TWIN,
    Rehearsal,
    measure,
    rehearse_steps,
    require_safe,
    together,
)
from operator_core.actions.types import ActionProposal, ActionRecord, ActionType
from operator_core.contain import contained, said
from operator_core.db import rows
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
        return await self._said(concerned) if concerned else {}

    async def require_safe_undo(self, undo: ActionProposal) -> None:
        """Rehearse what undoes a step right before it runs, and keep what the twin says.

        Args:
            undo: what is about to run; what undoes nothing was rehearsed when it was validated.

        Raises:
            UnsafeError: it would make something worse now.
        """
        if undo.compensates_proposal_id is not None:
            for rehearsal in (await self._said([undo])).values():
                require_safe(rehearsal)

    async def _said(self, proposals: Sequence[ActionProposal]) -> dict[int, Rehearsal]:
        """Return what a twin says of proposals, after it was stored with the look behind it."""
        seen = await self._look() if has_twin(self._subject) else None
        if seen is None:
            return {}
        look = rows.as_stored(seen.model_copy(update={"subject": self._subject.name}))
        twin = self._twin(look)
        said = {} if twin is None else self._rehearsed(twin, proposals)
        await self._rehearsals.add(said, look)
        return said

    def _rehearsed(self, twin: Twin, proposals: Sequence[ActionProposal]) -> dict[int, Rehearsal]:
        found: dict[int, Rehearsal] = {}
        for steps in together(proposals):
            try:
                found |= rehearse_steps(twin, steps)
            except BROKEN_TWIN as error:
                log.warning("not_rehearsed", subject=self._subject.name, reason=repr(error))
        return found

    def _twin(self, seen: Observation) -> Twin | None:
        try:
            return self._subject.twin(seen)
        except BROKEN_TWIN as error:
            log.warning("no_twin", subject=self._subject.name, reason=repr(error))
            return None

    async def _look(self) -> Observation | None:
        try:
            async with asyncio.timeout(LOOK_LIMIT_SECONDS):
                return await contained(self._subject.observe())
        except Exception as error:  # noqa: BLE001 - whatever a subject raises, nothing was seen
            log.info(
                "no_twin", subject=self._subject.name, reason=said(error) or "it took too long"
            )
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

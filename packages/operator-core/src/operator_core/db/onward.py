"""The end of a step and the claim of the one after it, in one transaction.

Both transitions stand in the audit as if each had its own, and the gate is asked as in any claim.
A crash comes before both or after both.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from operator_core.actions.types import ActionRecord, Outcome
from operator_core.clock import Clock, monotonic_seconds
from operator_core.db import attempts, policies, proposals, safety
from operator_core.db.attempts import Ending, Finish
from operator_core.db.claims import Attempt, Claim, ClaimTerms, claim_found
from operator_core.db.engine import Row, Tx
from operator_core.db.executions import ExecutionDB
from operator_core.db.ledger import Ledger
from operator_core.errors import ConflictError, RefusedError

_NEXT_STEPS = "proposal.next_steps"


class Onward(NamedTuple):
    """A step that has succeeded, and who wants to take the one after it.

    Attributes:
        finish: the attempt that has ended.
        terms: on what terms the next step is claimed.
        clock: the source of time.
        needs_look: says of an action's name whether the cluster is looked at before its claim.
    """

    finish: Finish
    terms: ClaimTerms
    clock: Clock
    needs_look: Callable[[str], bool]


class Went(NamedTuple):
    """The record of a step that has ended, and the claim of the next one, if it was taken."""

    record: ActionRecord
    taken: Attempt | None


def go_on_each(tx: Tx, items: Sequence[Onward]) -> list[Went | Exception]:
    """Complete steps, and claim those after them which the gate lets through right now.

    Raises:
        LostLeaseError: somebody else has taken a step over.
        LimitError: a step may not run beside another one; nothing has ended then either.
    """
    safety.expect_state_of_claim(tx)  # first, as in any claim
    policies.expect(tx)
    finishes = [item.finish for item in items]
    completed = attempts.start_completion(tx, finishes)
    ids = json.dumps(sorted(item.finish.attempt.proposal_id for item in items))
    tx.expect(_NEXT_STEPS, ids=ids)
    records = attempts.record_each(tx, finishes)
    ended = completed()
    found, claims = _next_steps(tx, items, ids)
    known = {row["id"]: row for row, _ in ended}
    tx.expect_new("record", len(claims))
    switch = safety.state_of_claim(tx)
    verdicts = claim_found(tx, claims, found, switch, known) if claims else []
    taken = {
        one.proposal.depends_on_proposal_id: one for one in verdicts if isinstance(one, Attempt)
    }
    # A workflow goes on while a step of it has just been claimed: there is nothing to add up.
    proposals.settle_each(tx, [(row, stamp) for row, stamp in ended if row["id"] not in taken])
    return [Went(record, taken.get(record.proposal_id)) for record in records]


def _next_steps(tx: Tx, items: Sequence[Onward], ids: str) -> tuple[Mapping[int, Row], list[Claim]]:
    """Return the steps after those that ended, and the claims of those that need no look."""
    of = {item.finish.attempt.proposal_id: item for item in items}
    found, claims = {}, []
    for row in tx.all(_NEXT_STEPS, ids=ids):
        item = of.pop(row["depends_on_proposal_id"], None)
        if item is not None and not item.needs_look(row["action_name"]):
            found[row["id"]] = row
            claims.append(Claim(row["id"], item.terms, item.clock))
    return found, claims


class OnwardDB(ExecutionDB):
    """What an executor writes who goes on with the next step of a workflow by itself."""

    def __init__(
        self,
        ledger: Ledger,
        terms: ClaimTerms,
        needs_look: Callable[[str], bool],
        may_go_on: Callable[[], bool],
    ) -> None:
        """Take an open ledger.

        Args:
            ledger: the ledger.
            terms: on what terms the next step is claimed.
            needs_look: says of an action's name whether the cluster is looked at before its claim.
            may_go_on: asked before each next step: whether there shall be one.
        """
        super().__init__(ledger)
        self._terms = terms
        self._needs_look = needs_look
        self._may_go_on = may_go_on
        self._taken: tuple[Attempt, float] | None = None

    async def take(self, proposal_id: int, terms: ClaimTerms) -> tuple[Attempt, float]:
        """Claim the first step, as `claim` does; returns what `taken` does."""
        asked_seconds = monotonic_seconds()
        return await self.claim(proposal_id, terms), asked_seconds

    def taken(self) -> tuple[Attempt, float] | None:
        """Hand over the step that was claimed with the last ending, if one was.

        Returns:
            The attempt, and the monotonic seconds before it was asked for.
        """
        taken, self._taken = self._taken, None
        return taken

    async def finish(self, attempt: Attempt, ending: Ending) -> ActionRecord:
        """Write how an attempt ended; where a step succeeded, claim the next one with it.

        Raises:
            LostLeaseError: somebody else has taken the work over.
        """
        step = attempt.proposal
        inside = step.workflow_id is not None and step.compensates_proposal_id is None
        if not inside or ending.outcome is not Outcome.SUCCEEDED or not self._may_go_on():
            return await super().finish(attempt, ending)
        stamp, asked_seconds = self._shared_stamp(step.owner or "system"), monotonic_seconds()
        finish = Finish(attempt, ending, stamp)
        onward = Onward(finish, self._terms, self.ledger.clock, self._needs_look)
        try:
            went = await self._item(go_on_each, onward)
        except (ConflictError, RefusedError):  # what the next step lacks never holds up an end
            return await super().finish(attempt, ending)
        self._taken = (went.taken, asked_seconds) if went.taken else None
        return went.record

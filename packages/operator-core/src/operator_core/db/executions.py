"""`ExecutionDB`: what an executor writes: claims, leases, endings, recovery."""

import json
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from operator_core.actions.lease_sense import Leased
from operator_core.actions.types import (
    ActionProposal,
    ActionRecord,
    ActionRequest,
    ActionStatus,
    Outcome,
)
from operator_core.clock import from_text
from operator_core.db import (
    attempts,
    changes,
    gate,
    policies,
    proposals,
    resends,
    rows,
    withdrawals,
)
from operator_core.db.attempts import Ending, Finish, Hold, Renewal, finish_each, renew_each
from operator_core.db.changes import Change, Stamp
from operator_core.db.claims import Attempt, Claim, ClaimTerms, claim_each
from operator_core.db.engine import Row, Tx
from operator_core.db.gate import Sight
from operator_core.db.proposals import RetryRule
from operator_core.db.sendings import Clearance, Sending, clearance_each, look_each
from operator_core.db.starts import Start, Started, start_each
from operator_core.db.store import Store
from operator_core.db.workflow_starts import WorkflowStart, WorkflowStarted, start_workflows
from operator_core.errors import ConflictError, RefusedError, StaleApprovalError


class Senses(NamedTuple):
    """What a process sees of the owners of attempts.

    Attributes:
        is_dead: tells of an owner's name whether its process surely runs no more.
        is_living: tells of one whether it surely is another process of this machine.
        outwaited: says of others' attempts which leases stood still for as long as they were.
    """

    is_dead: Callable[[str], bool]
    is_living: Callable[[str], bool]
    outwaited: Callable[[Iterable[Leased]], Sequence[Leased]]


class ExecutionDB(Store):
    """Claims, leases and endings of attempts; each method is one durable transaction."""

    async def claim(self, proposal_id: int, terms: ClaimTerms) -> Attempt:
        """Take a proposal for execution, if the gate lets it through right now.

        What waits to be sent again is taken likewise; where the gate refuses it for more than a
        while, it is in doubt from then on.

        Raises:
            NotFoundError: there is no such proposal.
            RefusedError: the gate is closed.
            ConflictError: it is not validated, or its workflow has ended.
        """
        asked_at = self.ledger.clock.now()
        try:
            return await self._item(claim_each, Claim(proposal_id, terms, self.ledger.clock))
        except (RefusedError, ConflictError) as error:
            stamp, why = self._stamp(terms.owner), str(error)
            if isinstance(error, StaleApprovalError):
                sight = terms.sight
                await self._write(
                    lambda tx: _void(tx, proposal_id, why, stamp, asked_at=asked_at, sight=sight)
                )
            if resends.is_final(error):
                await self._refuse_resend(proposal_id, why, stamp)
            raise

    async def start(self, start: Start) -> Started:
        """Store an action and take it for execution, if the gate lets it through right now.

        Raises:
            ObserveOnlyError: Operator may not act.
            LimitError: it may not run beside another one.
            OperatorError: it cannot be stored. In any case nothing is.
        """
        started = await self._item(start_each, start)
        if started.attempt is None:
            self.ledger.offered(started.proposal)
        return started

    async def start_workflow(self, start: WorkflowStart) -> WorkflowStarted:
        """Store a workflow and take its first step, if the gate lets it through right now.

        Raises:
            ObserveOnlyError: Operator may not act.
            LimitError: its first step may not run beside another action.
            OperatorError: it cannot be stored. In any case nothing is.
        """
        started = await self._item(start_workflows, start)
        if started.first.attempt is None:
            self.ledger.offered(started.first.proposal)
        return started

    async def _refuse_resend(self, proposal_id: int, why: str, stamp: Stamp) -> None:
        """Clearance in doubt what waits to be sent again, where the gate will not have it."""
        row = await self._read(lambda tx: tx.one("proposal.get", id=proposal_id))
        if row is not None and resends.awaited(row):
            await self._write(lambda tx: resends.refuse(tx, proposal_id, why, stamp))

    async def call_of(self, proposal_id: int) -> ActionRequest | None:
        """Return the call that a proposal is for, or None where there is no such proposal."""
        row = await self._read(lambda tx: tx.one("proposal.get", id=proposal_id))
        if row is None:
            return None
        parameters = json.loads(row["parameters"] or "{}")
        return ActionRequest(action_name=row["action_name"], parameters=parameters)

    async def finish(self, attempt: Attempt, ending: Ending) -> ActionRecord:
        """Write how an attempt ended, and what follows from it.

        Raises:
            LostLeaseError: somebody else has taken the work over.
        """
        stamp = self._shared_stamp(attempt.proposal.owner or "system")
        return await self._item(finish_each, Finish(attempt, ending, stamp))

    async def look(self, attempt: Attempt) -> Hold:
        """Return whether an attempt is still its owner's, and whether it is asked to stop."""
        return await self.ledger.read_item(look_each, attempt)

    async def clearance(self, attempt: Attempt, sight: Sight) -> Clearance:
        """Return whether an attempt that was let through may still be sent.

        Args:
            attempt: what was claimed some time ago.
            sight: what its executor knew when it claimed.
        """
        stamp = self._stamp(attempt.proposal.owner or "system")
        return await self.ledger.read_item(clearance_each, Sending(attempt, sight, stamp))

    async def renew(self, attempt: Attempt, lease_seconds: float) -> bool:
        """Renew the lease of an attempt; False: it belongs to somebody else now."""
        renewal = Renewal(attempt, lease_seconds, self.ledger.clock)
        return await self._item(renew_each, renewal)

    async def tell_progress(self, attempt: Attempt, text: str) -> None:
        """Write into the audit how far a running call has come, as it says itself."""
        told = Change("", "execution_progress", {"text": text})
        stamp = self._stamp(attempt.proposal.owner or "system")
        await self._write(
            lambda tx: changes.tell(tx, "proposal", rows.brief(attempt.proposal), told, stamp)
        )

    async def server_started_at(self) -> datetime | None:
        """Return since when the ledger's server runs; None: it needs none."""
        row = await self._read(lambda tx: tx.one("clock.server_start"))
        return None if row is None else rows.time_or_none(row["started_at"])

    async def list_expired(self) -> list[ActionProposal]:
        """Return executing proposals whose owner's lease has ended."""
        now = self.ledger.now_text()
        found = await self._read(lambda tx: tx.all("proposal.expired", now=now))
        return [rows.proposal(row) for row in found]

    async def list_abandoned(
        self, senses: Senses, *, by: str, resendable: Iterable[str]
    ) -> list[ActionProposal]:
        """Return executing proposals whose owner is gone, and end the leases of dead ones.

        The owner is dead, its last request may be under way still. So at once only what can be
        sent twice is taken up; for the rest a lease is the time that a request has to arrive.
        An owner that is there may have a clock of its own, so it is gone only once its lease
        stood still.

        Args:
            senses: what is to be seen of owners.
            by: who asks.
            resendable: names of the actions that do no more when they are sent twice.
        """
        now = self.ledger.now_text()
        found, others = await self._read(
            lambda tx: (tx.all("proposal.expired", now=now), tx.all("proposal.leased", owner=by))
        )
        living = set(filter(senses.is_living, {row["owner"] for row in others}))
        leases = [_leased(row, now, living) for row in others]
        over = senses.outwaited(leases)
        held = {one.proposal.id for one in leases if one.lives and one not in over}
        silent = [one.proposal for one in over if one.is_ahead]
        owners = {row["owner"] for row in others if row["lease_expires_at"] > now}
        dead = sorted(filter(senses.is_dead, owners - living))
        if dead or silent:
            actions = json.dumps(sorted(resendable))
            await self._write(lambda tx: _expire(tx, dead, actions, silent, self._stamp(by)))
            return [one for one in await self.list_expired() if one.id not in held]
        return [rows.proposal(row) for row in found if row["id"] not in held]

    async def take_over(self, proposal: ActionProposal, terms: ClaimTerms) -> Attempt:
        """Take over the work of an owner whose lease has ended.

        Raises:
            TransitionError: somebody else was first.
        """
        return await self._write(
            lambda tx: attempts.take_over(tx, proposal, terms, self._stamp(terms.owner))
        )

    async def await_resend(self, attempt: Attempt, error: str, due: datetime) -> None:
        """Let an idempotent action be sent again under the same key, not before ``due``.

        Where it was called off meanwhile it stays in doubt.

        Raises:
            LostLeaseError: somebody else has taken the work over.
        """
        stamp = self._stamp(attempt.proposal.owner or "system")
        await self._write(lambda tx: attempts.await_resend(tx, attempt, error, due, stamp))

    async def schedule_retry(
        self, proposal_id: int, error: str, retry_in: RetryRule
    ) -> datetime | None:
        """Count a failure that nobody has counted yet and set when the next try is due.

        An executor counts the failure it causes itself, so the first call after that finds
        its time and counts nothing twice.

        Raises:
            NotFoundError: there is no such proposal.
            TransitionError: it has not failed.
        """
        stamp = self._stamp("system")
        return await self._write(
            lambda tx: proposals.schedule_retry(tx, proposal_id, error, retry_in, stamp)
        )

    async def settle_by_person(
        self, proposal_id: int, *, happened: bool, person: str
    ) -> ActionRecord:
        """Settle an attempt in doubt: a person says whether its effect happened.

        Raises:
            NotFoundError: there is no such proposal.
            ConflictError: it is not in doubt.
        """
        stamp = self._stamp(person)
        outcome = Outcome.SUCCEEDED if happened else Outcome.FAILED
        message = f"settled by {person}: {'done' if happened else 'not done'}"
        ending = Ending(outcome, message, key_spent=False)
        return await self._write(
            lambda tx: attempts.settle_in_doubt(tx, proposal_id, ending, stamp)
        )


def _void(
    tx: Tx, proposal_id: int, why: str, stamp: Stamp, *, asked_at: datetime, sight: Sight
) -> None:
    """Take back what was allowed for another state, and write down what is asked in this one."""
    withdrawals.void(tx, proposal_id, why, asked_at, stamp)
    proposal = rows.proposal(changes.get(tx, "proposal", proposal_id))
    loaded = policies.in_force(tx)
    asked = proposal.status is ActionStatus.VALIDATED and proposal.compensates_proposal_id is None
    if loaded is not None and asked:
        gate.asked(tx, proposal, sight, loaded, stamp).decide_again(tx, proposal_id, sight, stamp)


def _leased(row: Row, now: str, living: Collection[str]) -> Leased:
    written, ends = row["updated_at"], row["lease_expires_at"]
    seconds = (from_text(ends) - from_text(written)).total_seconds()
    is_ahead = written > now and ends > now
    return Leased(rows.proposal(row), seconds, is_ahead, row["owner"] in living)


def _expire(
    tx: Tx, owners: list[str], actions: str, silent: list[ActionProposal], stamp: Stamp
) -> None:
    for owner in owners:
        found = tx.all("proposal.expire_leases", owner=owner, actions=actions, now=stamp.text)
        _tell_dead(tx, owner, found, stamp)
    for one in silent:
        expires = rows.text_or_none(one.lease_expires_at)
        params = {"id": one.id, "fence": one.fence, "lease_expires_at": expires}
        _tell_dead(
            tx, str(one.owner), tx.all("proposal.end_lease", **params, now=stamp.text), stamp
        )


def _tell_dead(tx: Tx, owner: str, found: list[Row], stamp: Stamp) -> None:
    if found:
        ids = sorted(row["id"] for row in found)
        changes.note(tx, "owner_found_dead", {"owner": owner, "proposals": ids}, stamp)

"""Attempts whose owner went away: found, taken over, settled."""

import asyncio

from operator_core.actions.execution import settle_abandoned
from operator_core.actions.lease_sense import LeaseSense
from operator_core.actions.registry import ActionRegistry
from operator_core.actions.terms import Terms
from operator_core.actions.types import ActionProposal
from operator_core.clock import Seldom, Stopwatch
from operator_core.db.executions import ExecutionDB, Senses
from operator_core.db.waits import WaitDB
from operator_core.errors import ConflictError, LedgerError
from operator_core.process import is_dead, is_living
from operator_core.subject import Subject

WAITS_LOOK_SECONDS = 5.0
"""How often it is looked for waits that a clock which was ahead has made too long."""

SETTLED_AT_ONCE = 16
"""How many attempts of owners that went away are settled side by side."""


class Recovery:
    """Settles what owners that went away left behind; remembers how their leases looked."""

    def __init__(self, registry: ActionRegistry) -> None:
        """Take the actions that may be called."""
        self._registry = registry
        self._sense: LeaseSense | None = None
        self._look_at_waits = Seldom(WAITS_LOOK_SECONDS)

    async def settle_expired(self, db: ExecutionDB, subject: Subject, terms: Terms) -> list[int]:
        """Settle the attempts on a subject whose owner went away; return their proposals."""
        if self._sense is None:
            self._sense = await _first_sense(db, terms)
        db.ledger.on_late(self._sense.asked)  # whoever asked: an outage ends with some answer
        try:
            return await self._settle_all(db, subject, terms, self._sense)
        except LedgerError:
            self._sense.was_away()
            raise

    async def _settle_all(
        self, db: ExecutionDB, subject: Subject, terms: Terms, sense: LeaseSense
    ) -> list[int]:
        found = await self._abandoned(db, terms, sense)
        if self._look_at_waits.is_due(db.ledger.clock):
            await WaitDB(db.ledger).wait_anew(by=terms.claim.owner)
        names = (self._registry.subject_name, None)
        few = asyncio.Semaphore(SETTLED_AT_ONCE)
        told = await asyncio.gather(
            *(self._settle(db, one, subject, terms, few) for one in found if one.subject in names),
            return_exceptions=True,
        )
        for error in told:
            if isinstance(error, BaseException):
                raise error
        return [one for one in told if isinstance(one, int)]

    async def _abandoned(
        self, db: ExecutionDB, terms: Terms, sense: LeaseSense
    ) -> list[ActionProposal]:
        """Return the attempts whose owner is gone, and not only kept from renewing its lease."""
        resendable, asking = self._registry.resendable(), Stopwatch(db.ledger.clock)
        senses = Senses(is_dead, is_living, sense.outwaited)
        found = await db.list_abandoned(senses, by=terms.claim.owner, resendable=resendable)
        sense.asked(asking.seconds())
        leapt = sense.leapt()
        return [one for one in found if one.lease_expires_at is None or not leapt]

    async def _settle(
        self,
        db: ExecutionDB,
        proposal: ActionProposal,
        subject: Subject,
        terms: Terms,
        few: asyncio.Semaphore,
    ) -> int | None:
        """Take one attempt over and settle it; None: another process was first, and does."""
        async with few:
            try:
                attempt = await db.take_over(proposal, terms.claim)
                await settle_abandoned(db, attempt, subject, self._registry, terms)
            except ConflictError:
                return None
        return attempt.proposal_id


async def _first_sense(db: ExecutionDB, terms: Terms) -> LeaseSense:
    """Return the sense of a process that starts: it has not seen whether the ledger was away.

    But the server says since when it runs.
    """
    sense = LeaseSense(db.ledger.clock, terms.claim.lease_seconds)
    started_at = await db.server_started_at()
    if started_at is not None:
        sense.server_started((db.ledger.clock.now() - started_at).total_seconds())
    return sense

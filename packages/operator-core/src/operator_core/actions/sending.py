"""The last step before an effect: a call is made only while nobody can have taken the work over.

A process may stand still at any place, and others go on once its lease has ended. So the call is
begun in the same step of the event loop that has seen how long ago it was let through.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple

from operator_core.actions.progress import Progress
from operator_core.actions.terms import Terms
from operator_core.actions.types import ActionDefinition, ActionProposal
from operator_core.clock import Stopwatch, monotonic_seconds
from operator_core.contain import contained
from operator_core.db.claims import Attempt
from operator_core.db.executions import ExecutionDB
from operator_core.errors import LostLeaseError
from operator_core.subject import ActionCall, FullSubject

FRESH_SECONDS = 0.25
"""How old a claim may be for its call to be sent without another look at the ledger."""

RENEWALS_A_LEASE = 3


@dataclass
class Stop:
    """Why a running call was stopped, if it was."""

    reason: str = ""
    requested: bool = False
    lost: bool = False
    sent: bool = False
    """Whether the call was begun at all."""

    @property
    def words(self) -> str:
        """What is told of it."""
        return f"Stopped: {self.reason}."


class Run(NamedTuple):
    """What belongs to one attempt while it runs."""

    db: ExecutionDB
    attempt: Attempt
    subject: FullSubject
    definition: ActionDefinition
    call: ActionCall
    terms: Terms
    progress: Progress
    stop: Stop

    @property
    def proposal(self) -> ActionProposal:
        """The proposal as it was claimed."""
        return self.attempt.proposal

    @property
    def lease_seconds(self) -> float:
        """For how long a claim holds without being renewed."""
        return self.terms.claim.lease_seconds


async def send(run: Run, is_fresh: Callable[[], bool]) -> object:
    """Make the call and return its result, unless what let it through is too old by now.

    Then ``stop.sent`` is not set, and nothing was done.
    """
    if not is_fresh():
        return None
    run.stop.sent = True
    return await contained(run.subject.perform(run.call))


def looked_at(run: Run) -> Callable[[], bool]:
    """Return what says whether a look that begins now still tells who owns the work.

    `may_send` leaves at least half of a lease.
    """
    began, limit_seconds = Stopwatch(run.terms.clock), run.lease_seconds / RENEWALS_A_LEASE
    return lambda: began.most_seconds() <= limit_seconds


def just_claimed(run: Run, asked_seconds: float | None) -> bool:
    """Return whether the claim is so fresh that nobody can have taken the work over.

    Both clocks must say so: the monotonic one cannot be set, the other is what leases go by.
    """
    lease_seconds, expires = run.lease_seconds, run.proposal.lease_expires_at
    fresh_seconds = min(FRESH_SECONDS, lease_seconds / RENEWALS_A_LEASE)
    if expires is None or asked_seconds is None:
        return False
    if monotonic_seconds() - asked_seconds > fresh_seconds:
        return False
    left_seconds = (expires - run.terms.clock.now()).total_seconds()
    return lease_seconds - fresh_seconds <= left_seconds <= lease_seconds


async def may_send(run: Run) -> bool:
    """Look once more right before the effect: this process may have stood still since its claim.

    Raises:
        LostLeaseError: another process took the work over.
    """
    # First the gate: what the kill switch stops meanwhile is then seen to be stopped by it.
    forbidden = await run.db.overtaken(run.attempt, run.terms.claim.sight)
    hold = await run.db.look(run.attempt)
    expires = run.proposal.lease_expires_at
    # What is sent in the last moment of a lease arrives when others look for its effect.
    half = timedelta(seconds=run.lease_seconds / 2)
    late = expires is None or run.terms.clock.now() >= expires - half
    if hold.owned and late:
        hold = hold._replace(owned=await run.db.renew(run.attempt, run.lease_seconds))
    if not hold.owned:
        raise LostLeaseError(f"Proposal {run.proposal.id} was taken over before it was sent.")
    run.stop.requested = hold.killed or hold.cancel_requested
    run.stop.reason = hold.why or forbidden
    return not run.stop.reason

"""The last step before an effect: a call is made only while nobody can have taken the work over.

A process may stand still at any place, and others go on once its lease has ended. So the call is
begun in the same step of the event loop that has seen how long ago it was let through, and each
further step of it is taken only while the lease is surely held (ADR 82).
"""

import asyncio
from collections.abc import Awaitable, Callable, Generator
from dataclasses import dataclass
from datetime import timedelta
from types import CoroutineType, coroutine
from typing import Any, NamedTuple

from operator_core.actions.progress import Progress
from operator_core.actions.terms import Terms
from operator_core.actions.types import ActionDefinition, ActionProposal
from operator_core.clock import Clock, Stopwatch, monotonic_seconds
from operator_core.contain import contained
from operator_core.db.claims import Attempt
from operator_core.db.executions import ExecutionDB
from operator_core.errors import LedgerError, LostLeaseError, OutcomeUnknownError
from operator_core.subject import ActionCall, FullSubject

FRESH_SECONDS = 0.25
"""How old a claim may be for its call to be sent without another look at the ledger."""

RENEWALS_A_LEASE = 3

LEDGER_LIMIT_SECONDS = 3.0
"""How long a call that runs waits for the ledger, which may be away for a while."""

_LAPSED = "its lease ended while it stood still, and was not to be had back"


def first_tenure(terms: Terms) -> "Tenure":
    """Return for how long a lease is held by who begins with what it has just claimed."""
    lease_seconds = terms.claim.lease_seconds
    return Tenure(terms.clock, lease_seconds - _fresh_seconds(lease_seconds))


def _fresh_seconds(lease_seconds: float) -> float:
    return min(FRESH_SECONDS, lease_seconds / RENEWALS_A_LEASE)


class Tenure:
    """For how long a lease is surely held, by whichever clock goes further."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        """Begin now, before the lease is asked for."""
        self._since = Stopwatch(clock)
        self._seconds = seconds

    def is_over(self) -> bool:
        """Return whether others may have taken the work over."""
        return self._since.most_seconds() >= self._seconds

    def is_renewal_due(self) -> bool:
        """A lease is text in the time of day: when that is set, it is written anew at once."""
        is_set_back = self._since.seconds_by_time_of_day() < 0
        return is_set_back or self._since.most_seconds() >= self._seconds / RENEWALS_A_LEASE


@dataclass
class Stop:
    """How long a running call may go on, and why it was stopped, if it was."""

    tenure: Tenure

    reason: str = ""
    requested: bool = False
    lost: bool = False
    sent: bool = False
    """Whether the call was begun at all."""
    lapsed: bool = False
    """Whether the call was told between its steps that its lease is over."""

    def is_too_late(self) -> bool:
        """Return whether the lease may have ended, and nothing has stopped the call yet."""
        return self.tenure.is_over() and not (self.lapsed or self.reason)

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
    return await contained(_while_held(run, run.subject.perform(run.call)))


@coroutine
def _while_held(run: Run, work: Awaitable[object]) -> Generator[Any, Any, object]:
    """Let a call go on from step to step only while its lease is held.

    A process that stood still in the midst of it may wake when others have looked for its effect,
    found none and had it. Before it can send anything it is told here that it is too late.
    """
    # What is no coroutine may have steps that take nothing and can be told nothing.
    steps = (work if isinstance(work, CoroutineType) else _awaited(work)).__await__()
    go_on: Callable[[Any], Any] = steps.send
    told: Any = None
    while True:
        try:
            waits_for = go_on(told)
        except StopIteration as end:
            return end.value
        except asyncio.CancelledError as error:
            if run.stop.lapsed:
                raise OutcomeUnknownError(_LAPSED) from error
            raise
        try:
            told = yield waits_for
            if run.stop.is_too_late():
                yield from _regain(run).__await__()
            go_on = steps.send
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is the call's
            go_on, told = steps.throw, error


async def _regain(run: Run) -> None:
    """Renew the lease, where nobody has taken the work over.

    Raises:
        CancelledError: somebody has, or the ledger cannot be asked.
    """
    stop = run.stop
    try:
        async with asyncio.timeout(LEDGER_LIMIT_SECONDS):
            stop.lost = not await renew(run)
        stop.lapsed = stop.lost
    except (LedgerError, TimeoutError):
        stop.lapsed = True
    if stop.lapsed:
        raise asyncio.CancelledError(_LAPSED)


async def _awaited(work: Awaitable[object]) -> object:
    return await work


async def renew(run: Run) -> bool:
    """Renew the lease of a call that runs; False: another process has taken the work over."""
    tenure = Tenure(run.terms.clock, run.lease_seconds)
    owned = await run.db.renew(run.attempt, run.lease_seconds)
    if owned:
        run.stop.tenure = tenure
    return owned


def looked_at(run: Run) -> Callable[[], bool]:
    """Return what says whether a look that begins now still tells who owns the work.

    `may_send` leaves at least half of a lease.
    """
    run.stop.tenure = Tenure(run.terms.clock, run.lease_seconds / 2)
    began, limit_seconds = Stopwatch(run.terms.clock), run.lease_seconds / RENEWALS_A_LEASE
    return lambda: began.most_seconds() <= limit_seconds


def just_claimed(run: Run, asked_seconds: float | None) -> bool:
    """Return whether the claim is so fresh that nobody can have taken the work over.

    Both clocks must say so: the monotonic one cannot be set, the other is what leases go by.
    """
    lease_seconds, expires = run.lease_seconds, run.proposal.lease_expires_at
    fresh_seconds = _fresh_seconds(lease_seconds)
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
    hold, forbidden = await run.db.clearance(run.attempt, run.terms.claim.sight)
    expires = run.proposal.lease_expires_at
    # What is sent in the last moment of a lease arrives when others look for its effect.
    half = timedelta(seconds=run.lease_seconds / 2)
    late = expires is None or run.terms.clock.now() >= expires - half
    if hold.owned and late:
        hold = hold._replace(owned=await renew(run))
    if not hold.owned:
        raise LostLeaseError(f"Proposal {run.proposal.id} was taken over before it was sent.")
    run.stop.requested = hold.killed or hold.cancel_requested
    run.stop.reason = hold.why or forbidden
    return not run.stop.reason

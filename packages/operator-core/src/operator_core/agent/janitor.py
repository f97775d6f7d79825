"""The stage that takes back temporary effects whose reason or time is over.

It reads what the ledger and the last look say, and proposes: the undo goes the way of every
action, through gate, policy, executor and audit. A page is a ticket of its own.
"""

from operator_core.actions.leases import (
    GIVEN_UP,
    EffectLease,
    Next,
    Seen,
    Step,
    next_step,
    why_over,
)
from operator_core.actions.registry import ActionRegistry
from operator_core.actions.types import ActionProposal, ActionRequest, ActionStatus
from operator_core.actions.validation import validate_action_params
from operator_core.clock import SYSTEM_CLOCK, Clock
from operator_core.db.effect_leases import EffectDB
from operator_core.db.ledger import Ledger
from operator_core.db.tickets import TicketDB
from operator_core.errors import ConflictError, RefusedError, RequestError
from operator_core.logs import get_logger
from operator_core.monitor.types import Violation
from operator_core.subject import FullSubject, sees_effects
from operator_core.types import Severity

log = get_logger(__name__)

JANITOR = "janitor"
OVERDUE = "effect_overdue"
"""The invariant that an effect breaks which is over and still there: a person is needed."""


class Janitor:
    """Takes back what Operator put on one cluster for a while."""

    def __init__(
        self,
        ledger: Ledger,
        subject: FullSubject,
        registry: ActionRegistry,
        *,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        """Take an open ledger, a cluster, and what can be done to it."""
        self._effects = EffectDB(ledger)
        self._tickets = TicketDB(ledger)
        self._subject = subject
        self._registry = registry
        self._clock = clock
        self._pages: frozenset[str] | None = None

    async def step(self) -> None:
        """End the leases of what is gone, propose to undo what is over, page where that hangs."""
        leases = await self._effects.list_leases(subject=self._subject.name)
        seen = await self._seen() if leases else None
        now, has_eyes = self._clock.now(), sees_effects(self._subject)
        for lease in leases:
            step = next_step(lease, seen, now, has_eyes=has_eyes)
            try:
                await self._take(lease, step)
            except (RefusedError, ConflictError, RequestError) as error:
                log.info("effect_not_undone", lease_id=lease.id, reason=str(error))
        await self._page({one.effect: _why_stuck(one) for one in leases if self._is_stuck(one)})

    async def _seen(self) -> Seen | None:
        observation = await self._tickets.latest_observation(self._subject.name)
        if observation is None:
            return None
        found = self._subject.temporary_effects(observation)
        return None if found is None else Seen(frozenset(found), observation.observed_at)

    async def _take(self, lease: EffectLease, step: Step) -> None:
        if step.what is Next.END:
            await self._effects.end(lease.id, step.reason, actor=JANITOR)
        elif step.what is Next.UNDO and lease.undo is not None:
            undo = self._undo(lease, lease.undo, step.reason)
            made = await self._effects.propose_undo(lease.id, undo, actor=JANITOR)
            if made is not None:
                log.info("effect_undo_proposed", lease_id=lease.id, proposal_id=made.id)

    def _undo(self, lease: EffectLease, call: ActionRequest, reason: str) -> ActionProposal:
        definition = self._registry.require(call.action_name)
        return ActionProposal(
            subject=lease.subject,
            action_name=definition.name,
            action_type=definition.action_type,
            parameters=validate_action_params(definition, call.parameters),
            reason=f"takes back {lease.effect}: {reason}",
            proposed_at=self._clock.now(),
            proposed_by=JANITOR,
            disruptive=definition.disruptive,
        )

    # --- pages ------------------------------------------------------------------------

    def _is_stuck(self, lease: EffectLease) -> bool:
        if not why_over(lease, self._clock.now()):
            return False
        waits = lease.undo_status is ActionStatus.VALIDATED and not lease.undo_approved
        given_up = lease.undo_status in GIVEN_UP and not lease.undo_retry_waits
        return waits or lease.undo is None or given_up

    async def _page(self, stuck: dict[str, str]) -> None:
        wanted = frozenset(stuck)
        if wanted == self._pages:
            return
        mine = f"{self._subject.name}/"
        found = await self._tickets.list_tickets(unresolved=True)
        told = {one.target: one for one in found if one.invariant_name == OVERDUE}
        for effect, why in stuck.items():
            if mine + effect not in told:
                await self._tickets.report(_violation(mine + effect, why), reported_by=JANITOR)
        for target, ticket in told.items():
            if target.startswith(mine) and target.removeprefix(mine) not in stuck:
                words = "the effect was taken back, or is wanted again"
                await self._tickets.resolve(int(ticket.id or 0), actor=JANITOR, resolution=words)
        self._pages = wanted


def _why_stuck(lease: EffectLease) -> str:
    if lease.undo is None:
        return "nothing is known that takes it back: do it by hand"
    if lease.undo_status is ActionStatus.VALIDATED:
        return f"action {lease.undo_proposal_id}, which takes it back, waits: approve it"
    return (
        f"action {lease.undo_proposal_id}, which was to take it back, did not: look at it, then "
        f"`operator effects release {lease.id}`"
    )


def _violation(target: str, why: str) -> Violation:
    return Violation(
        invariant=OVERDUE,
        target=target,
        message=f"A temporary effect of Operator's own is over and still there: {why}.",
        severity=Severity.WARNING,
    )

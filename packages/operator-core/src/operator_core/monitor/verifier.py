"""The proof of remedies, one look at a time."""

from collections.abc import Sequence
from dataclasses import dataclass

from operator_core.actions.policy.binding import paths_of
from operator_core.actions.rehearsal import came_true
from operator_core.actions.remedy import Remedy, RemedyState, remedy_of
from operator_core.actions.types import ActionType
from operator_core.contain import said
from operator_core.db.actions import ActionDB
from operator_core.db.ledger import Ledger
from operator_core.db.rehearsals import RehearsalDB
from operator_core.db.tickets import MONITOR
from operator_core.db.verifications import VerifyDB
from operator_core.logs import get_logger
from operator_core.monitor.config import Patience
from operator_core.monitor.types import Invariant, Observation, Ticket, TicketStatus
from operator_core.monitor.verification import Capacity, Verdict, Verification
from operator_core.monitor.verify import Sight, advance, is_proven, lost, shown, uncounted
from operator_core.subject import FullSubject
from operator_core.types import Severity

log = get_logger(__name__)

VERIFIED = "verified after the remedy"
GONE = "gone"


@dataclass(frozen=True)
class View:
    """What one look at a cluster gives to go by.

    Attributes:
        look: the look, with its id.
        rules: the rules of the cluster.
        broken: the tickets of what is broken in it.
        cleared: the problems that are gone for as long as their rules ask.
    """

    look: Observation
    rules: Sequence[Invariant]
    broken: Sequence[Ticket]
    cleared: frozenset[str]


class Verifier:
    """Keeps the proof of each remedy of a cluster, and says which tickets wait for theirs."""

    def __init__(self, ledger: Ledger, subject: FullSubject, patience: Patience) -> None:
        """Take an open ledger, the cluster, and how long a proof takes."""
        self._db = VerifyDB(ledger)
        self._actions = ActionDB(ledger)
        self._rehearsals = RehearsalDB(ledger)
        self._subject = subject
        self._patience = patience

    async def judge(self, tickets: Sequence[Ticket], view: View) -> dict[int, str]:
        """Take a look into the proof of each remedy; return how its ticket may be resolved.

        Args:
            tickets: the tickets of the cluster that were open before the look.
            view: what the look gives to go by.

        Returns:
            By ticket, in what words; empty: it may not. Nothing of a ticket without a remedy,
            and of one whose remedy has failed.
        """
        proven: dict[int, str] = {}
        for ticket in tickets:
            # Not by its phase: that follows the remedy a round later, and the look would not count.
            is_diagnosed = ticket.status is TicketStatus.DIAGNOSED
            if not is_diagnosed and ticket.violation_key not in view.cleared:
                continue
            ticket_id = int(ticket.id or 0)
            remedy = remedy_of(ticket, await self._actions.list_proposals(ticket_id=ticket_id))
            if remedy.state is RemedyState.RUNNING:
                proven[ticket_id] = ""
            elif remedy.state is RemedyState.DONE:
                proven[ticket_id] = await self._advance(ticket, remedy, view)
        return proven

    async def _advance(self, ticket: Ticket, remedy: Remedy, view: View) -> str:
        proof = await self._proof(ticket, remedy)
        if proof is None:
            return GONE  # nothing was ever sent
        sight = self._sight(ticket, proof, view)
        patience = await self._patience_with(ticket, remedy, view)
        proof = await self._db.save(advance(proof, sight, patience), actor=MONITOR)
        if not is_proven(proof, sight, patience):
            return ""
        return VERIFIED if proof.verdict is Verdict.VERIFIED else GONE

    async def _patience_with(self, ticket: Ticket, remedy: Remedy, view: View) -> Patience:
        """Return how long a proof takes: less where a relapse shows soon, or a setting is right."""
        mine = [rule for rule in view.rules if rule.name == ticket.invariant_name]
        soon = [one.relapse_seconds for one in mine if one.relapse_seconds is not None]
        patience = self._patience
        if soon and len(soon) == len(mine):
            patience = patience.where_relapse_shows_in(max(soon))
        if not mine or not all(rule.is_setting for rule in mine):
            return patience
        steps = [step for step in remedy.steps if step.action_type is ActionType.SUBJECT]
        said = [await self._rehearsals.latest(int(step.id or 0)) for step in steps]
        foreseen = [one is not None and came_true(one.rehearsal, view.look) for one in said]
        return patience.where_foreseen() if foreseen and all(foreseen) else patience

    async def _proof(self, ticket: Ticket, remedy: Remedy) -> Verification | None:
        """Return the proof of a remedy as far as it has come, or one that begins now."""
        diagnosed_at = ticket.diagnosed_at or ticket.first_seen_at
        known = await self._db.get(int(ticket.id or 0), diagnosed_at)
        ids = tuple(int(step.id or 0) for step in remedy.steps)
        times = await self._db.times(ids) if known is None else None
        if times is None:
            return known
        begun = Verification(
            subject=ticket.subject,
            ticket_id=int(ticket.id or 0),
            diagnosed_at=diagnosed_at,
            proposals=ids,
            declared=self._declared(remedy),
            started_at=times[0],
            ended_at=times[1],
        )
        return await self._with_baseline(begun)

    async def _with_baseline(self, begun: Verification) -> Verification:
        for look in await self._db.looks_before(self._subject.name, begun.started_at):
            capacity = self._capacity(look)
            if capacity is not None:
                return begun.model_copy(update={"baseline_id": look.id, "capacity": capacity})
        return begun

    def _capacity(self, look: Observation) -> Capacity | None:
        """Return what a look shows that the cluster has; None: it cannot be said."""
        try:
            return self._subject.capacity(look)
        except Exception as error:  # noqa: BLE001 - what cannot be checked is not verified
            log.warning("capacity_not_known", subject=self._subject.name, reason=said(error))
            return None

    def _declared(self, remedy: Remedy) -> tuple[str, ...]:
        shrinks = {one.name: one.shrinks for one in self._subject.get_action_definitions()}
        return tuple(
            path
            for step in remedy.steps
            for path in paths_of(shrinks.get(step.action_name, ()), step.parameters)
        )

    def _sight(self, ticket: Ticket, proof: Verification, view: View) -> Sight:
        is_broken, unread = shown(view.rules, view.look, ticket.invariant_name, ticket.target)
        capacity = self._capacity(view.look)
        unread = unread or uncounted(proof.capacity, capacity)
        gone = lost(proof.capacity, capacity, proof.declared) if proof.capacity and capacity else ()
        return Sight(
            look_id=int(view.look.id or 0),
            at=view.look.observed_at,
            broken=is_broken,
            unread="" if is_broken else unread,
            newly_broken=newly_broken(ticket, proof, view.broken),
            lost=gone,
        )


def newly_broken(ticket: Ticket, proof: Verification, broken: Sequence[Ticket]) -> tuple[str, ...]:
    """Return what is broken that held when the remedy began, in words.

    What is for information does not count, nor what the same cause brings: that is in the ticket's
    own group.

    Args:
        ticket: what the remedy is for.
        proof: of that remedy.
        broken: the tickets of what is broken now.
    """
    group = {ticket.id, ticket.root_ticket_id} - {None}
    return tuple(
        one.message
        for one in broken
        if not group & {one.id, one.root_ticket_id}
        and one.first_seen_at > proof.started_at
        and one.severity is not Severity.INFO
    )

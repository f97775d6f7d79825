"""Reads what a play left in its ledger."""

from collections.abc import Sequence
from datetime import datetime

from operator_core.actions.types import ActionProposal
from operator_core.agent.diagnosis import Diagnosis
from operator_core.db.actions import ActionDB
from operator_core.db.control import ControlDB
from operator_core.db.ledger import Ledger
from operator_core.db.tickets import TicketDB
from operator_core.monitor.types import Ticket, TicketPhase
from operator_lab.clock import VirtualClock
from operator_lab.scenario import Expectation, Scenario
from operator_lab.witness import Witness
from operator_lab.words import Played, Proposed, SeenTicket

_ALL = 10_000


async def history(ledger: Ledger, scenario: Scenario, seed: int | None, witness: Witness) -> Played:
    """Return what came of a play.

    Args:
        ledger: the play's own.
        scenario: what was played.
        seed: of the play.
        witness: the subject that wrote down what reached the cluster.
    """
    tickets = TicketDB(ledger)
    found = sorted(await tickets.list_tickets(limit=_ALL), key=lambda one: int(one.id or 0))
    told = await ControlDB(ledger).list_events(event_type="ticket_opened")
    opened = {one.ticket_id: witness.clock.seconds_of(one.timestamp) for one in told}
    looks = _Looks(witness, scenario.expect)
    seen = [
        _seen(one, await tickets.list_diagnoses(int(one.id or 0)), opened[one.id], looks)
        for one in found
    ]
    actions = ActionDB(ledger)
    words = {one.id: one.approved_at for one in await actions.list_workflows(limit=_ALL)}
    proposals = [
        _proposed(one, one.approved_at or words.get(one.workflow_id), witness.clock)
        for one in await actions.list_proposals(limit=_ALL)
    ]
    truth = await witness.cluster.truth()
    return Played(
        scenario=scenario.name,
        set=scenario.set,
        seed=seed,
        tickets=tuple(seen),
        proposals=tuple(proposals),
        deeds=tuple(witness.deeds),
        unavailable=truth.unavailable,
        exposed=truth.exposed,
        leftovers=truth.leftovers,
        fault_seconds=witness.cluster.fault_seconds,
    )


class _Looks:
    """When a play's looks were, and what its rules let pass."""

    def __init__(self, witness: Witness, expect: Expectation) -> None:
        self.witness = witness
        self.every_seconds = expect.look_seconds
        rules = [(one.name, one.grace_seconds) for one in witness.invariants()]
        self.grace = {name: min(s for other, s in rules if other == name) for name, _ in rules}
        self.grace |= expect.grace_seconds

    def before(self, seconds: float) -> float:
        """Return when the last look before a moment was; 0: there was none."""
        return max((one for one in self.witness.looked if one < seconds), default=0.0)


def _seen(
    ticket: Ticket, diagnoses: Sequence[Diagnosis], opened: float, looks: _Looks
) -> SeenTicket:
    clock = looks.witness.clock
    first = diagnoses[0] if diagnoses else None
    made = first.created_at if first else None
    first_seen = clock.seconds_of(ticket.first_seen_at)
    return SeenTicket(
        key=looks.witness.cluster.scenario_key(ticket.violation_key),
        first_seen=first_seen,
        opened=opened,
        unseen_until=looks.before(first_seen),
        grace=looks.grace.get(ticket.invariant_name, 0.0),
        looks_every=looks.every_seconds,
        diagnosed=clock.seconds_of(made) if made else None,
        causes=_causes(first) if first else (),
        last_cause=diagnoses[-1].hypothesis if diagnoses else "",
        escalated=ticket.phase is TicketPhase.ESCALATED or any(one.escalate for one in diagnoses),
        resolved=clock.seconds_of(ticket.resolved_at) if ticket.resolved_at else None,
        verified=(ticket.resolution or "").startswith("verified"),
        follows=ticket.root_ticket_id is not None,
    )


def _causes(diagnosis: Diagnosis) -> tuple[str, ...]:
    """Return the causes, the answer first, then the others as likely as they were found."""
    others = sorted(diagnosis.alternatives, key=lambda one: -one.confidence)
    return (diagnosis.hypothesis, *(one.hypothesis for one in others if one.confidence > 0))


def _proposed(proposal: ActionProposal, at: datetime | None, clock: VirtualClock) -> Proposed:
    return Proposed(
        action=proposal.action_name,
        proposed=clock.seconds_of(proposal.proposed_at),
        approved=clock.seconds_of(at) if at else None,
        status=proposal.status.value,
    )

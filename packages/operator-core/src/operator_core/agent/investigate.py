"""The stage from a ticket to its diagnosis, on the evidence that lies in the ledger."""

from datetime import timedelta

from operator_core.actions.event_words import words_of
from operator_core.actions.registry import ActionRegistry
from operator_core.agent import rules
from operator_core.agent.diagnosis import Diagnosis, TimelineEntry
from operator_core.agent.recommend import checked
from operator_core.clock import SYSTEM_CLOCK, Clock
from operator_core.db.control import ControlDB
from operator_core.db.ledger import Ledger
from operator_core.db.past import PastDB
from operator_core.db.tickets import TicketDB
from operator_core.db.watching import WatchingDB
from operator_core.errors import TransitionError
from operator_core.logs import get_logger
from operator_core.monitor.judge import SOURCE_DOUBTED, SOURCE_UNREADABLE
from operator_core.monitor.types import Observation, Ticket
from operator_core.subject import FullSubject

log = get_logger(__name__)

BLIND_PATIENCE_SECONDS = 300.0
"""How long a cause that nobody knows is looked for again while the cluster is not seen whole."""

_OF_SOURCES = frozenset({SOURCE_UNREADABLE, SOURCE_DOUBTED})
_TOLD = frozenset({"ticket_opened", "ticket_reopened", "ticket_acknowledged"})


class InvestigateStage:
    """Diagnoses the open tickets of one cluster."""

    def __init__(
        self,
        ledger: Ledger,
        subject: FullSubject,
        registry: ActionRegistry,
        *,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        """Take an open ledger, the cluster's catalogue and the actions that may be named."""
        self._db = TicketDB(ledger)
        self._watching = WatchingDB(ledger)
        self._audit = ControlDB(ledger)
        self._past = PastDB(ledger)
        self._subject = subject
        self._registry = registry
        self._clock = clock

    async def step(self) -> list[Diagnosis]:
        """Diagnose each ticket that waits for it and is neither held nor snoozed."""
        made = []
        waiting = await self._db.list_undiagnosed(self._subject.name)
        snoozes = await self._watching.active_snoozes(self._subject.name) if waiting else []
        for ticket in waiting:
            if any(one.covers_ticket(ticket) for one in snoozes):
                continue
            diagnosis = await self.diagnose(ticket)
            if diagnosis is not None:
                made.append(diagnosis)
        return made

    async def diagnose(self, ticket: Ticket) -> Diagnosis | None:
        """Diagnose one ticket and store the answer.

        Returns:
            None: nothing was seen, it is resolved, or the cluster is not seen well enough now:
            an unknown cause would end the search just when the cluster cannot be reached.
        """
        observation = await self._db.latest_observation(self._subject.name)
        if observation is None:
            return None
        answer = await self._answer(ticket, observation)
        if answer.is_unknown and self._is_worth_waiting(ticket, observation):
            return None
        result = checked(answer, self._registry.require)
        for reason in result.dropped:
            log.warning("recommendation_dropped", ticket_id=ticket.id, reason=reason)
        try:
            return await self._db.add_diagnosis(
                result.diagnosis.model_copy(update={"ticket_id": ticket.id})
            )
        except TransitionError:
            return None  # it was resolved while we thought

    def _is_worth_waiting(self, ticket: Ticket, observation: Observation) -> bool:
        if observation.complete or ticket.invariant_name in _OF_SOURCES:
            return False
        waited = self._clock.now() - ticket.first_seen_at
        return waited < timedelta(seconds=BLIND_PATIENCE_SECONDS)

    async def _answer(self, ticket: Ticket, observation: Observation) -> Diagnosis:
        violation, causes = ticket.violation, self._subject.hypotheses()
        signatures = rules.signatures(violation, observation, causes)
        return rules.diagnose(
            violation,
            observation,
            causes,
            past=await self._past.incidents(signatures),
            timeline=await self._timeline(ticket),
            now=self._clock.now(),
        )

    async def _timeline(self, ticket: Ticket) -> list[TimelineEntry]:
        first = TimelineEntry(at=ticket.first_seen_at, what=f"first seen: {ticket.message}")
        events = await self._audit.list_events(ticket_id=ticket.id)
        told = [
            TimelineEntry(at=event.timestamp, what=words_of(event.event_type).words)
            for event in events
            if event.event_type in _TOLD
        ]
        return [first, *told]

"""What the rules answer about a ticket on a look, with all that the ledger adds to it."""

from operator_core.actions.event_words import words_of
from operator_core.actions.registry import ActionRegistry
from operator_core.agent import rules
from operator_core.agent.diagnosis import Diagnosis, TimelineEntry
from operator_core.agent.recommend import checked
from operator_core.clock import Clock
from operator_core.db.control import ControlDB
from operator_core.db.ledger import Ledger
from operator_core.db.past import PastDB
from operator_core.logs import get_logger
from operator_core.monitor.types import Observation, Ticket
from operator_core.subject import FullSubject

log = get_logger(__name__)

_TOLD = frozenset(
    {"ticket_opened", "ticket_reopened", "ticket_acknowledged", "diagnosis_superseded"}
)


class Answering:
    """Asks one cluster's catalogue; stores nothing."""

    def __init__(
        self, ledger: Ledger, subject: FullSubject, registry: ActionRegistry, clock: Clock
    ) -> None:
        """Take an open ledger, the cluster's catalogue and the actions that may be named."""
        self._audit = ControlDB(ledger)
        self._past = PastDB(ledger)
        self._subject = subject
        self._registry = registry
        self._clock = clock

    async def answer(self, ticket: Ticket, look: Observation) -> Diagnosis:
        """Return the whole answer: with earlier incidents, and what happened until now."""
        signatures = rules.signatures(ticket.violation, look, self._subject.hypotheses())
        made = rules.diagnose(
            ticket.violation,
            look,
            self._subject.hypotheses(),
            past=await self._past.incidents(signatures),
            timeline=await self._timeline(ticket),
            now=self._clock.now(),
        )
        result = checked(made, self._registry.require)
        for reason in result.dropped:
            log.warning("recommendation_dropped", ticket_id=ticket.id, reason=reason)
        return result.diagnosis.model_copy(update={"ticket_id": ticket.id})

    def sketch(self, ticket: Ticket, look: Observation) -> Diagnosis:
        """Return the answer by what was seen alone; the ledger is not asked."""
        made = rules.diagnose(
            ticket.violation, look, self._subject.hypotheses(), now=self._clock.now()
        )
        return checked(made, self._registry.require).diagnosis

    async def _timeline(self, ticket: Ticket) -> list[TimelineEntry]:
        first = TimelineEntry(at=ticket.first_seen_at, what=f"first seen: {ticket.message}")
        events = await self._audit.list_events(ticket_id=ticket.id)
        told = [
            TimelineEntry(at=event.timestamp, what=words_of(event.event_type).words)
            for event in events
            if event.event_type in _TOLD
        ]
        return [first, *told]

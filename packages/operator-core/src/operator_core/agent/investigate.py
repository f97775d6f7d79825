"""The stage from a ticket to its diagnosis, on the evidence that lies in the ledger."""

from datetime import timedelta

from operator_core.actions.registry import ActionRegistry
from operator_core.agent.answering import Answering
from operator_core.agent.diagnosis import Diagnosis
from operator_core.clock import SYSTEM_CLOCK, Clock
from operator_core.db.ledger import Ledger
from operator_core.db.tickets import TicketDB
from operator_core.db.watching import WatchingDB
from operator_core.errors import TransitionError
from operator_core.monitor.judge import SOURCE_DOUBTED, SOURCE_UNREADABLE
from operator_core.monitor.types import Observation, Ticket
from operator_core.subject import FullSubject

BLIND_PATIENCE_SECONDS = 300.0
"""How long a cause that nobody knows is looked for again while the cluster is not seen whole."""

_OF_SOURCES = frozenset({SOURCE_UNREADABLE, SOURCE_DOUBTED})


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
        self._answering = Answering(ledger, subject, registry, clock)
        self._subject = subject
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
        answer = await self._answering.answer(ticket, observation)
        if answer.is_unknown and self._is_worth_waiting(ticket, observation):
            return None
        try:
            return await self._db.add_diagnosis(answer)
        except TransitionError:
            return None  # it was resolved while we thought

    def _is_worth_waiting(self, ticket: Ticket, observation: Observation) -> bool:
        if observation.complete or ticket.invariant_name in _OF_SOURCES:
            return False
        waited = self._clock.now() - ticket.first_seen_at
        return waited < timedelta(seconds=BLIND_PATIENCE_SECONDS)

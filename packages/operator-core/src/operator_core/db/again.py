"""`AgainDB`: diagnoses that give way to others; who may be asked again, and the change itself."""

from collections.abc import Sequence
from dataclasses import dataclass

from operator_core.agent.again import Superseded, chain, looks_needed, remedy_asked
from operator_core.agent.diagnosis import Diagnosis
from operator_core.agent.support import looks_named_by, supported
from operator_core.db import changes, diagnoses, incidents, rows
from operator_core.db.changes import Change, Params, Stamp
from operator_core.db.engine import Row, Tx
from operator_core.db.store import Store
from operator_core.db.tickets import TicketDB
from operator_core.monitor.types import Ticket, TicketPhase

AGENT = "agent"


@dataclass(frozen=True)
class Case:
    """A diagnosed ticket of which nothing is under way.

    Attributes:
        ticket: not resolved, not held, and following no other ticket.
        diagnoses: its present one last, before it those that were superseded in turn.
    """

    ticket: Ticket
    diagnoses: Sequence[Diagnosis]

    @property
    def stored(self) -> Diagnosis:
        """Its present diagnosis."""
        return self.diagnoses[-1]

    @property
    def times(self) -> int:
        """How often its diagnosis was superseded."""
        return len(self.diagnoses) - 1

    @property
    def looks_needed(self) -> int:
        """How many looks in a row must give another answer."""
        return looks_needed(self.times)

    @property
    def former(self) -> frozenset[str]:
        """The causes that were superseded."""
        return frozenset(one.hypothesis for one in self.diagnoses[:-1])


class AgainDB(Store):
    """Second diagnoses; each method is one durable transaction."""

    async def cases(self, subject: str) -> list[Case]:
        """Return the tickets of a cluster whose diagnosis may be superseded.

        None of which something was approved, runs, is in doubt or waits for another try, and none
        about whose proposals a person has said no.
        """
        return await self._read(
            lambda tx: [
                Case(rows.ticket(row), chain(_diagnoses(tx, row["id"])))
                for row in _reconsidered(tx, subject)
            ]
        )

    async def latest_look_id(self, subject: str) -> int | None:
        """Return the number of the last look at a cluster, or None."""
        found = await self.recent_look_ids(subject, 1)
        return found[0] if found else None

    async def recent_look_ids(self, subject: str, limit: int) -> list[int]:
        """Return the numbers of the last looks at a cluster, the latest first."""
        found = await self._read(
            lambda tx: tx.all("observation.recent_ids", subject=subject, limit=limit)
        )
        return [int(row["id"]) for row in found]

    async def supersede(
        self, stored: Diagnosis, made: Diagnosis, why: Superseded
    ) -> Diagnosis | None:
        """Store a diagnosis in the place of another one, in one transaction.

        What the agent proposed by the other one is withdrawn, unless this one asks for the same.

        Args:
            stored: the ticket's present diagnosis.
            made: what takes its place; its claims are evaluated first, see `supported`.
            why: the reason.

        Returns:
            None: meanwhile the ticket got another diagnosis, or something of it is under way.
        """
        said = made.model_copy(
            update={
                "subject": stored.subject,
                "ticket_id": stored.ticket_id,
                "supersedes": stored.id,
                "superseded_because": why.reason,
            }
        )
        looks = await TicketDB(self.ledger).list_looks(looks_named_by(said))
        judged, stamp = supported(said, looks), self._stamp(said.diagnoser)
        row = await self._write(lambda tx: _supersede(tx, stored, judged, why, stamp))
        return diagnoses.of_row(row) if row else None


def _reconsidered(tx: Tx, subject: str | None, ticket_id: int | None = None) -> list[Row]:
    return tx.all("ticket.reconsidered", subject=subject, agent=AGENT, id=ticket_id)


def _diagnoses(tx: Tx, ticket_id: int) -> list[Diagnosis]:
    return [diagnoses.of_row(row) for row in tx.all("diagnosis.list", ticket_id=ticket_id)]


def _supersede(
    tx: Tx, stored: Diagnosis, made: Diagnosis, why: Superseded, stamp: Stamp
) -> Row | None:
    ticket_id = int(made.ticket_id or 0)
    waiting = _locked(tx, ticket_id)
    known = _diagnoses(tx, ticket_id)
    if not _reconsidered(tx, None, ticket_id) or known[-1].id != stored.id:
        return None
    keeps = remedy_asked(made) == remedy_asked(stored)
    if not keeps:
        reason = f"diagnosis {stored.id} is superseded: {why.reason}"
        incidents.cancel_not_started(tx, ticket_id, reason, Stamp(AGENT, stamp.now))
    row = incidents.insert_diagnosis(tx, made, _moved(tx, made, stored, stamp, keeps=keeps), stamp)
    data = {
        "superseded": stored.id,
        "diagnosis": row["id"],
        "turn": why.turn.value,
        "reason": why.reason,
        "withdrawn": [] if keeps else waiting,
    }
    ticket = changes.get(tx, "ticket", ticket_id)
    changes.tell(tx, "ticket", ticket, Change("", "diagnosis_superseded", data), stamp)
    return row


def _locked(tx: Tx, ticket_id: int) -> list[int]:
    """Lock what is decided on, where several processes write; return what waits for a start."""
    changes.get(tx, "ticket", ticket_id)
    tx.all("workflow.not_started_of_ticket", ticket_id=ticket_id)
    found = tx.all("proposal.not_started_of_ticket", ticket_id=ticket_id)
    return [int(row["id"]) for row in found]


def _moved(tx: Tx, made: Diagnosis, stored: Diagnosis, stamp: Stamp, *, keeps: bool) -> Params:
    """Return since when the remedy counts, and what is being done: as before where it is kept."""
    ticket = changes.get(tx, "ticket", int(made.ticket_id or 0))
    goes_on = keeps and not stored.escalate
    phase = TicketPhase.ESCALATED.value if made.escalate else None
    return {
        "diagnosed_at": ticket["diagnosed_at"] if keeps else stamp.text,
        "phase": phase or (ticket["phase"] if goes_on else None),
    }

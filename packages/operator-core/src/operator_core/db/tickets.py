"""`TicketDB`: tickets, comments, sightings, observations and diagnoses in the ledger."""

from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime

from operator_core.agent.diagnosis import Diagnosis
from operator_core.agent.support import looks_named_by, supported
from operator_core.clock import to_text
from operator_core.db import diagnoses, incidents, looks, rows
from operator_core.db.engine import Row, Tx
from operator_core.db.looks import NewLook
from operator_core.db.store import ALL_ROWS, SYSTEM_ACTOR, Store
from operator_core.errors import ConstraintError, NotFoundError
from operator_core.monitor.retention import KEEP, Retention
from operator_core.monitor.types import (
    Observation,
    Sighting,
    Ticket,
    TicketPhase,
    TicketStatus,
    Violation,
)
from operator_core.types import JsonObject

DEFAULT_FLAP_WINDOW_SECONDS = 600.0
MONITOR = "monitor"


class TicketDB(Store):
    """Tickets and what was seen; each method is one durable transaction."""

    # --- tickets ----------------------------------------------------------------------

    async def report(
        self,
        violation: Violation,
        *,
        subject: str | None = None,
        first_seen_at: datetime | None = None,
        reported_by: str = MONITOR,
        flap_window_seconds: float = DEFAULT_FLAP_WINDOW_SECONDS,
    ) -> Ticket:
        """Return the open ticket of a problem: refreshed, reopened, or new.

        Args:
            violation: what is broken.
            subject: the cluster it is broken at.
            first_seen_at: when it was first seen; now where it is not given.
            reported_by: who saw it.
            flap_window_seconds: a problem that comes back sooner after it was resolved
                reopens its ticket instead of opening another.
        """
        stamp = self._stamp(reported_by)
        seen = first_seen_at or stamp.now

        def work(tx: Tx) -> Row:
            return incidents.report(
                tx,
                violation,
                stamp,
                subject=subject,
                first_seen_at=seen,
                flap_window_seconds=flap_window_seconds,
            )

        try:
            return rows.ticket(await self._write(work))
        except ConstraintError:  # another process has just opened it: now it is found
            return rows.ticket(await self._write(work))

    async def get_ticket(self, ticket_id: int) -> Ticket | None:
        """Return a ticket, or None where there is none with this id."""
        row = await self._read(lambda tx: tx.one("ticket.get", id=ticket_id))
        return rows.ticket(row) if row else None

    async def list_tickets(
        self,
        status: TicketStatus | None = None,
        *,
        subject: str | None = None,
        unresolved: bool = False,
        after_id: int = 0,
        limit: int = ALL_ROWS,
    ) -> list[Ticket]:
        """Return tickets in order of id; each filter narrows the list."""
        state = TicketStatus(status).value if status else None
        found = await self._read(
            lambda tx: tx.all(
                "ticket.list",
                status=state,
                subject=subject,
                unresolved=int(unresolved),
                after_id=after_id,
                limit=limit,
            )
        )
        return [rows.ticket(row) for row in found]

    async def list_undiagnosed(self, subject: str | None = None) -> list[Ticket]:
        """Return tickets that wait for a diagnosis and are not held."""
        found = await self._read(lambda tx: tx.all("ticket.undiagnosed", subject=subject))
        return [rows.ticket(row) for row in found]

    async def list_in_phase(self, phase: TicketPhase, subject: str | None = None) -> list[Ticket]:
        """Return unresolved tickets of which something is being done."""
        found = await self._read(
            lambda tx: tx.all("ticket.of_phase", phase=phase.value, subject=subject)
        )
        return [rows.ticket(row) for row in found]

    async def acknowledge(self, ticket_id: int, *, actor: str) -> Ticket:
        """Say that a person has seen an open ticket.

        Raises:
            TransitionError: it is not open.
        """
        stamp = self._stamp(actor)
        return rows.ticket(
            await self._write(lambda tx: incidents.acknowledge(tx, ticket_id, stamp))
        )

    async def resolve(self, ticket_id: int, *, actor: str, resolution: str) -> Ticket:
        """Resolve a ticket; what it had proposed and nobody started is cancelled with it.

        Raises:
            TransitionError: it is resolved already.
        """
        stamp = self._stamp(actor)
        return rows.ticket(
            await self._write(lambda tx: incidents.resolve(tx, ticket_id, resolution, stamp))
        )

    async def hold(self, ticket_id: int, *, actor: str, reason: str = "") -> Ticket:
        """Keep the agent's hands off a ticket until a person lets go.

        Raises:
            TransitionError: it is held already, or resolved.
        """
        stamp = self._stamp(actor)
        return rows.ticket(
            await self._write(lambda tx: incidents.hold(tx, ticket_id, reason, stamp))
        )

    async def unhold(self, ticket_id: int, *, actor: str) -> Ticket:
        """Let the agent work on a ticket again.

        Raises:
            TransitionError: it is not held, or resolved.
        """
        stamp = self._stamp(actor)
        return rows.ticket(await self._write(lambda tx: incidents.unhold(tx, ticket_id, stamp)))

    async def set_phase(
        self, ticket_id: int, phase: TicketPhase | None, *, actor: str = SYSTEM_ACTOR
    ) -> Ticket:
        """Say what is being done about a ticket.

        Raises:
            TransitionError: it is resolved.
        """
        stamp = self._stamp(actor)
        return rows.ticket(
            await self._write(lambda tx: incidents.set_phase(tx, ticket_id, phase, stamp))
        )

    async def comment(self, ticket_id: int, *, author: str, body: str) -> JsonObject:
        """Add a comment to a ticket.

        Raises:
            NotFoundError: there is no such ticket.
        """
        stamp = self._stamp(author)
        return await self._write(lambda tx: incidents.comment(tx, ticket_id, body, stamp))

    async def list_comments(self, ticket_id: int) -> list[JsonObject]:
        """Return the comments of a ticket, oldest first."""
        return await self._read(lambda tx: tx.all("comment.list", ticket_id=ticket_id))

    # --- what was seen ----------------------------------------------------------------

    async def record_look(
        self,
        observation: Observation,
        sightings: dict[str, Sighting],
        *,
        subject: str,
        keep: Retention = KEEP,
        content: str | None = None,
    ) -> int:
        """Store one look at a cluster and the monitor's memory; return the observation's id.

        Args:
            observation: what was seen.
            sightings: the whole new memory of problems; what is not in it is forgotten.
            subject: the cluster.
            keep: how much of what was seen earlier is kept.
            content: what `rows.content_of` makes of it, where somebody has made it already.
        """
        look, now = NewLook.of(observation, subject, content), self.ledger.clock.now()

        def work(tx: Tx) -> int:
            look_id = looks.record(tx, look, keep, now)
            _put_sightings(tx, subject, sightings)
            return look_id

        return await self._write(work)

    async def count_looks(self, subject: str) -> None:
        """Count anew what the looks of a cluster take; a monitor does so when it begins."""
        await self._write(lambda tx: tx.run("looks.recount", subject=subject))

    async def keep_look(self, observation_id: int) -> None:
        """Keep a look for good: it is what a ticket was opened or resolved by."""
        await self._write(lambda tx: looks.pin(tx, [observation_id]))

    async def load_sightings(self, subject: str) -> dict[str, Sighting]:
        """Return the monitor's memory of problems of a cluster."""
        found = await self._read(lambda tx: tx.all("sighting.list", subject=subject))
        return {row["violation_key"]: rows.sighting(row) for row in found}

    async def get_observation(self, observation_id: int) -> Observation:
        """Return a look at a cluster.

        Raises:
            NotFoundError: there is none with this id.
        """
        row = await self._read(lambda tx: tx.one("observation.get", id=observation_id))
        if row is None:
            raise NotFoundError("Observation", observation_id)
        return rows.observation(row)

    async def latest_observation(self, subject: str) -> Observation | None:
        """Return the last look at a cluster, or None."""
        row = await self._read(lambda tx: tx.one("observation.latest", subject=subject))
        return rows.observation(row) if row else None

    # --- diagnoses --------------------------------------------------------------------

    async def add_diagnosis(self, diagnosis: Diagnosis) -> Diagnosis:
        """Store what holds of a diagnosis and mark its ticket diagnosed, in one transaction.

        Whoever made it, its claims are evaluated first, see `supported`.

        Raises:
            TransitionError: the ticket was resolved in the meantime.
        """
        stamp = self._stamp(diagnosis.diagnoser)
        ticket = await self.get_ticket(int(diagnosis.ticket_id or 0))
        if ticket is not None:
            diagnosis = diagnosis.model_copy(update={"subject": ticket.subject})
        judged = supported(diagnosis, await self.list_looks(looks_named_by(diagnosis)))
        row = await self._write(lambda tx: incidents.add_diagnosis(tx, judged, stamp))
        return diagnoses.of_row(row)

    async def list_looks(self, ids: Iterable[int]) -> dict[int, Observation]:
        """Return those of some observations that are kept, by id."""
        found: dict[int, Observation] = {}
        for one in sorted(ids):
            with suppress(NotFoundError):
                found[one] = await self.get_observation(one)
        return found

    async def list_diagnoses(self, ticket_id: int) -> list[Diagnosis]:
        """Return the diagnoses of a ticket, oldest first."""
        found = await self._read(lambda tx: tx.all("diagnosis.list", ticket_id=ticket_id))
        return [diagnoses.of_row(row) for row in found]


def _put_sightings(tx: Tx, subject: str, sightings: dict[str, Sighting]) -> None:
    for row in _gone(tx.all("sighting.list", subject=subject), sightings):
        tx.run("sighting.delete", subject=subject, violation_key=row["violation_key"])
    for key, sighting in sightings.items():
        tx.run(
            "sighting.put",
            subject=subject,
            violation_key=key,
            violation=sighting.violation.model_dump_json(),
            first_seen_at=to_text(sighting.first_seen_at),
            last_seen_at=to_text(sighting.last_seen_at),
            clear_since=rows.text_or_none(sighting.clear_since),
        )


def _gone(before: Iterable[Row], now: dict[str, Sighting]) -> list[Row]:
    return [row for row in before if row["violation_key"] not in now]

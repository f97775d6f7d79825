"""`GroupDB`: which tickets follow which, decided and stored in one transaction."""

from collections.abc import Mapping

from operator_core.agent.diagnosis import Diagnosis
from operator_core.agent.grouping import Causes, Member, Move, MoveKind, moves
from operator_core.db import changes, incidents, rows
from operator_core.db.changes import Change, Params, Stamp
from operator_core.db.engine import Row, Tx
from operator_core.db.store import Store
from operator_core.monitor.types import Ticket, TicketPhase
from operator_core.types import JsonObject

AGENT = "agent"


class GroupDB(Store):
    """Groups of tickets; each method is one durable transaction."""

    async def regroup(
        self, subject: str, causes: Causes, patience_seconds: Mapping[str, float]
    ) -> list[Move]:
        """Bring the groups of a cluster up to date; return what has changed.

        What the agent had proposed for a ticket that now follows another one is cancelled.

        Args:
            subject: the cluster.
            causes: its catalogue by name.
            patience_seconds: by rule, how long a follower may outlast its root.
        """
        stamp = self._stamp(AGENT)

        def found(tx: Tx) -> list[Move]:
            return moves(_members(tx, subject), causes, stamp.now, patience_seconds)

        def work(tx: Tx) -> list[Move]:
            tx.all("ticket.lock_diagnosed", subject=subject)
            made = found(tx)
            for move in made:
                _apply(tx, move, stamp)
            return made

        # Most often there is nothing to write, and reading waits for nobody.
        return await self._write(work) if await self._read(found) else []

    async def followers(self, ticket_id: int) -> list[Ticket]:
        """Return the tickets that follow one, resolved ones too."""
        found = await self._read(lambda tx: tx.all("ticket.followers", id=ticket_id))
        return [rows.ticket(row) for row in found]


def _members(tx: Tx, subject: str) -> list[Member]:
    found = tx.all("ticket.groupable", subject=subject, agent=AGENT)
    if len(found) <= 1 and not any(row["root_ticket_id"] for row in found):
        return []  # most often: who is alone leads nobody
    return [_member(row) for row in found]


def _member(row: Row) -> Member:
    return Member(
        rows.ticket(row),
        Diagnosis.model_validate_json(row["diagnosis"]),
        is_committed=bool(row["committed"]),
        root_resolved_at=rows.time_or_none(row["root_resolved_at"]),
    )


def _apply(tx: Tx, move: Move, stamp: Stamp) -> None:
    data = _told(move)
    if move.kind is MoveKind.STAND_ALONE:
        change = Change("ticket.stand_alone", "ticket_stands_alone", data)
        changes.apply(tx, move.ticket_id, change, stamp)
        return
    phase = TicketPhase.ESCALATED.value if move.pages else None
    params: Params = {"root_ticket_id": move.root_id, "phase": phase}
    event = "ticket_grouped" if move.root_id is not None else "ticket_leads"
    row = changes.apply(tx, move.ticket_id, Change("ticket.group", event, data, params), stamp)
    if move.root_id is not None:
        _take_in(tx, move, row, stamp)


def _told(move: Move) -> JsonObject:
    return {"root_ticket_id": move.root_id, "reason": move.reason}


def _take_in(tx: Tx, move: Move, follower: Row, stamp: Stamp) -> None:
    """Tell of a follower at its root, and take back what nobody has approved for it."""
    follower_id, root_id = move.ticket_id, int(move.root_id or 0)
    data = {"ticket_id": follower_id, "message": follower["message"], "reason": move.reason}
    root = changes.get(tx, "ticket", root_id)
    changes.tell(tx, "ticket", root, Change("", "ticket_took_in", data), stamp)
    reason = f"ticket {follower_id} follows ticket {root_id}"
    incidents.cancel_not_started(tx, follower_id, reason, stamp)

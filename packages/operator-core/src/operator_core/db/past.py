"""`PastDB`: resolved tickets whose diagnosis rested on the same signs, and what was proven."""

import json
from collections.abc import Collection, Iterator

from operator_core.agent.diagnosis import PastIncidents
from operator_core.agent.past import Outcome, by_remedy
from operator_core.clock import from_text
from operator_core.db import rows
from operator_core.db.engine import Row, Tx
from operator_core.db.store import Store
from operator_core.monitor.verification import ROLLBACK_BY, Verdict

MAX_PAST_TICKETS = 200
"""As many resolved tickets of one signature as are looked at, the latest ones."""

MAX_PAST_OUTCOMES = 1000
"""As many outcomes of their remedies count, of each kind; a ticket has more where it came back."""


class PastDB(Store):
    """Reads what became of earlier incidents; of every cluster of the ledger."""

    async def incidents(self, signatures: Collection[str]) -> list[PastIncidents]:
        """Return earlier incidents by signature, in its order; none for one that is new.

        Args:
            signatures: see `agent.past.signature`.
        """
        wanted = sorted(set(signatures))
        return await self._read(
            lambda tx: [found for one in wanted if (found := _incidents(tx, one)) is not None]
        )


def _incidents(tx: Tx, signature: str) -> PastIncidents | None:
    tickets = tx.all("past.tickets", signature=signature, limit=MAX_PAST_TICKETS)
    if not tickets:
        return None
    return PastIncidents(
        hypothesis=tickets[0]["hypothesis"],
        signature=signature,
        seen=len(tickets),
        ticket_ids=[row["ticket_id"] for row in tickets],
        remedies=by_remedy([*_proven(tx, signature), *_undone(tx, signature)]),
    )


def _proven(tx: Tx, signature: str) -> Iterator[Outcome]:
    """Return what the proofs of remedies say; what waits for its proof says nothing yet."""
    found = _of(tx, "past.proofs", signature)
    firsts = [next(iter(json.loads(row["proposals"])), None) for row in found]
    ids = rows.to_json([one for one in firsts if one is not None])
    names = {row["id"]: row["remedy"] for row in tx.all("past.remedies", ids=ids)}
    for row, first in zip(found, firsts, strict=True):
        if first in names:
            yield _outcome(row, names[first])


def _outcome(row: Row, remedy: str) -> Outcome:
    ticket_id, decided_at = int(row["ticket_id"]), from_text(row["decided_at"])
    if row["verdict"] != Verdict.VERIFIED:
        why = "; ".join(json.loads(row["reasons"]))
        return Outcome(remedy, ticket_id, decided_at, why, bool(row["is_rolled_back"]))
    if row["came_back_at"] is None:
        return Outcome(remedy, ticket_id, decided_at)
    came_back_at = from_text(row["came_back_at"])
    seconds = (came_back_at - decided_at).total_seconds()
    return Outcome(remedy, ticket_id, came_back_at, f"the problem was back after {seconds:.0f} s")


def _undone(tx: Tx, signature: str) -> Iterator[Outcome]:
    """Return the remedies that could not be done to their end."""
    for row in _of(tx, "past.undone", signature):
        why = f"it could not be done: {row['error'] or 'nobody wrote down why'}"
        yield Outcome(row["remedy"], int(row["ticket_id"]), from_text(row["failed_at"]), why)


def _of(tx: Tx, name: str, signature: str) -> list[Row]:
    bounds = {"tickets": MAX_PAST_TICKETS, "limit": MAX_PAST_OUTCOMES}
    return tx.all(name, signature=signature, rollback_by=ROLLBACK_BY, **bounds)

"""`PastDB`: resolved tickets whose diagnosis rested on the same signs, and what helped there."""

from collections.abc import Collection

from operator_core.agent.diagnosis import PastIncidents, RemedyOutcomes
from operator_core.db.engine import Row, Tx
from operator_core.db.store import Store

MAX_PAST_TICKETS = 200
"""As many resolved tickets of one signature as are looked at, the latest ones."""

MAX_PAST_REMEDIES = 20


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
        remedies=[_outcomes(row) for row in _verdicts(tx, signature)],
    )


def _verdicts(tx: Tx, signature: str) -> list[Row]:
    """Return by remedy how often it was proven and how often it failed; a reopening is a failure.

    The one place that knows where outcomes are written down.
    """
    bounds = {"tickets": MAX_PAST_TICKETS, "limit": MAX_PAST_REMEDIES}
    return tx.all("past.verdicts", signature=signature, **bounds)


def _outcomes(row: Row) -> RemedyOutcomes:
    return RemedyOutcomes(remedy=row["remedy"], verified=row["verified"], failed=row["failed"])

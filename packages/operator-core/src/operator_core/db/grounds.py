"""What the policy allows by itself, bound to the facts of the last look; of a transaction."""

from collections.abc import Sequence

from operator_core.db import decisions, looks, rows
from operator_core.db.engine import Tx
from operator_core.monitor.types import Observation


def last_look(tx: Tx, subject: str | None) -> Observation | None:
    """Return the last look at a cluster that the ledger has."""
    found = tx.one("observation.latest", subject=subject)
    return rows.observation(found) if found else None


def bind(tx: Tx, subject: str | None, proposal_ids: Sequence[int]) -> None:
    """Bind what no person has looked at to the facts that stand now, where they are known.

    Args:
        tx: the transaction.
        subject: the cluster.
        proposal_ids: what the policy allows there, as far as it names facts.
    """
    look = last_look(tx, subject) if proposal_ids else None
    if look is None or look.id is None:
        return
    for proposal_id in proposal_ids:
        if decisions.ground(tx, proposal_id, look):
            looks.pin(tx, [look.id])

"""What the policy allows by itself, bound to the facts of the last look; of a transaction."""

from collections.abc import Iterable, Mapping

from operator_core.actions.types import ActionProposal, ActionStatus
from operator_core.db import decisions, looks, rows
from operator_core.db.decisions import Judged
from operator_core.db.engine import Tx
from operator_core.monitor.types import Observation


def last_look(tx: Tx, subject: str | None) -> Observation | None:
    """Return the last look at a cluster that the ledger has."""
    found = tx.one("observation.latest", subject=subject)
    return rows.observation(found) if found else None


def bind(
    tx: Tx, subject: str | None, steps: Iterable[ActionProposal], asked: Mapping[int, Judged]
) -> None:
    """Bind what no person has looked at to the facts that stand now, where they are known.

    Args:
        tx: the transaction.
        subject: the cluster.
        steps: what the policy allows there; what has begun is bound already.
        asked: what it was asked about each, by id.
    """
    waiting = (int(one.id or 0) for one in steps if one.status is ActionStatus.VALIDATED)
    bound = [one for one in waiting if asked[one].facts]
    look = last_look(tx, subject) if bound else None
    if look is None or look.id is None:
        return
    for proposal_id in bound:
        if decisions.ground(tx, proposal_id, look):
            looks.pin(tx, [look.id])

"""The looks that what is allowed rests on, as functions of a transaction.

What is allowed names its look; only what is then done for a ticket keeps it. Most of what is
approved in a month is for no ticket, or never done: its looks would take the budget of all others.
"""

import json
from collections.abc import Iterable, Mapping

from operator_core.actions.types import ActionProposal, ActionStatus
from operator_core.db import decisions, looks, rows
from operator_core.db.decisions import Judged
from operator_core.db.engine import Row, Tx
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
        decisions.ground(tx, proposal_id, look)


def looks_of_decisions(decided: Iterable[Row]) -> set[int]:
    """Return the looks that the policy's own decisions are bound to, of their rows."""
    found = (json.loads(row["binds"]).get(decisions.LOOK_ID) for row in decided)
    return {int(one) for one in found if one is not None}


def pin(tx: Tx, proposal: ActionProposal) -> None:
    """Keep the looks for good that an attempt rests on, which is about to begin for a ticket."""
    if proposal.ticket_id is None:
        return
    owners = {"proposal_id": proposal.id, "workflow_id": proposal.workflow_id}
    words = tx.all("approval.looks_of", **owners)
    decided = tx.all("decision.list", proposal_id=proposal.id)
    looks.pin(tx, {row["observation_id"] for row in words} | looks_of_decisions(decided))

"""Who else is suspected of the same as what a proposal is about, as a function of a transaction.

Where two stores look dead at once it is seldom both of them, and mostly what they share: the
network, a switch, the eyes. So an action on one of several suspects is not one that helps.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from operator_core.actions.policy.decide import suspecting
from operator_core.clock import from_text, to_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from operator_core.actions.policy import LoadedPolicy, PolicyRequest
    from operator_core.actions.policy.words import Suspects
    from operator_core.actions.types import ActionProposal
    from operator_core.db.engine import Row, Tx


class Others(NamedTuple):
    """The other suspects.

    Attributes:
        told: each in words.
        since: when the last of them came up; None: there is none.
    """

    told: tuple[str, ...] = ()
    since: datetime | None = None


NOBODY = Others()


def others(
    tx: Tx, proposal: ActionProposal, request: PolicyRequest, loaded: LoadedPolicy
) -> Others:
    """Return who else is suspected, where those are more than the policy takes for clear.

    Counted are open tickets of the same rule on other targets, and proposals that wait or run
    of the same action on other targets, except those of the same workflow.

    Args:
        tx: the transaction.
        proposal: what is about to be done.
        request: what the policy is asked of it.
        loaded: the policy.
    """
    table = suspecting(loaded, request)
    if table is None or proposal.compensates_proposal_id is not None or request.takes_back:
        return NOBODY
    found = [*_tickets(tx, proposal, request, table), *_proposals(tx, proposal, request, table)]
    targets = {one["target"] for one in found}
    if len(targets) < table.at_most:
        return NOBODY
    return Others(
        tuple(dict.fromkeys(one["told"] for one in found)),
        max((from_text(one["since"]) for one in found), default=None),
    )


def _tickets(
    tx: Tx, proposal: ActionProposal, request: PolicyRequest, table: Suspects
) -> Iterable[Row]:
    if proposal.ticket_id is None:
        return
    for row in tx.all(
        "suspects.tickets", ticket_id=proposal.ticket_id, since=_since(request, table)
    ):
        yield {**row, "told": f"{row['target']} (ticket {row['id']})"}


def _proposals(
    tx: Tx, proposal: ActionProposal, request: PolicyRequest, table: Suspects
) -> Iterable[Row]:
    found = tx.all(
        "suspects.proposals",
        proposal_id=proposal.id or 0,
        workflow_id=proposal.workflow_id or 0,
        action_name=request.action,
        subject=request.subject,
        target=request.target,
        since=_since(request, table),
    )
    for row in found:
        yield {**row, "told": f"{row['target']} (proposal {row['id']})"}


def _since(request: PolicyRequest, table: Suspects) -> str:
    return to_text(request.now - timedelta(seconds=table.within_seconds))

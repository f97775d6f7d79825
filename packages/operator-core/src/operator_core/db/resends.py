"""Proposals that were sent, wait to be sent again, and may be called off, in a transaction.

What was sent may have had its effect. So nothing here ends a proposal as surely not done: called
off, it is in doubt until the subject's probe or a person settles it (ADR 24).
"""

from operator_core.actions.types import ActionProposal, ActionStatus, Outcome
from operator_core.db import changes, rows
from operator_core.db.changes import Change, Stamp
from operator_core.db.engine import Row, Tx
from operator_core.errors import (
    BlindError,
    BreakerError,
    LimitError,
    NotReadyError,
    ObserveOnlyError,
    OperatorError,
    TransitionError,
)

_PASSING = (BlindError, LimitError, NotReadyError, ObserveOnlyError, TransitionError)
"""Why something is not sent now, and may be sent later; or somebody else was first."""


def awaited(row: Row) -> bool:
    """Return whether a proposal waits to be sent again."""
    return rows.proposal(row).awaits_resend


def was_sent(tx: Tx, proposal: ActionProposal) -> bool:
    """Return whether an earlier try under the present key may have had the proposal's effect.

    Operators before 0.3.0 took a proposal back to validated where it was to be sent again.
    """
    if proposal.awaits_resend:
        return True
    if proposal.status is not ActionStatus.VALIDATED or proposal.retry_count == 0:
        return False
    last = tx.one("record.latest", proposal_id=proposal.id)
    key_ends = f":{proposal.id}:{proposal.effect}"
    return (
        last is not None
        and last["outcome"] == Outcome.UNKNOWN
        and str(last["idempotency_key"]).endswith(key_ends)
    )


def is_final(refused: OperatorError) -> bool:
    """Return whether waiting does not help: the gate will not let through what it refused."""
    return isinstance(refused, BreakerError) or not isinstance(refused, _PASSING)


def call_off(tx: Tx, proposal_id: int, change: Change, stamp: Stamp) -> Row:
    """Cancel a proposal that has not started, or leave it in doubt where it was sent before.

    Args:
        tx: the transaction.
        proposal_id: the proposal.
        change: how it is cancelled where it surely was not sent.
        stamp: who and when.

    Raises:
        NotFoundError: there is no such proposal.
        TransitionError: it has started or ended.
    """
    proposal = rows.proposal(changes.get(tx, "proposal", proposal_id))
    if proposal.awaits_resend or not was_sent(tx, proposal):
        return changes.apply(tx, proposal_id, change, stamp)
    why = {"error": f"called off after it was sent: {_reason(change)}"}
    return changes.apply(
        tx, proposal_id, Change("proposal.doubt", "execution_in_doubt", {**why}, {**why}), stamp
    )


def give_up(tx: Tx, proposal_id: int, reason: str, stamp: Stamp) -> Row | None:
    """Send no more what waits to be sent again: it is in doubt. None: it does not wait (any more).

    Args:
        tx: the transaction.
        proposal_id: the proposal.
        reason: why it is not sent again.
        stamp: who and when.
    """
    row = changes.get(tx, "proposal", proposal_id)
    if not awaited(row):
        return None
    why = f"not sent again: {reason} Before: {row['last_error']}"
    params = {"fence": row["fence"], "error": why}
    change = Change("proposal.mark_in_doubt", "execution_in_doubt", {"error": why}, params)
    return changes.apply(tx, proposal_id, change, stamp)


def refuse(tx: Tx, proposal_id: int, reason: str, stamp: Stamp) -> None:
    """Give up what is to be sent again now, and the gate has just refused for good.

    Another process may have sent it since then; what it left is not due yet.
    """
    proposal = rows.proposal(changes.get(tx, "proposal", proposal_id))
    due = proposal.lease_expires_at
    if proposal.awaits_resend and due is not None and due <= stamp.now:
        give_up(tx, proposal_id, reason, stamp)


def _reason(change: Change) -> str:
    return str(change.data.get("reason") or change.event_type)

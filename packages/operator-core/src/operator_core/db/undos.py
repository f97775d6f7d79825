"""What takes temporary effects back, as functions of a transaction."""

from operator_core.actions.types import ActionStatus
from operator_core.db import proposals, resends
from operator_core.db.changes import Stamp
from operator_core.db.engine import Row, Tx


def call_off(tx: Tx, lease: Row, reason: str, stamp: Stamp) -> ActionStatus | None:
    """Call off what was to take an effect back and does not run at this moment.

    An undo that failed would be tried again, perhaps when somebody else has made the effect anew.

    Args:
        tx: the transaction.
        lease: the lease of the effect.
        reason: why the undo is not wanted any more.
        stamp: who and when.

    Returns:
        How the undo stood; None: there is none.
    """
    undo_id = lease["undo_proposal_id"]
    undo = None if undo_id is None else tx.one("proposal.get", id=undo_id)
    if undo is None:
        return None
    status = ActionStatus(undo["status"])
    if status in (ActionStatus.PROPOSED, ActionStatus.VALIDATED):
        proposals.cancel(tx, undo_id, reason, stamp)
    elif status is ActionStatus.EXECUTING:
        resends.give_up(tx, undo_id, f"{reason}.", stamp)
    elif status is ActionStatus.FAILED and undo["next_retry_at"] is not None:
        proposals.set_next_retry(tx, undo_id, None, stamp)
    return status

"""Approvals that are taken back or end, as functions of a transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING

from operator_core.clock import from_text
from operator_core.db import approvals, changes
from operator_core.db.changes import Change, Stamp

if TYPE_CHECKING:
    from datetime import datetime

    from operator_core.actions.policy import LoadedPolicy
    from operator_core.db.engine import Tx


def void(tx: Tx, proposal_id: int, reason: str, given_before: datetime, stamp: Stamp) -> None:
    """Take back the words that stood for a proposal: a person must look again.

    A workflow's words end with it, because they were given for the whole.

    Args:
        tx: the transaction.
        proposal_id: the proposal that was refused.
        reason: why.
        given_before: when it was refused; a word that came later stands.
        stamp: who and when.
    """
    row = changes.get(tx, "proposal", proposal_id)
    for kind, row_id in (("proposal", proposal_id), ("workflow", row["workflow_id"])):
        if row_id is None:
            continue
        words = approvals.words_of(tx, kind, row_id)
        old = [word for word in words if from_text(word["at"]) <= given_before]
        for word in old:
            tx.run("approval.end", id=word["id"], reason=reason, now=stamp.text)
        if len(old) == len(words):
            withdraw(tx, kind, row_id, reason, stamp)


def withdraw(tx: Tx, kind: str, row_id: int, reason: str, stamp: Stamp) -> None:
    """Let a proposal or workflow wait for approval again; what has ended stays as it is."""
    owner = approvals.owner_of(tx, kind, row_id)
    if not owner.is_open or owner.row["approved_at"] is None:
        return
    statement = "proposal.unapprove" if kind == "proposal" else "workflow.void_approval"
    data = {"approved_by": owner.row["approved_by"], "reason": reason}
    changes.apply(tx, owner.id, Change(statement, "approval_voided", data), stamp)


def collect_expired(tx: Tx, stamp: Stamp) -> list[int]:
    """End the words whose time is over, and let what they approved wait again; return them."""
    found = tx.all("approval.expired", now=stamp.text)
    for row in found:
        kind = "proposal" if row["proposal_id"] is not None else "workflow"
        row_id = row[f"{kind}_id"]
        tx.run("approval.end", id=row["id"], reason="it has expired", now=stamp.text)
        data = {"approver": row["approver"], "expires_at": row["expires_at"]}
        owner = changes.get(tx, kind, row_id)
        changes.tell(tx, kind, owner, Change("", "approval_expired", data), stamp)
        withdraw(tx, kind, row_id, f"the approval by {row['approver']} has expired", stamp)
    return [row["id"] for row in found]


def follow_policy(tx: Tx, loaded: LoadedPolicy, stamp: Stamp) -> None:
    """Let all that waits be approved anew, as a policy that has just come into force says."""
    for row in tx.all("approval.standing"):
        if row["digest"] is not None:
            tx.run("approval.end", id=row["id"], reason="the policy has changed", now=stamp.text)
    for kind, name in (("workflow", "workflow.unfinished"), ("proposal", "proposal.pending")):
        for row in tx.all(name):
            withdraw(tx, kind, row["id"], "the policy has changed", stamp)
            if kind == "workflow" or row["workflow_id"] is None:
                approvals.settle(tx, kind, row["id"], loaded, stamp)

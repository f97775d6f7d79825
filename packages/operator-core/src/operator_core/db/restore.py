"""A ledger that was restored from a backup: it begins anew, and its pending work is held.

What the backup knew as pending may have been done since it was made. So nothing of it may run,
be tried again or be undone by any policy before a person has approved it anew.
"""

from operator_core.actions.types import Outcome
from operator_core.db import attempts, changes, proposals, rows, safety
from operator_core.db.attempts import Ending
from operator_core.db.changes import Change, Stamp
from operator_core.db.claims import Attempt
from operator_core.db.engine import Row, Tx
from operator_core.types import RunMode

_WHY = "the ledger was restored from a backup, which was made while this ran"


def begin_anew(tx: Tx, ledger_id: str, stamp: Stamp) -> None:
    """Turn a backup into a ledger of its own, in observe mode.

    Args:
        tx: the transaction.
        ledger_id: the new id; idempotency keys are made of it.
        stamp: who and when.
    """
    before = tx.one("ledger.get") or {}
    safety.set_mode(tx, RunMode.OBSERVE, stamp)
    told = {
        "held": _hold(tx, stamp),
        "workflows_held": _void_workflows(tx, stamp),
        "in_doubt": _doubt_running(tx, stamp),
        "retries_dropped": _drop_retries(tx, stamp),
        "schedules_disabled": _disable_schedules(tx, stamp),
    }
    tx.run("ledger.restore", ledger_id=ledger_id)
    was = {"ledger_id": ledger_id, "was": before.get("ledger_id"), "made": before.get("backup_at")}
    changes.note(tx, "ledger_restored", {**was, **told}, stamp)


def _hold(tx: Tx, stamp: Stamp) -> list[int]:
    """Hold what has not started, and what has and could be tried again or undone."""
    pending = tx.all("proposal.pending")
    for row in pending:
        approved = row["approved_at"] is not None
        change = Change(
            "proposal.hold",
            "approval_voided" if approved else "proposal_held",
            {"approved_by": row["approved_by"], "reason": "restored from a backup"},
        )
        changes.apply(tx, row["id"], change, stamp)
    tx.run("proposal.hold_begun", now=stamp.text)
    for word in tx.all("approval.standing"):
        tx.run("approval.end", id=word["id"], reason="restored from a backup", now=stamp.text)
    return [row["id"] for row in pending]


def _void_workflows(tx: Tx, stamp: Stamp) -> list[int]:
    found = [row for row in tx.all("workflow.unfinished") if row["approved_at"] is not None]
    for row in found:
        data = {"approved_by": row["approved_by"], "reason": "restored from a backup"}
        change = Change("workflow.void_approval", "approval_voided", data)
        changes.apply(tx, row["id"], change, stamp)
    return [row["id"] for row in found]


def _doubt_running(tx: Tx, stamp: Stamp) -> list[int]:
    found = [row for row in tx.all("proposal.executing") if not row["in_doubt"]]
    for row in found:
        _doubt(tx, row, stamp)
    return [row["id"] for row in found]


def _doubt(tx: Tx, row: Row, stamp: Stamp) -> None:
    latest = tx.one("record.latest", proposal_id=row["id"])
    if latest is not None:
        attempt = Attempt(rows.proposal(row), rows.record(latest))
        attempts.finish(tx, attempt, Ending(Outcome.UNKNOWN, _WHY), stamp)
        return
    params = {"fence": row["fence"], "error": _WHY}
    change = Change("proposal.mark_in_doubt", "execution_in_doubt", {"error": _WHY}, params)
    changes.apply(tx, row["id"], change, stamp)


def _drop_retries(tx: Tx, stamp: Stamp) -> list[int]:
    """A step that is not tried again fails its workflow; what then undoes it is held too."""
    found = [row["id"] for row in tx.all("proposal.waiting_retry")]
    for proposal_id in found:
        proposals.set_next_retry(tx, proposal_id, None, stamp)
    return found


def _disable_schedules(tx: Tx, stamp: Stamp) -> list[str]:
    """Their missed runs may have been done; enabling one starts from that moment."""
    found = tx.all("schedule.enabled")
    for row in found:
        tx.one("schedule.disable", name=row["name"])
        data = {"schedule": row["name"], "schedule_id": row["id"]}
        changes.tell(tx, "schedule", row, Change("", "schedule_disabled", data), stamp)
    return [row["name"] for row in found]

"""Decides again that a temporary effect was not wanted any more, from its lease; pure."""

import json
from collections.abc import Iterator

from operator_core.actions.leases import EffectLease, why_over
from operator_core.actions.types import ActionStatus
from operator_core.agent.janitor import JANITOR
from operator_core.clock import from_text
from operator_core.db.engine import Row
from operator_core.db.exports import IncidentRows
from operator_core.monitor.types import TicketStatus
from operator_core.runtime.incident.fold import Then
from operator_core.runtime.incident.replayed import Means, Replayed, replayed

UNDO = "effect_undo_proposed"


def take_back(incident: IncidentRows, _means: Means) -> Iterator[Replayed]:
    """The reason or the time of an effect was over when its undo was proposed.

    Args:
        incident: its rows.
        _means: nothing of it rules here.
    """
    for event in incident["events"]:
        lease = _lease(incident, event) if is_made(event) else None
        if lease is not None:
            at, told = from_text(event["timestamp"]), json.loads(event["event_data"])
            reason = why_over(lease, at)
            now = f"takes back {lease.effect}: {reason}" if reason else None
            what = f"lease {lease.id} of {lease.effect}"
            yield replayed(at, "take back", what, told.get("because"), now)


def is_made(event: Row) -> bool:
    """Return whether an event is one of these decisions: a person may ask for an undo, too."""
    return bool(event["event_type"] == UNDO and event["actor"] == JANITOR)


def _lease(incident: IncidentRows, event: Row) -> EffectLease | None:
    """Return the lease of an event as it stood then; None: it is not in the archive."""
    told, then = json.loads(event["event_data"]), Then(incident, event)
    row = next((one for one in incident["effects"] if one["id"] == told.get("lease_id")), None)
    status = then.status_of(row["proposal_id"]) if row else None
    if row is None or status is None or told.get("until") is None:
        return None
    is_resolved = then.kinds("ticket_id", row["ticket_id"], _ENDS)[-1:] == ["ticket_resolved"]
    return EffectLease(
        id=row["id"],
        subject=row["subject"],
        effect=row["effect"],
        proposal_id=row["proposal_id"],
        taken_by=row["taken_by"],
        taken_at=from_text(row["taken_at"]),
        expires_at=from_text(told["until"]),
        changed_at=from_text(row["changed_at"]),
        reason="",
        applied=True,
        unsure=False,
        kept=then.kinds("proposal_id", row["proposal_id"], _KEEPS)[-1:] == ["effect_renewed"],
        undo=None,
        action_status=ActionStatus(status),
        ticket_id=row["ticket_id"],
        ticket_status=TicketStatus.RESOLVED if is_resolved else None,
        workflow_id=row["workflow_id"],
        workflow_status=then.workflow_status(row["workflow_id"]),
    )


_ENDS = ("ticket_resolved", "ticket_reopened")
_KEEPS = ("effect_renewed", "effect_released")

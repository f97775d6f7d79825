"""How an incident stood at one of its moments, by the audit up to there; pure."""

import json
from collections.abc import Iterable
from dataclasses import dataclass

from operator_core.actions.types import ActionStatus, WorkflowStatus
from operator_core.db.engine import Row
from operator_core.db.exports import IncidentRows
from operator_core.types import RunMode

_STATUS_AFTER = {
    "proposal_created": ActionStatus.PROPOSED,
    "proposal_validated": ActionStatus.VALIDATED,
    "proposal_rejected": ActionStatus.CANCELLED,
    "proposal_cancelled": ActionStatus.CANCELLED,
    "execution_started": ActionStatus.EXECUTING,
    "execution_completed": ActionStatus.COMPLETED,
    "execution_failed": ActionStatus.FAILED,
    "execution_stopped": ActionStatus.CANCELLED,
    "execution_released": ActionStatus.VALIDATED,
    "retry_started": ActionStatus.VALIDATED,
}
_WORKFLOW_AFTER = {
    "workflow_created": WorkflowStatus.PENDING,
    "workflow_in_progress": WorkflowStatus.IN_PROGRESS,
    "workflow_completed": WorkflowStatus.COMPLETED,
    "workflow_failed": WorkflowStatus.FAILED,
    "workflow_cancelled": WorkflowStatus.CANCELLED,
}


@dataclass(frozen=True)
class Then:
    """An incident right before one event of its audit.

    Attributes:
        incident: its rows.
        event: the event.
    """

    incident: IncidentRows
    event: Row

    @property
    def switch(self) -> tuple[RunMode, bool] | None:
        """The mode, and whether the kill switch held; None: nothing tells."""
        told = [row for row in self.incident["switches"] if row["id"] < self.event["id"]]
        modes = [
            RunMode(json.loads(row["event_data"])["to"])
            for row in told
            if row["event_type"] == "mode_changed"
        ]
        if not modes:
            return None
        return modes[-1], _is_killed(told)

    def status_of(self, proposal_id: int | None) -> ActionStatus | None:
        """Return the state of a proposal; None: there is none, or nothing tells."""
        found = self.kinds("proposal_id", proposal_id, _STATUS_AFTER)
        return _STATUS_AFTER[found[-1]] if found else None

    def tries_of(self, proposal_id: int | None) -> int:
        """Return how often a proposal had been begun."""
        return len(self.kinds("proposal_id", proposal_id, ("execution_started",)))

    def workflow_status(self, workflow_id: int | None) -> WorkflowStatus | None:
        """Return the state of a workflow; None: there is none, or nothing tells."""
        found = self.kinds("workflow_id", workflow_id, _WORKFLOW_AFTER)
        return _WORKFLOW_AFTER[found[-1]] if found else None

    def is_paused(self, workflow_id: int | None) -> bool:
        """Return whether a workflow was paused."""
        found = self.kinds("workflow_id", workflow_id, ("workflow_paused", "workflow_resumed"))
        return found[-1:] == ["workflow_paused"]

    def kinds(self, key: str, row_id: int | None, wanted: Iterable[str]) -> list[str]:
        """Return the kinds of what had happened to a row, oldest first.

        Args:
            key: the column that names the row.
            row_id: its number; None: there is none.
            wanted: kinds of events that count.
        """
        if row_id is None:
            return []
        kinds = frozenset(wanted)
        return [
            row["event_type"]
            for row in self.incident["events"]
            if row["id"] < self.event["id"] and row[key] == row_id and row["event_type"] in kinds
        ]


def _is_killed(told: Iterable[Row]) -> bool:
    killed = False
    for row in told:
        is_kill = row["event_type"] == "kill_switch"
        killed = is_kill or (killed and not json.loads(row["event_data"]).get("kill_lifted", False))
    return killed

"""Watching a cluster: invariants, violations, tickets."""

from typing import TYPE_CHECKING

from operator_core.late import late

if TYPE_CHECKING:
    from operator_core.monitor.tickets import MonitorStage

_LAZY = {
    "MonitorStage": "operator_core.monitor.tickets",
}

__all__ = ["MonitorStage"]

__getattr__ = late(__name__, _LAZY)

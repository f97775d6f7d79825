"""The ledger: schema, SQL, engines and the typed access to it."""

from typing import TYPE_CHECKING

from operator_core.late import late

if TYPE_CHECKING:
    from operator_core.db.actions import ActionDB
    from operator_core.db.tickets import TicketDB
    from operator_core.db.workflows import WorkflowDB

_LAZY = {
    "ActionDB": "operator_core.db.actions",
    "TicketDB": "operator_core.db.tickets",
    "WorkflowDB": "operator_core.db.workflows",
}

__all__ = ["ActionDB", "TicketDB", "WorkflowDB"]

__getattr__ = late(__name__, _LAZY)

"""The ledger: schema, SQL, engines and the typed access to it."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from operator_core.db.actions import ActionDB
    from operator_core.db.tickets import TicketDB

_LAZY = {"ActionDB": "operator_core.db.actions", "TicketDB": "operator_core.db.tickets"}

__all__ = ["ActionDB", "TicketDB"]


def __getattr__(name: str) -> object:
    """Load a store when it is first asked for."""
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

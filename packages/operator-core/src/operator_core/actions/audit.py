"""`ActionAuditor`: events that people and stages add to the audit, and its list."""

from operator_core.actions.types import AuditEvent
from operator_core.clock import SYSTEM_CLOCK, Clock
from operator_core.db.control import ControlDB
from operator_core.db.ledger import Ledger, LedgerAddress
from operator_core.db.sharing import LedgerCalls
from operator_core.errors import RequestError
from operator_core.types import JsonObject

__all__ = ["ActionAuditor", "AuditEvent"]


class ActionAuditor:
    """Writes and reads the audit. Changes of state write their own rows, in their transaction."""

    def __init__(self, db_path: LedgerAddress | Ledger, *, clock: Clock = SYSTEM_CLOCK) -> None:
        """Take a path or an open ledger."""
        self._calls = LedgerCalls(db_path, clock)
        self._clock = clock

    async def log_event(
        self,
        event: AuditEvent | None = None,
        *,
        proposal_id: int | None = None,
        event_type: str | None = None,
        event_data: JsonObject | None = None,
        actor: str = "system",
    ) -> None:
        """Append one event, given whole or by its parts.

        Raises:
            RequestError: neither an event nor its type is given.
        """
        if event is None:
            if event_type is None:
                raise RequestError("log_event needs an AuditEvent, or at least its event_type.")
            event = AuditEvent(
                proposal_id=proposal_id,
                event_type=event_type,
                event_data=event_data or {},
                actor=actor,
                timestamp=self._clock.now(),
            )
        async with self._calls as ledger:
            await ControlDB(ledger).append_event(event)

    async def list_events(
        self, proposal_id: int | None = None, *, event_type: str | None = None
    ) -> list[AuditEvent]:
        """Return events in the order they were written."""
        async with self._calls as ledger:
            return await ControlDB(ledger).list_events(
                proposal_id=proposal_id, event_type=event_type
            )

"""`SafetyController`: the run mode and the kill switch, as all processes see them."""

from operator_core.actions.audit import ActionAuditor
from operator_core.actions.types import SafetyMode
from operator_core.clock import SYSTEM_CLOCK, Clock
from operator_core.db.control import ControlDB
from operator_core.db.ledger import Ledger, LedgerAddress
from operator_core.db.safety import KillReport, SafetyState
from operator_core.db.sharing import LedgerCalls
from operator_core.errors import ObserveOnlyError

__all__ = ["KillReport", "ObserveOnlyError", "SafetyController", "SafetyMode", "SafetyState"]


class SafetyController:
    """The switch in the ledger. Nothing about it is kept in this object.

    The mode given here is set only where none was ever set, and never lifts a kill.
    """

    def __init__(
        self,
        db_path: LedgerAddress | Ledger,
        auditor: ActionAuditor | None = None,
        mode: SafetyMode = SafetyMode.OBSERVE,
        *,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        """Take a path or an open ledger, and the mode for a ledger that has none.

        Args:
            db_path: where the switch lies.
            auditor: unused by the switch itself, which writes its audit rows in the
                transaction of each change; kept as the seeds give it.
            mode: the first mode, observe if nobody says otherwise.
            clock: the source of time.
        """
        self._calls = LedgerCalls(db_path, clock)
        self._auditor = auditor
        self._first_mode = SafetyMode(mode)
        self._ever_set = False

    async def state(self) -> SafetyState:
        """Return how the switch stands, setting the first mode where none was ever set."""
        async with self._calls as ledger:
            return await ControlDB(ledger).ensure_mode(self._first_mode, actor="system")

    async def ensure(self) -> None:
        """Set the first mode where none was ever set; once one is set that is not asked again."""
        if not self._ever_set:
            self._ever_set = (await self.state()).ever_set

    async def check_can_execute(self) -> None:
        """Return only when Operator may act.

        Raises:
            ObserveOnlyError: it is in observe mode, or the kill switch is on.
        """
        refused = (await self.state()).refusal()
        if refused is not None:
            raise refused

    async def set_mode(self, mode: SafetyMode, *, actor: str = "user") -> SafetyState:
        """Set the mode; execute lifts the kill switch, and nothing else does."""
        async with self._calls as ledger:
            return await ControlDB(ledger).set_mode(SafetyMode(mode), actor=actor)

    async def kill(self, *, actor: str = "user", reason: str = "") -> KillReport:
        """Stop everything.

        No new claim is possible after this commits, waiting work is cancelled, and the owners
        of running calls are asked to stop them.
        """
        async with self._calls as ledger:
            return await ControlDB(ledger).kill(actor=actor, reason=reason)

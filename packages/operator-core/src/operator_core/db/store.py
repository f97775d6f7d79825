"""What the typed stores share: opening the ledger, its clock, and who acts."""

from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self, TypeVar

from operator_core.clock import SYSTEM_CLOCK, Clock
from operator_core.db.changes import Stamp
from operator_core.db.engine import ItemWork, Tx
from operator_core.db.ledger import Ledger, LedgerAddress
from operator_core.db.sharing import LedgerUse
from operator_core.errors import LedgerUnavailableError, RequestError

T = TypeVar("T")
I = TypeVar("I")  # noqa: E741 - an item

SYSTEM_ACTOR = "system"
ALL_ROWS = 2**62
"""The limit of a list that nobody pages."""


class Store:
    """A typed view of a ledger, open between ``async with`` and its end."""

    def __init__(self, db_path: LedgerAddress | Ledger, *, clock: Clock = SYSTEM_CLOCK) -> None:
        """Take a path or an open ledger.

        Args:
            db_path: where the ledger lies, or one that somebody else opened and will close.
            clock: the source of time, where a path is given.
        """
        lent = db_path if isinstance(db_path, Ledger) else None
        self._ledger = lent
        self._use = LedgerUse(db_path, clock) if lent is None else None

    @property
    def ledger(self) -> Ledger:
        """The open ledger.

        Raises:
            LedgerUnavailableError: it is not open.
        """
        if self._ledger is None:
            raise LedgerUnavailableError("The ledger is not open: use `async with`.")
        return self._ledger

    async def __aenter__(self) -> Self:
        """Open the ledger."""
        if self._use is not None:
            self._ledger = await self._use.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the ledger, if nobody else uses it."""
        if self._use is not None:
            self._ledger = None
            await self._use.__aexit__(kind, error, trace)

    def _stamp(self, actor: str) -> Stamp:
        return Stamp(_named(actor), self.ledger.clock.now())

    def _shared_stamp(self, actor: str) -> Stamp:
        """Return the stamp of work on an item, which others' items share."""
        return self.ledger.shared_stamp(_named(actor))

    async def _write(self, work: Callable[[Tx], T]) -> T:
        return await self.ledger.write(work)

    def _item(self, work: ItemWork[I, T], item: I) -> Awaitable[T]:
        return self.ledger.write_item(work, item)

    async def _read(self, work: Callable[[Tx], T]) -> T:
        return await self.ledger.read(work)


def _named(actor: str) -> str:
    if not actor.strip():
        raise RequestError("Say who does it: an empty name answers for nothing.")
    return actor

"""An engine whose transactions are crash points, named by their first statement that writes."""

from collections.abc import Callable
from typing import TypeVar, cast

from operator_core.clock import Clock
from operator_core.db.engine import Engine, Row, Tx, Value
from operator_core.db.statements import statements
from operator_core.errors import LedgerUnavailableError
from operator_core.testing.crash.points import Side
from operator_core.testing.crash.trigger import Trigger

T = TypeVar("T")

_WRITES = frozenset(
    name
    for name, text in statements("sqlite").items()
    if text.upper().startswith(("INSERT", "UPDATE", "DELETE", "REPLACE"))
)


def _lost() -> Exception:
    return LedgerUnavailableError("The answer of the ledger was lost. Look before you try again.")


class PointedEngine:
    """Passes everything on to an engine; before and after each commit the trigger is asked."""

    def __init__(self, engine: Engine, trigger: Trigger) -> None:
        """Take the engine that does the work, and what may strike."""
        self._engine = engine
        self._trigger = trigger

    async def write(self, work: Callable[[Tx], T]) -> T:
        """Run work in a transaction.

        Raises:
            LedgerUnavailableError: its answer was lost on purpose.
        """
        seen: list[str] = []

        def pointed(tx: Tx) -> T:
            seen.clear()
            watched = _PointedTx(tx, self._trigger, seen)
            try:
                return work(cast("Tx", watched))
            finally:
                watched.end()

        result = await self._engine.write(pointed)
        if seen and self._trigger.is_due(seen[0], Side.AFTER):
            self._trigger.strike(_lost)
        return result

    async def read(self, work: Callable[[Tx], T]) -> T:
        """Run work that only reads."""
        return await self._engine.read(work)

    async def changes(self) -> int:
        """Return the number of changes that the engine has seen."""
        return await self._engine.changes()

    def on_change(self, callback: Callable[[], None]) -> None:
        """Pass on who wants to be called after a change."""
        self._engine.on_change(callback)

    def clock(self, base: Clock) -> Clock:
        """Return the engine's source of time."""
        return self._engine.clock(base)

    async def close(self) -> None:
        """Let go of the engine."""
        await self._engine.close()


class _PointedTx:
    """A transaction in which the blow may fall, at its first write or some statements later."""

    def __init__(self, tx: Tx, trigger: Trigger, seen: list[str]) -> None:
        self._tx = tx
        self._trigger = trigger
        self._seen = seen
        self._statements_left: int | None = None

    def __getattr__(self, name: str) -> object:
        return getattr(self._tx, name)

    def one(self, name: str, /, **params: Value) -> Row | None:
        self._step(name)
        return self._tx.one(name, **params)

    def all(self, name: str, /, **params: Value) -> list[Row]:
        self._step(name)
        return self._tx.all(name, **params)

    def run(self, name: str, /, **params: Value) -> int:
        self._step(name)
        return self._tx.run(name, **params)

    def end(self) -> None:
        """Strike before the commit at the latest."""
        if self._statements_left is not None:
            self._strike()

    def _step(self, name: str) -> None:
        if self._statements_left is not None:
            self._statements_left -= 1
        elif not self._seen and name in _WRITES:
            self._seen.append(name)
            if self._trigger.is_due(name, Side.BEFORE):
                self._statements_left = self._trigger.plan.depth
        if self._statements_left == 0:
            self._strike()

    def _strike(self) -> None:
        self._statements_left = None
        self._trigger.strike(_lost)

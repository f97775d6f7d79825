"""An engine whose transactions are crash points, named by the statements in them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from operator_core.clock import Clock
from operator_core.db.engine import Engine, ItemWork, Row, Tx, Value
from operator_core.errors import LedgerUnavailableError
from operator_core.testing.crash.points import OPERATIONS, Fault, Side
from operator_core.testing.crash.trigger import Trigger
from operator_core.testing.crash.written import writing

T = TypeVar("T")
I = TypeVar("I")  # noqa: E741 - an item

_WRITES = writing()


def _lost() -> Exception:
    return LedgerUnavailableError("The answer of the ledger was lost. Look before you try again.")


class PointedEngine:
    """Passes everything on to an engine; before and after each commit the trigger is asked."""

    def __init__(self, engine: Engine, trigger: Trigger) -> None:
        """Take the engine that does the work, and what may strike."""
        self._engine = engine
        self._trigger = trigger
        self._works: dict[object, _PointedWork] = {}

    async def write(self, work: Callable[[Tx], T]) -> T:
        """Run work in a transaction.

        Raises:
            LedgerUnavailableError: its answer was lost on purpose.
        """
        pointed = _PointedTx(self._trigger)
        result = await self._engine.write(lambda tx: pointed.watch(tx, work))
        await self._after(pointed)
        return result

    async def write_item(self, work: ItemWork[I, T], item: I) -> T:
        """Run work on an item, together with others' items that wait for the same work.

        Raises:
            LedgerUnavailableError: its answer was lost on purpose.
        """
        pointed = self._works.setdefault(work, _PointedWork(work, self._trigger))
        try:
            result: T = await self._engine.write_item(pointed, item)
        finally:
            done = pointed.done_for.pop(id(item), None)
        if done is not None:
            await self._after(done)
        return result

    async def _after(self, pointed: "_PointedTx") -> None:
        for operation in pointed.operations:
            if self._trigger.is_due(operation, Side.AFTER):
                await self._strike()

    async def _strike(self) -> None:
        """Strike; who stands still does so while no thread of its own writes to a file.

        In the middle of a transaction it would hold up all others until it is woken, and what is
        to be seen is what they do meanwhile.
        """
        if self._trigger.plan.fault is Fault.STOP:
            await self._engine.read(lambda _: self._trigger.strike(_lost))
        else:
            self._trigger.strike(_lost)

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


class _PointedWork:
    """Work on items; one of these stands for each, so that items still come together."""

    def __init__(self, work: ItemWork[Any, Any], trigger: Trigger) -> None:
        self._work = work
        self._trigger = trigger
        self.done_for: dict[int, _PointedTx] = {}

    def __call__(self, tx: Tx, items: Sequence[Any], /) -> Sequence[Any]:
        pointed = _PointedTx(self._trigger)
        results: Sequence[Any] = pointed.watch(tx, lambda watched: self._work(watched, items))
        self.done_for.update((id(item), pointed) for item in items)
        return results


class _PointedTx:
    """A transaction in which the blow may fall, at a statement or some statements later."""

    def __init__(self, trigger: Trigger) -> None:
        self.operations: list[str] = []
        self._trigger = trigger
        self._statements_left: int | None = None
        self._wrote = ""

    def watch(self, tx: Tx, work: Callable[[Tx], T]) -> T:
        """Run work, perhaps again from its beginning; strike before the commit at the latest.

        Raises:
            LedgerUnavailableError: its answer was lost on purpose.
        """
        if self._trigger.is_away():
            raise _lost()
        self._tx, self.writer = tx, tx.writer
        self.operations.clear()
        self._wrote = ""  # what was taken back has not been written
        try:
            return work(self)
        finally:
            if self._statements_left is not None:
                self._strike()
            if self._wrote and not self.operations:
                self._trigger.tell_unnamed(self._wrote)

    def one(self, name: str, /, **params: Value) -> Row | None:
        self._step(name)
        return self._tx.one(name, **params)

    def all(self, name: str, /, **params: Value) -> list[Row]:
        self._step(name)
        return self._tx.all(name, **params)

    def run(self, name: str, /, **params: Value) -> int:
        self._step(name)
        return self._tx.run(name, **params)

    def each(self, name: str, params: Sequence[Mapping[str, Value]], /) -> int:
        self._step(name)
        return self._tx.each(name, params)

    def start(self, name: str, params: Sequence[Mapping[str, Value]], /) -> Callable[[], int]:
        self._step(name)
        return self._tx.start(name, params)

    def later(self, name: str, params: Sequence[Mapping[str, Value]], /) -> None:
        self._step(name)
        self._tx.later(name, params)

    def expect(self, name: str, /, **params: Value) -> None:
        self._tx.expect(name, **params)

    def expect_new(self, kind: str, count: int) -> None:
        self._tx.expect_new(kind, count)

    def insert(self, name: str, params: Sequence[Mapping[str, Value]], /) -> list[int]:
        self._step(name)
        return self._tx.insert(name, params)

    def audit_head(self) -> tuple[int, str] | None:
        return self._tx.audit_head()

    def append_audit(self, rows: Sequence[tuple[Value, ...]], /) -> None:
        self._step("audit.insert")
        self._tx.append_audit(rows)

    def _step(self, name: str) -> None:
        if name in _WRITES:
            self._wrote = self._wrote or name
            self._trigger.tell_written(name)
        if self._statements_left is not None:
            self._statements_left -= 1
        elif name in OPERATIONS and name not in self.operations:
            self.operations.append(name)
            if self._trigger.is_due(name, Side.BEFORE):
                self._statements_left = self._trigger.plan.depth
        if self._statements_left == 0:
            self._strike()

    def _strike(self) -> None:
        self._statements_left = None
        self._trigger.strike_ledger(_lost)

"""An engine that dies at a chosen place, as a process does that is killed there."""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from operator_core.clock import Clock
from operator_core.db.engine import Engine, ItemWork, Row, Tx, Value

T = TypeVar("T")
I = TypeVar("I")  # noqa: E741 - an item


class CrashError(Exception):
    """The process died here; nothing after this happened."""


class CrashingEngine:
    """Passes everything on to an engine until a chosen place is reached, then stays dead.

    What was committed before stays; the transaction in which it dies leaves nothing behind.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        at_statement: int | None = None,
        after_commit: int | None = None,
    ) -> None:
        """Choose where to die, counting from 1; None: nowhere.

        Args:
            engine: the engine that does the work.
            at_statement: before this statement inside a write transaction.
            after_commit: after this write transaction, before its caller hears of it.
        """
        self._engine = engine
        self._at_statement = at_statement
        self._after_commit = after_commit
        self.statements = 0
        self.commits = 0
        self.dead = False

    async def write(self, work: Callable[[Tx], T]) -> T:
        """Run work in a transaction, unless it dies before or in it."""
        self._require_life()
        result = await self._engine.write(lambda tx: work(_CountingTx(tx, self)))
        self.commits += 1
        if self.commits == self._after_commit:
            self.die()
        return result

    async def write_item(self, work: ItemWork[I, T], item: I) -> T:
        """Run work on one item in a transaction of its own, unless it dies before or in it."""

        def alone(tx: Tx) -> T:
            (result,) = work(tx, [item])
            if isinstance(result, Exception):
                raise result
            return result

        return await self.write(alone)

    async def read(self, work: Callable[[Tx], T]) -> T:
        """Run work that only reads."""
        self._require_life()
        return await self._engine.read(work)

    async def changes(self) -> int:
        """Return the number of changes that the engine has seen."""
        self._require_life()
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

    def step(self) -> None:
        """Count one statement, and die at the chosen one."""
        self._require_life()
        self.statements += 1
        if self.statements == self._at_statement:
            self.die()

    def die(self) -> None:
        """Die here.

        Raises:
            CrashError: always.
        """
        self.dead = True
        raise CrashError

    def _require_life(self) -> None:
        if self.dead:
            raise CrashError


class _CountingTx:
    """A transaction whose statements are counted."""

    def __init__(self, tx: Tx, engine: CrashingEngine) -> None:
        self.writer = tx.writer
        self._tx = tx
        self._engine = engine

    def one(self, name: str, /, **params: Value) -> Row | None:
        self._engine.step()
        return self._tx.one(name, **params)

    def all(self, name: str, /, **params: Value) -> list[Row]:
        self._engine.step()
        return self._tx.all(name, **params)

    def run(self, name: str, /, **params: Value) -> int:
        self._engine.step()
        return self._tx.run(name, **params)

    def each(self, name: str, params: Sequence[Mapping[str, Value]], /) -> int:
        self._engine.step()
        return self._tx.each(name, params)

    def start(self, name: str, params: Sequence[Mapping[str, Value]], /) -> Callable[[], int]:
        self._engine.step()
        return self._tx.start(name, params)

    def later(self, name: str, params: Sequence[Mapping[str, Value]], /) -> None:
        self._engine.step()
        self._tx.later(name, params)

    def expect(self, name: str, /, **params: Value) -> None:
        self._tx.expect(name, **params)

    def expect_new(self, kind: str, count: int) -> None:
        self._tx.expect_new(kind, count)

    def audit_head(self) -> tuple[int, str] | None:
        return self._tx.audit_head()

    def append_audit(self, rows: Sequence[tuple[Value, ...]], /) -> None:
        self._engine.step()
        self._tx.append_audit(rows)

    def insert(self, name: str, params: Sequence[Mapping[str, Value]], /) -> list[int]:
        self._engine.step()
        return self._tx.insert(name, params)

"""One open ledger: its engine, its id and its clock, shared by all who use it in one loop."""

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TypeVar

from operator_core.actions.types import ActionProposal, ActionStatus
from operator_core.clock import SYSTEM_CLOCK, Clock, monotonic_seconds, to_text
from operator_core.db.address import LedgerAddress, is_postgres
from operator_core.db.changes import Stamp
from operator_core.db.engine import Engine, ItemWork, Tx
from operator_core.db.postgres import require_driver
from operator_core.db.shared_reads import SharedReads
from operator_core.db.sqlite.engine import SqliteEngine
from operator_core.db.sqlite.scratch import ScratchEngine
from operator_core.errors import LedgerCorruptError, LedgerError

__all__ = ["Ledger", "LedgerAddress", "open_ledger", "scratch_ledger"]

T = TypeVar("T")
I = TypeVar("I")  # noqa: E741 - an item

_LATE_SECONDS = 0.1
"""Answers that come sooner are told to nobody."""


class _Wakes:
    """Who waits for changes, and who wants to hear of late answers, whatever clock they go by."""

    def __init__(self) -> None:
        self.events: set[asyncio.Event] = set()
        self.takers: set[Callable[[ActionProposal], None]] = set()
        self.late: set[Callable[[float], None]] = set()

    def ring(self) -> None:
        for event in self.events:
            event.set()

    def tell_late(self, seconds: float) -> None:
        if seconds >= _LATE_SECONDS:
            for tell in self.late:
                tell(seconds)


class _Waiting:
    """A context in which an answer of the engine is awaited; tells how late it came, if it did."""

    __slots__ = ("_began_seconds", "_wakes")

    def __init__(self, wakes: _Wakes) -> None:
        self._wakes = wakes

    def __enter__(self) -> None:
        self._began_seconds = monotonic_seconds()

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        # Where the ledger fails no answer came at all.
        taken_seconds = monotonic_seconds() - self._began_seconds
        self._wakes.tell_late(math.inf if isinstance(error, LedgerError) else taken_seconds)


class Ledger:
    """An open ledger."""

    def __init__(self, engine: Engine, ledger_id: str, clock: Clock) -> None:
        """Take an engine whose schema is up to date; `open_ledger` makes one."""
        self.engine = engine
        self.ledger_id = ledger_id
        self.clock = engine.clock(clock)
        self._base = clock
        self._wakes = _Wakes()
        self._stamps: dict[str, Stamp] = {}
        self._reads = SharedReads(self.read)

    def told_by(self, clock: Clock) -> "Ledger":
        """Return the same open ledger with another source of time."""
        if clock in (self._base, self.clock):
            return self
        view = Ledger(self.engine, self.ledger_id, clock)
        view._wakes = self._wakes
        return view

    async def write(self, work: Callable[[Tx], T]) -> T:
        """Run work in a transaction, durable on return, and wake who waits for changes."""
        with _Waiting(self._wakes):
            result = await self.engine.write(work)
        self._wakes.ring()
        return result

    async def write_item(self, work: ItemWork[I, T], item: I) -> T:
        """Run work on an item together with others' items; durable on return, as `write`."""
        with _Waiting(self._wakes):
            result = await self.engine.write_item(work, item)
        self._wakes.ring()
        return result

    async def read(self, work: Callable[[Tx], T]) -> T:
        """Run work that only reads."""
        with _Waiting(self._wakes):
            return await self.engine.read(work)

    async def read_item(self, work: ItemWork[I, T], item: I) -> T:
        """Run work that only reads on an item, together with others' items."""
        return await self._reads.ask(work, item)

    def on_late(self, tell: Callable[[float], None]) -> None:
        """Have a function called with how many seconds an answer took, where it came late.

        An answer that is an error of the ledger's took for ever.
        """
        self._wakes.late.add(tell)

    def subscribe(self) -> asyncio.Event:
        """Return an event that is set after each write made through this ledger.

        On an engine that is told of them, it is set after other processes' writes too.
        """
        wake = asyncio.Event()
        self._wakes.events.add(wake)
        self.engine.on_change(self._wakes.ring)
        return wake

    def unsubscribe(self, wake: asyncio.Event) -> None:
        """Stop setting an event."""
        self._wakes.events.discard(wake)

    def offered(self, proposal: ActionProposal) -> ActionProposal:
        """Return a proposal, and offer it to who dispatches here if it may be started now."""
        if proposal.is_approved and proposal.status is ActionStatus.VALIDATED:
            for take in tuple(self._wakes.takers):
                take(proposal)
        return proposal

    @contextmanager
    def offering(self, take: Callable[[ActionProposal], None]) -> Iterator[None]:
        """Have a function called with each offer, until the end of the context."""
        self._wakes.takers.add(take)
        try:
            yield
        finally:
            self._wakes.takers.discard(take)

    def shared_stamp(self, actor: str) -> Stamp:
        """Return who acts, and when: one moment for all that they ask for in a round of the loop.

        So rows that are written together are written alike. What follows from an answer comes in
        a later round. It is asked for in the event loop.
        """
        made = self._stamps.get(actor)
        if made is None:
            if not self._stamps:
                asyncio.get_running_loop().call_soon(self._stamps.clear)
            made = self._stamps[actor] = Stamp(actor, self.clock.now())
        return made

    def now_text(self) -> str:
        """Return the present moment in the one text form."""
        return to_text(self.clock.now())


async def open_ledger(address: LedgerAddress, clock: Clock = SYSTEM_CLOCK) -> Ledger:
    """Open a ledger, bringing it up to date first.

    Args:
        address: a file's path, or ``postgresql://…``.
        clock: the source of time.

    Raises:
        LedgerError: it cannot be used; the message says what to do.
    """
    return await _ledger(await _open_engine(address, to_text(clock.now())), clock)


@asynccontextmanager
async def scratch_ledger(clock: Clock = SYSTEM_CLOCK) -> AsyncIterator[Ledger]:
    """Make a ledger in memory, which nobody needs afterwards, so that nothing waits for a disk.

    Raises:
        LedgerError: it cannot be made.
    """
    engine = ScratchEngine(to_text(clock.now()))
    ledger = await _ledger(engine, clock)
    try:
        yield ledger
    finally:
        await asyncio.shield(engine.close())


async def _ledger(engine: Engine, clock: Clock) -> Ledger:
    try:
        ledger_id = await engine.read(_ledger_id)
    except BaseException:
        await engine.close()
        raise
    return Ledger(engine, ledger_id, clock)


async def _open_engine(address: LedgerAddress, now: str) -> Engine:
    if not is_postgres(address):
        return await SqliteEngine.open(Path(address), now)
    require_driver()
    from operator_core.db.postgres.engine import PostgresEngine  # noqa: PLC0415 - optional

    return await PostgresEngine.open(str(address), now)


def _ledger_id(tx: Tx) -> str:
    row = tx.one("ledger.get")
    if row is None:
        raise LedgerCorruptError("The ledger has no id. Restore a backup.")
    return str(row["ledger_id"])

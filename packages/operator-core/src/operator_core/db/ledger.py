"""One open ledger: its engine, its id and its clock, shared by all who use it in one loop."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar
from weakref import WeakKeyDictionary

from operator_core.clock import SYSTEM_CLOCK, Clock, to_text
from operator_core.db.engine import Engine, Tx
from operator_core.db.sqlite.engine import SqliteEngine
from operator_core.errors import LedgerCorruptError, LedgerUnavailableError

T = TypeVar("T")

LedgerAddress = Path | str
"""Where a ledger lies: a file's path."""


class Ledger:
    """An open ledger."""

    def __init__(self, engine: Engine, ledger_id: str, clock: Clock) -> None:
        """Take an engine whose schema is up to date; `open_ledger` makes one."""
        self.engine = engine
        self.ledger_id = ledger_id
        self.clock = clock
        self._wakes: set[asyncio.Event] = set()

    def told_by(self, clock: Clock) -> "Ledger":
        """Return the same open ledger with another source of time."""
        if clock is self.clock:
            return self
        view = Ledger(self.engine, self.ledger_id, clock)
        view._wakes = self._wakes
        return view

    async def write(self, work: Callable[[Tx], T]) -> T:
        """Run work in a transaction, durable on return, and wake who waits for changes."""
        result = await self.engine.write(work)
        for wake in self._wakes:
            wake.set()
        return result

    async def read(self, work: Callable[[Tx], T]) -> T:
        """Run work that only reads."""
        return await self.engine.read(work)

    def subscribe(self) -> asyncio.Event:
        """Return an event that is set after each write made through this ledger."""
        wake = asyncio.Event()
        self._wakes.add(wake)
        return wake

    def unsubscribe(self, wake: asyncio.Event) -> None:
        """Stop setting an event."""
        self._wakes.discard(wake)

    def now_text(self) -> str:
        """Return the present moment in the one text form."""
        return to_text(self.clock.now())


@dataclass
class _Shared:
    ledger: Ledger
    users: int = 0


@dataclass
class _OpenLedgers:
    """The ledgers that are open in one event loop."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    by_path: dict[Path, _Shared] = field(default_factory=dict)


_LOOPS: WeakKeyDictionary[asyncio.AbstractEventLoop, _OpenLedgers] = WeakKeyDictionary()


class LedgerUse:
    """One use of a ledger: opens it, or shares one that is open, and closes it after the last.

    Stores hold one of these, so that a constructor takes a path or an open ledger.
    """

    def __init__(self, where: LedgerAddress | Ledger, clock: Clock = SYSTEM_CLOCK) -> None:
        """Take a path, or a ledger that somebody else opened and will close."""
        self._where = where if isinstance(where, Ledger) else Path(where).expanduser().resolve()
        self._clock = clock
        self._ledger: Ledger | None = where if isinstance(where, Ledger) else None
        self._path: Path | None = None

    @property
    def ledger(self) -> Ledger:
        """The open ledger.

        Raises:
            LedgerUnavailableError: it is not open.
        """
        if self._ledger is None:
            raise LedgerUnavailableError("The ledger is not open: use `async with`.")
        return self._ledger

    async def __aenter__(self) -> Ledger:
        """Open the ledger, or join those who have it open in this loop."""
        if isinstance(self._where, Ledger):
            return self._where
        path = self._where
        ledgers = _LOOPS.setdefault(asyncio.get_running_loop(), _OpenLedgers())
        async with ledgers.lock:
            if path not in ledgers.by_path:
                ledgers.by_path[path] = _Shared(await open_ledger(path, self._clock))
            shared = ledgers.by_path[path]
            shared.users += 1
        self._path, self._ledger = path, shared.ledger.told_by(self._clock)
        return self._ledger

    async def __aexit__(self, *_: object) -> None:
        """Leave the ledger; its last user closes it."""
        if self._path is None:
            return
        path, self._path, self._ledger = self._path, None, None
        ledgers = _LOOPS[asyncio.get_running_loop()]
        ledgers.by_path[path].users -= 1
        await asyncio.shield(_close_unused(ledgers, path))


async def _close_unused(ledgers: _OpenLedgers, path: Path) -> None:
    async with ledgers.lock:
        shared = ledgers.by_path.get(path)
        if shared is not None and shared.users == 0:
            del ledgers.by_path[path]
            await shared.ledger.engine.close()


async def open_ledger(path: Path, clock: Clock = SYSTEM_CLOCK) -> Ledger:
    """Open a ledger file, bringing it up to date first.

    Raises:
        LedgerError: it cannot be used; the message says what to do.
    """
    engine = await SqliteEngine.open(path, to_text(clock.now()))
    try:
        ledger_id = await engine.read(_ledger_id)
    except BaseException:
        await engine.close()
        raise
    return Ledger(engine, ledger_id, clock)


def _ledger_id(tx: Tx) -> str:
    row = tx.one("ledger.get")
    if row is None:
        raise LedgerCorruptError("The ledger has no id. Restore a backup.")
    return str(row["ledger_id"])

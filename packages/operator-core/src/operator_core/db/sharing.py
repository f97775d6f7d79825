"""Ledgers that are open in an event loop, shared by all who use them there."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from pathlib import Path
from weakref import WeakKeyDictionary

from operator_core.clock import SYSTEM_CLOCK, Clock
from operator_core.config import whole
from operator_core.db.address import LedgerAddress, is_postgres
from operator_core.db.ledger import Ledger, open_ledger
from operator_core.errors import ConfigurationError

LINGER_SECONDS = 1.0
"""How long a ledger stays open after a call of one who has no context that keeps it open."""


@dataclass
class _Shared:
    """An open ledger, and how many use it."""

    ledger: Ledger
    file: tuple[int, int] | None
    users: int = 0
    closing: asyncio.TimerHandle | None = None

    def join(self) -> None:
        self.users += 1
        if self.closing is not None:
            self.closing.cancel()
            self.closing = None


@dataclass
class _OpenLedgers:
    """The ledgers that are open in one event loop."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    by_address: dict[LedgerAddress, _Shared] = field(default_factory=dict)
    keeper: AsyncGenerator[None] | None = None
    ending: set["asyncio.Task[None]"] = field(default_factory=set)


_LOOPS: WeakKeyDictionary[asyncio.AbstractEventLoop, _OpenLedgers] = WeakKeyDictionary()


class LedgerUse:
    """One use of a ledger: opens it, or shares one that is open, and closes it after the last.

    Stores hold one of these, so that a constructor takes an address or an open ledger.
    """

    def __init__(self, where: LedgerAddress | Ledger, clock: Clock = SYSTEM_CLOCK) -> None:
        """Take a path or URL, or a ledger that somebody else opened and will close."""
        self._where = where if isinstance(where, Ledger) else _canonical(where)
        self._clock = clock

    async def __aenter__(self) -> Ledger:
        """Open the ledger, or join those who have it open in this loop."""
        if isinstance(self._where, Ledger):
            return self._where
        return (await _join(self._where, self._clock)).told_by(self._clock)

    async def __aexit__(self, *_: object) -> None:
        """Leave the ledger; its last user closes it."""
        if not isinstance(self._where, Ledger):
            ledgers = _LOOPS[asyncio.get_running_loop()]
            ledgers.by_address[self._where].users -= 1
            await asyncio.shield(_close_unused(ledgers, self._where))


class LedgerCalls(LedgerUse):
    """The uses of a ledger by calls without a common context, any number of them at a time.

    To open a ledger takes a hundred times as long as a call: it stays open between them, for
    a second after the last, or until the loop ends.
    """

    async def __aexit__(self, *_: object) -> None:
        """Leave the ledger; it is closed when nobody has come back for a while."""
        if isinstance(self._where, Ledger):
            return
        loop = asyncio.get_running_loop()
        ledgers, address = _LOOPS[loop], self._where
        shared = ledgers.by_address[address]
        shared.users -= 1
        if shared.users:
            return
        if ledgers.keeper is None:
            ledgers.keeper = _until_the_loop_ends(ledgers)
            await anext(ledgers.keeper)
        if not shared.users:
            shared.closing = loop.call_later(LINGER_SECONDS, _close_soon, ledgers, address)


def _canonical(where: LedgerAddress) -> LedgerAddress:
    if str(where) == ":memory:":
        raise ConfigurationError("A ledger must last: name a file, not :memory:.")
    return where if is_postgres(where) else whole(where)


async def _join(address: LedgerAddress, clock: Clock) -> Ledger:
    ledgers = _LOOPS.setdefault(asyncio.get_running_loop(), _OpenLedgers())
    shared = ledgers.by_address.get(address)
    if shared is None or not shared.users:
        async with ledgers.lock:
            shared = await _present(ledgers, address, clock)
            shared.join()
    else:
        shared.join()
    return shared.ledger


async def _present(ledgers: _OpenLedgers, address: LedgerAddress, clock: Clock) -> _Shared:
    """Return a ledger that is open and still the one at its address, or open it."""
    shared = ledgers.by_address.get(address)
    if shared is not None and not shared.users and shared.file != _file_at(address):
        await _close(ledgers, address)  # it was replaced while nobody used it
        shared = None
    if shared is None:
        ledger = await open_ledger(address, clock)
        shared = ledgers.by_address[address] = _Shared(ledger, _file_at(address))
    return shared


def _file_at(address: LedgerAddress) -> tuple[int, int] | None:
    """Return what tells the file at a path from others; None: there is none, or no path."""
    if is_postgres(address):
        return None
    try:
        found = Path(address).stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


async def _close_unused(ledgers: _OpenLedgers, address: LedgerAddress) -> None:
    async with ledgers.lock:
        shared = ledgers.by_address.get(address)
        if shared is not None and shared.users == 0:
            await _close(ledgers, address)


async def _close(ledgers: _OpenLedgers, address: LedgerAddress) -> None:
    shared = ledgers.by_address.pop(address)
    if shared.closing is not None:
        shared.closing.cancel()
    await shared.ledger.engine.close()


def _close_soon(ledgers: _OpenLedgers, address: LedgerAddress) -> None:
    task = asyncio.ensure_future(_close_unused(ledgers, address))
    ledgers.ending.add(task)
    task.add_done_callback(ledgers.ending.discard)


async def _until_the_loop_ends(ledgers: _OpenLedgers) -> AsyncGenerator[None]:
    """Close what nobody uses when the loop shuts its generators down, as `asyncio.run` has it."""
    try:
        yield
    finally:
        for address in [one for one, shared in ledgers.by_address.items() if not shared.users]:
            await _close_unused(ledgers, address)

"""Hears when another process has committed to the same file.

A file tells nobody that it has changed, but Linux tells of each write to its log (inotify). The
commit shows a moment later, once the log is on the disk; and most writes are this process's own.
So each is followed by looks at SQLite's own change number. Where nobody tells, only that is
looked at.
"""

import asyncio
import contextlib
import os
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from operator_core.errors import LedgerError

LOOK_SECONDS = 0.1
"""How soon a commit is heard of where nobody tells of writes."""

_SHOWS_AFTER_SECONDS = (0.0, 0.0005, 0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032)
"""Pauses between looks after a write; a slower disk is heard of as where nobody tells."""

_MODIFIED = 0x2
_EVENTS_BYTES = 65_536


class FileWatch:
    """Calls back after another process's commit, from `start` to `close`."""

    def __init__(
        self, log: Path, changes: Callable[[], Awaitable[int]], heard: Callable[[], None]
    ) -> None:
        """Take what to watch.

        Args:
            log: the ledger's write-ahead log.
            changes: returns a number that differs after another process's commit.
            heard: called after one, in the event loop.
        """
        self._log = log
        self._changes = changes
        self._heard = heard
        self._written = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to watch, once."""
        self._task = self._task or asyncio.create_task(self._watch())

    async def close(self) -> None:
        """Stop watching."""
        if self._task is None:
            return
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    async def _watch(self) -> None:
        seen = await self._number()
        self._heard()  # while nobody watched something may have happened
        with contextlib.ExitStack() as stack:
            self._listen(stack)
            while True:
                for pause_seconds in await self._pauses():
                    await asyncio.sleep(pause_seconds)
                    number = await self._number()
                    if number != seen:
                        seen = number
                        self._heard()
                        break

    async def _pauses(self) -> Sequence[float]:
        """Wait for a write; return how long to pause before each look that follows."""
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                await self._written.wait()
        except TimeoutError:
            return (0.0,)
        self._written.clear()
        return _SHOWS_AFTER_SECONDS

    async def _number(self) -> int:
        try:
            return await self._changes()
        except LedgerError:
            return -1

    def _listen(self, stack: contextlib.ExitStack) -> None:
        """Have the system tell of writes, where it can."""
        descriptor = _told_of_writes(self._log)
        if descriptor is None:
            return
        loop = asyncio.get_running_loop()
        stack.callback(os.close, descriptor)
        loop.add_reader(descriptor, self._hear, descriptor)
        stack.callback(loop.remove_reader, descriptor)

    def _hear(self, descriptor: int) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(descriptor, _EVENTS_BYTES)
        self._written.set()


def _told_of_writes(path: Path) -> int | None:
    """Return a descriptor that can be read after each write to a file; None: nobody tells."""
    import ctypes  # noqa: PLC0415 - slow to import, and only who waits needs it

    library = ctypes.CDLL(None)
    if not hasattr(library, "inotify_init1"):
        return None
    descriptor = int(library.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))
    if descriptor < 0:
        return None
    if library.inotify_add_watch(descriptor, os.fsencode(path), _MODIFIED) < 0:
        os.close(descriptor)
        return None
    return descriptor

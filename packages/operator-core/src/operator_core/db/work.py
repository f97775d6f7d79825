"""Work that waits for a writer, and how pieces of one kind are done together.

Work comes in two forms. A plain piece is a function of a transaction. Work on an item is a
function of a transaction and of all the items that wait for it: sixty claims are one function
call with sixty items, and a statement for all of them instead of one each.
"""

import asyncio
import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from operator_core.clock import block
from operator_core.db.engine import ItemWork, Tx
from operator_core.errors import LedgerClosedError, LedgerUnavailableError

_PAUSE_SECONDS = 0.1


class Job:
    """One caller's piece of work and the place where its result goes."""

    __slots__ = ("error", "future", "item", "items", "result", "work")

    def __init__(
        self,
        work: Callable[[Tx], object] | None = None,
        *,
        items: ItemWork[Any, object] | None = None,
        item: object = None,
    ) -> None:
        """Take plain work, or work on items and this caller's item; neither: nothing to do."""
        self.work = work
        self.items = items
        self.item = item
        self.future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.result: object = None
        self.error: BaseException | None = None

    def settle(self) -> None:
        """Hand the caller what came of it, once."""
        if self.future.done():
            return  # or the caller went away; the work is done all the same
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.result)


class Piece:
    """Jobs that are done by one call."""

    __slots__ = ("jobs",)

    def __init__(self, jobs: list[Job]) -> None:
        """Take plain work alone, or jobs of one work on items."""
        self.jobs = jobs

    def run(self, tx: Tx) -> None:
        """Run it and keep the results.

        Raises:
            Exception: whatever the work raises; its jobs keep no result.
        """
        first = self.jobs[0]
        if first.items is None:
            first.result = first.work(tx) if first.work else None
            first.error = None  # of an earlier run, which was taken back
            return
        results = first.items(tx, [job.item for job in self.jobs])
        for job, result in zip(self.jobs, results, strict=True):
            job.error = result if isinstance(result, Exception) else None
            job.result = None if job.error else result

    def fail(self, error: BaseException) -> None:
        """Hand an error to all of its jobs."""
        for job in self.jobs:
            job.error = error


def pieces(jobs: Sequence[Job]) -> list[Piece]:
    """Return the jobs as pieces, those of one work on items together.

    All of them wait at the same time, so none was promised to be done before another.
    """
    found: list[Piece] = []
    of_work: dict[object, Piece] = {}
    for job in jobs:
        piece = of_work.get(job.items) if job.items is not None else None
        if piece is not None:
            piece.jobs.append(job)
            continue
        piece = Piece([job])
        found.append(piece)
        if job.items is not None:
            of_work[job.items] = piece
    return found


def hand_out(jobs: Sequence[Job]) -> None:
    """Tell callers what came of their work, those who were not told before.

    One who cannot be told, as where there is no more memory, keeps nobody else from it.
    """
    for place, job in enumerate(jobs):
        try:
            job.settle()
        except BaseException:
            hand_out(jobs[place + 1 :])
            raise


def break_off(jobs: Iterable[Job], error: BaseException, ledger: object) -> None:
    """Hand what no piece of work has raised to all who wait: who is told nothing waits for ever.

    Args:
        jobs: what was to be done; what has an error of its own keeps it.
        error: what ended the group, in the engine itself.
        ledger: which one, for the message.
    """
    failure = without_memory(ledger) if isinstance(error, MemoryError) else error
    for job in jobs:
        job.error = job.error or failure


def insist(call: Callable[[], object]) -> None:
    """Do what others wait for, again and again where there is no memory for it.

    Blocks: for threads of an engine's own.
    """
    while True:
        try:
            call()
        except MemoryError:
            block(_PAUSE_SECONDS)
        else:
            return


def without_memory(ledger: object) -> LedgerUnavailableError:
    """Return the error for work that found no memory: it may be done again, as after an outage."""
    return LedgerUnavailableError(
        f"The ledger {ledger} cannot be used: this process gets no more memory."
    )


def require_own(pid: int, ledger: object) -> None:
    """Refuse work in a child that was forked: it has no thread that would do it.

    Args:
        pid: the process that opened the ledger.
        ledger: which one, for the message.

    Raises:
        LedgerClosedError: this is another process.
    """
    if pid != os.getpid():
        raise LedgerClosedError(
            f"The ledger {ledger} was opened before this process was forked. Open it here; a file "
            "must have been opened nowhere before the fork."
        )

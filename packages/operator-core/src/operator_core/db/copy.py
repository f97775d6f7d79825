"""Moving a ledger with its whole history from a file to a PostgreSQL database.

1. The file is locked, and closed in a transaction that is not committed yet.
2. All of it is stored in the database, in one transaction. It carries the mark of a ledger
   that is not usable yet.
3. The file's transaction is committed: nothing of it runs any more.
4. The mark in the database is cleared.

Whatever happens between two of these, at most one of the two ledgers can be used, and the same
command goes on where it stopped.
"""

import asyncio
import threading
from collections.abc import Callable, Generator, Iterable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from operator_core.clock import SYSTEM_CLOCK, Clock
from operator_core.db.address import shown
from operator_core.db.changes import Stamp
from operator_core.db.postgres import require_driver
from operator_core.db.sqlite.copy_source import (
    CopySource,
    Moved,
    moment_of,
    moved_away,
    open_source,
)
from operator_core.errors import ConflictError, RequestError
from operator_core.process import is_dead

if TYPE_CHECKING:
    from operator_core.db.postgres.copy_target import CopyTarget

Row = TypeVar("Row")

PROGRESS_ROWS = 20_000
"""Progress is told after so many rows of a table."""


@dataclass(frozen=True)
class CopyReport:
    """What was copied.

    Attributes:
        ledger_id: the ledger that was moved.
        rows: how many rows of each table.
    """

    ledger_id: str
    rows: dict[str, int] = field(default_factory=dict)


@dataclass
class _Copy:
    """One run of the command.

    Attributes:
        tell: told of each table how many rows are copied, and of how many.
        stop: asks the copy to stop; after the file is closed it goes on to its end.
    """

    target: str
    stamp: Stamp
    tell: Callable[[str, int, int], None]
    stop: threading.Event = field(default_factory=threading.Event)


async def move_ledger(
    source: Path,
    target: str,
    *,
    actor: str,
    tell: Callable[[str, int, int], None] = lambda table, done, total: None,  # noqa: ARG005 - a name each
    clock: Clock = SYSTEM_CLOCK,
) -> CopyReport:
    """Move a ledger from a file to a database; both are in observe mode then.

    Args:
        source: the ledger's file. It is a backup from then on.
        target: ``postgresql://…`` without a ledger, or with one that was never used.
        actor: who does it.
        tell: told of each table how many rows are copied, and of how many.
        clock: the source of time.

    Raises:
        RequestError: there is no ledger in the file, or another one in the database.
        ConflictError: Operator works on the ledger.
        LedgerError: one of the two cannot be used.
    """
    copy = _Copy(target, Stamp(actor, clock.now()), tell)
    work = asyncio.ensure_future(asyncio.to_thread(_move, source, copy))
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        copy.stop.set()
        await asyncio.gather(work, return_exceptions=True)
        raise


def _move(path: Path, copy: _Copy) -> CopyReport:
    if not path.is_file():
        raise RequestError(f"No ledger at {path}: name the file to copy from.")
    require_driver()
    from operator_core.db.postgres.copy_target import open_target  # noqa: PLC0415 - optional

    with open_target(copy.target, copy.stamp.text) as target:
        moved = moved_away(path)
        report = _go_on(path, moved, target) if moved else _fill(path, target, copy)
        target.finish(report.ledger_id)
        target.analyze()
    return report


def _go_on(path: Path, moved: Moved, target: "CopyTarget") -> CopyReport:
    """Return what an earlier run has stored and closed down, and had no time to make usable."""
    if target.unfinished() != moved.ledger_id:
        raise ConflictError(
            f"The ledger {path} was moved away at {moment_of(moved)}; nothing was copied. Use it "
            "where it is now."
        )
    return CopyReport(moved.ledger_id)


def _fill(path: Path, target: "CopyTarget", copy: _Copy) -> CopyReport:
    with open_source(path, copy.stamp) as source:
        source.require_idle(copy.stamp.text, is_dead)
        source.close_down(shown(copy.target), copy.stamp)
        columns = source.columns()
        with target.filling(source.ledger_id, columns):
            rows = {
                table: _copy_table(table, columns[table], source, target, copy)
                for table in target.order()
            }
            target.go_on_after(source.last_ids())
            _check_stop(copy)
    return CopyReport(source.ledger_id, rows)


def _copy_table(
    table: str, columns: tuple[str, ...], source: CopySource, target: "CopyTarget", copy: _Copy
) -> int:
    total = source.count(table)
    with (
        closing(source.rows(table)) as rows,  # in this thread, which the file belongs to
        closing(_told(rows, table, total, copy)) as told,
    ):
        target.put(table, columns, told)
    copy.tell(table, total, total)
    return total


def _told(rows: Iterable[Row], table: str, total: int, copy: _Copy) -> Generator[Row, None, None]:
    """Pass rows on, tell how many, and stop when asked to."""
    for number, row in enumerate(rows):
        if number % PROGRESS_ROWS == 0:
            _check_stop(copy)
            if number:
                copy.tell(table, number, total)
        yield row


def _check_stop(copy: _Copy) -> None:
    if copy.stop.is_set():
        raise ConflictError("The copy was stopped; nothing was copied.")

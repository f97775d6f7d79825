"""What a life cycle of ours costs the processor, part by part, and what its statements cost alone.

    .venv/bin/python -m benchmarks.floor
    .venv/bin/python -m benchmarks.floor --tasks 500 --at-once 1
    .venv/bin/python -m benchmarks.floor --statements

Our engine runs once undisturbed, for the time of each of its parts, and once recorded. Then the
very statements that it ran are run again on a copy of the ledger by nothing but `sqlite3`, and the
hashes of the audit are made again: no engine with these rows can cost less.
"""

import argparse
import asyncio
import sqlite3
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from time import process_time, thread_time
from typing import Any, NamedTuple, Self
from unittest.mock import patch

from benchmarks.ours.engine import opened
from benchmarks.ours.work import at_once
from operator_core.db.audit import row_hash
from operator_core.db.sqlite.writer import Writer
from operator_core.db.work import Job

_WARM_UPS = 100
_SHOWN_CHARS = 60
_KEPT = "PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL", "PRAGMA foreign_keys=ON"


class Call(NamedTuple):
    """One call of the driver: a statement with its sets of parameters; no text: a fetch."""

    text: str
    values: Sequence[Any] = ()
    many: bool = False


class Parts(NamedTuple):
    """Seconds of the processor."""

    whole: float
    writer: float


_CALLS: list[Call] = []
_CONNECT = sqlite3.connect


class _Cursor(sqlite3.Cursor):
    def execute(self, text: str, values: Any = ()) -> Self:  # noqa: ANN401 - the driver's
        _CALLS.append(Call(text, values))
        return super().execute(text, values)

    def executemany(self, text: str, sets: Iterable[Any]) -> Self:
        _CALLS.append(Call(text, list(sets), many=True))
        return super().executemany(text, _CALLS[-1].values)

    def fetchall(self) -> list[Any]:
        _CALLS.append(Call(""))
        return super().fetchall()


class _Recording(sqlite3.Connection):
    def cursor(self, factory: Any = _Cursor) -> Any:  # noqa: ANN401 - the driver's
        return super().cursor(factory)

    def execute(self, text: str, values: Any = ()) -> sqlite3.Cursor:  # noqa: ANN401 - the driver's
        _CALLS.append(Call(text, values))
        return super().execute(text, values)


async def run(file: Path, tasks: int, concurrency: int, copy: Path | None = None) -> Parts:
    """Take life cycles to their end and return what that cost.

    Args:
        file: the ledger.
        tasks: how many life cycles.
        concurrency: how many at once.
        copy: where the ledger as it is before them is copied to.
    """
    async with opened(file) as ours:
        await at_once(concurrency, _WARM_UPS, ours.life_cycle)
        if copy is not None:
            with closing(_CONNECT(file)) as source, closing(_CONNECT(copy)) as target:
                source.backup(target)
        _CALLS.clear()
        with _timed_writer() as taken:
            start = process_time()
            await at_once(concurrency, tasks, ours.life_cycle)
            return Parts(process_time() - start, sum(taken))


@contextmanager
def _timed_writer() -> Iterator[list[float]]:
    """Give how long each group took the writer, whichever thread ran it."""
    taken: list[float] = []

    def timed(serve: Callable[[Writer, Sequence[Job]], Any]) -> Callable[[Writer, Any], Any]:
        def served(writer: Writer, jobs: Sequence[Job]) -> Any:  # noqa: ANN401 - as the writer's
            start = thread_time()
            done = serve(writer, jobs)
            taken.append(thread_time() - start)
            return done

        return served

    with (
        patch.object(Writer, "serve", timed(Writer.serve)),
        patch.object(Writer, "serve_at_once", timed(Writer.serve_at_once)),
    ):
        yield taken


def repeat(file: Path, calls: Sequence[Call]) -> dict[str, float]:
    """Run recorded calls on a copy of their ledger and return what each statement cost."""
    cost: dict[str, float] = defaultdict(float)
    with closing(_CONNECT(file, isolation_level=None)) as connection:
        for text in _KEPT:
            connection.execute(text).fetchall()
        cursor = connection.cursor()
        text = ""
        for call in calls:
            text, start = call.text or text, process_time()
            if not call.text:
                cursor.fetchall()
            elif call.many:
                cursor.executemany(call.text, call.values)
            else:
                cursor.execute(call.text, call.values)
            cost[_short(text)] += process_time() - start
    return cost


def _dearest(cost: tuple[str, float]) -> float:
    return -cost[1]


def _short(text: str) -> str:
    """Return the beginning of a statement, which is the same however many rows it is for."""
    return " ".join(text.split())[:_SHOWN_CHARS]


def rehash(file: Path, rows: int) -> float:
    """Make the hashes of as many rows of the audit again and return what that cost."""
    with closing(_CONNECT(file)) as connection:
        connection.row_factory = sqlite3.Row
        newest = "SELECT * FROM audit_log ORDER BY id DESC LIMIT ?"
        found = [dict(row) for row in connection.execute(newest, (rows,))]
    start = process_time()
    for row in found:
        row_hash(row)
    return process_time() - start


def report(folder: Path, tasks: int, concurrency: int, *, each: bool = False) -> str:
    """Return a table of the parts, in microseconds of the processor for each life cycle.

    Args:
        folder: where ledgers may be made.
        tasks: how many life cycles.
        concurrency: how many at once.
        each: whether each statement gets a line.
    """
    parts = asyncio.run(run(folder / "plain.db", tasks, concurrency))
    copy = folder / "copy.db"
    with patch.object(sqlite3, "connect", partial(_CONNECT, factory=_Recording)):
        asyncio.run(run(folder / "recorded.db", tasks, concurrency, copy))
    cost = repeat(copy, [call for call in _CALLS if call.text != "PRAGMA data_version"])
    statements = sum(cost.values())
    hashes = rehash(folder / "recorded.db", tasks * 5)
    found = {
        "the whole": parts.whole,
        "event loop: the API, checks, tasks": parts.whole - parts.writer,
        "writer: decisions, rows, models": parts.writer - statements - hashes,
        "statements and commits, run alone": statements,
        "hashes of the audit, made alone": hashes,
    }
    if each:
        found |= {f"   {text}": seconds for text, seconds in sorted(cost.items(), key=_dearest)}
    return "\n".join(f"{s / tasks * 1e6:7.1f} µs  {name}" for name, s in found.items())


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tasks", type=int, default=2000, help="life cycles")
    parser.add_argument("--at-once", type=int, default=64, help="how many at once")
    parser.add_argument("--statements", action="store_true", help="a line for each statement too")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        told = report(Path(folder), chosen.tasks, chosen.at_once, each=chosen.statements)
        sys.stdout.write(f"{told}\n")


if __name__ == "__main__":
    main()

"""The tables: what was measured, as text for a terminal and as Markdown for the documents."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from benchmarks.model import Case
from benchmarks.summary import Figure, SamplesByKey, advantage, figure

HEADER = ("contender", "store", "durability", "at once", "figure", "spread", "ours is", "remark")


@dataclass(frozen=True)
class Table:
    """Rows under a title."""

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]


def tables(cases: Sequence[Case], samples: SamplesByKey) -> list[Table]:
    """Return a table for each kind of work that was measured."""
    measures = dict.fromkeys(case.measure for case in cases)
    made = [_table(measure, cases, samples) for measure in measures]
    return [table for table in made if table.rows]


def _table(measure: str, cases: Sequence[Case], samples: SamplesByKey) -> Table:
    own = [case for case in cases if case.measure == measure]
    rows = [row for case in own for row in _rows(case, _rivals(case, own), samples)]
    return Table(measure, HEADER, rows)


def _rivals(case: Case, cases: Iterable[Case]) -> list[Case]:
    """Return our own cases that a case is compared with: those on the same store."""
    if case.is_ours:
        return []
    return [ours for ours in cases if ours.is_ours and ours.store == case.store]


def _rows(case: Case, rivals: Sequence[Case], samples: SamplesByKey) -> list[list[str]]:
    metrics = dict.fromkeys(name for one in samples.get(case.key, []) for name in one)
    rows = []
    for metric in metrics:
        found = figure(samples, case.key, metric)
        if found is None:
            continue
        rows.append(
            [
                case.who,
                case.store,
                case.durability,
                str(case.concurrency),
                shown(found.median, metric),
                f"{number(found.low)} to {number(found.high)}" if found.low < found.high else "",
                compared(case, rivals, samples, metric),
                case.remark,
            ]
        )
    return rows


def compared(case: Case, rivals: Sequence[Case], samples: SamplesByKey, metric: str) -> str:
    """Return how many times better each of ours is; with how many at once, where they differ."""
    told = []
    for rival in rivals:
        better = advantage(samples, rival.key, case.key, metric)
        if better is not None:
            at_once = f"{rival.concurrency} at once: " if len(rivals) > 1 else ""
            told.append(f"{at_once}{times(better)}")
    return "; ".join(told)


def times(better: Figure) -> str:
    """Return how many times better, with its spread."""
    spread = f" ({number(better.low)} to {number(better.high)})" if better.low < better.high else ""
    return f"{number(better.median)} x{spread}"


def shown(value: float, metric: str) -> str:
    """Return a value with its unit, which the metric's name carries."""
    for ending, unit in UNITS.items():
        if metric == ending:
            return f"{number(value)} {unit}"
        if metric.endswith(f"_{ending}"):
            words = metric.removesuffix(f"_{ending}").replace("_", " ")
            return f"{words}: {number(value)} {unit}"
    return f"{metric.replace('_', ' ')}: {number(value)}"


UNITS = {"per_second": "/s", "ms": "ms", "us": "µs", "seconds": "s", "mb": "MB"}


def number(value: float) -> str:
    """Return a number with about three digits."""
    if abs(value) >= 100:  # noqa: PLR2004 - three digits
        return f"{value:,.0f}"
    return f"{value:.3g}"


def as_text(table: Table) -> str:
    """Return a table for a terminal."""
    columns = [*zip(table.header, *table.rows, strict=True)]
    widths = [max(len(cell) for cell in column) for column in columns]
    lines = [table.title, "=" * len(table.title)]
    for row in (table.header, *table.rows):
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def as_markdown(table: Table) -> str:
    """Return a table for a document."""
    lines = [f"### {table.title[:1].upper()}{table.title[1:]}", ""]
    lines += [_line(table.header), _line(["---"] * len(table.header))]
    return "\n".join([*lines, *(_line(row) for row in table.rows)])


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"

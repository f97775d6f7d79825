"""What we mean to reach, and whether this run did."""

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks import catalogue as cat
from benchmarks.model import NO_STORE, OURS, POSTGRES, SQLITE, key_of
from benchmarks.summary import Figure, SamplesByKey, figure, ratio
from benchmarks.table import Table, number, shown

Where = tuple[str, str]
"""A case's key and one of its metrics."""

HEADER = ("what", "target", "this run", "spread", "verdict")
_RATE = "per_second"


@dataclass(frozen=True)
class Target:
    """One figure to reach.

    Attributes:
        what: in words.
        over: the metric, or what stands above the line.
        under: what stands below it; of several the highest counts. None: no ratio.
        bound: the figure to reach.
        at_most: whether less is better.
        scale: the ratio is multiplied by it.
    """

    what: str
    over: Where
    under: Sequence[Where]
    bound: float
    at_most: bool = False
    scale: float = 1.0

    @property
    def is_absolute(self) -> bool:
        """Whether it is an order of magnitude to watch: a ratio within a run means more."""
        return not self.under

    def measured(self, samples: SamplesByKey) -> Figure | None:
        """Return what this run says."""
        if self.is_absolute:
            return figure(samples, *self.over)
        found = ratio(samples, self.over, self.under)
        if found is None:
            return None
        return Figure(*(self.scale * part for part in (found.median, found.low, found.high)))

    def verdict(self, found: Figure | None) -> str:
        """Return whether it was reached."""
        if found is None:
            return "not measured"
        good = found.median <= self.bound if self.at_most else found.median >= self.bound
        return "reached" if good else "not reached"


def table(samples: SamplesByKey) -> Table:
    """Return the targets beside what this run measured."""
    return Table("targets", HEADER, [_row(target, samples) for target in TARGETS])


def _row(target: Target, samples: SamplesByKey) -> list[str]:
    found = target.measured(samples)
    sign = "at most" if target.at_most else "at least"
    if target.is_absolute:
        unit = target.over[1].rsplit("_", maxsplit=1)[-1]
        bound, value = shown(target.bound, unit), shown(found.median, unit) if found else ""
    else:
        bound, value = f"{target.bound:.3g} x", f"{number(found.median)} x" if found else ""
    spread = ""
    if found and found.low < found.high:
        spread = f"{number(found.low)} to {number(found.high)}"
    return [target.what, f"{sign} {bound}", value, spread, target.verdict(found)]


def _case(measure: str, who: str, store: str, concurrency: int, metric: str = _RATE) -> Where:
    return key_of(measure, who, store, concurrency), metric


def _direct(measure: str, store: str) -> list[Where]:
    return [_case(measure, cat.DIRECT, store, at_once) for at_once in (1, 4)]


def _queue(measure: str, store: str) -> list[Where]:
    return [_case(measure, cat.QUEUE, store, 64)]


_PLAIN_QUEUES = [
    _case(cat.LIFE_CYCLES, who, SQLITE, 1)
    for who in ("huey", "persist-queue, acknowledged", "litequeue")
]
_SHARING = key_of(cat.SHARING, OURS, POSTGRES, 64)
_STARTING = key_of(cat.START_UP, OURS, NO_STORE)
_OURS_KILLED = key_of(cat.RECOVERY, OURS, SQLITE, 16)
_DBOS_KILLED = key_of(cat.RECOVERY, cat.QUEUE, SQLITE, 16)


def _rates(who: str, how: str) -> list[Target]:
    """Return the targets of one way to have work done."""
    one_insert = _case(cat.LIMITS, cat.ONE_INSERT, SQLITE, 1)
    return [
        *_rates_on_sqlite(who, how),
        *_rates_on_postgres(who, how),
        Target(
            f"Life cycles{how}, one at a time, SQLite, over a quarter of the raw commit rate",
            _case(cat.LIFE_CYCLES, who, SQLITE, 1),
            [one_insert],
            0.6,
            scale=4,
        ),
        Target(
            f"Workflows of 3 steps{how}, 64 at once, SQLite, over DBOS",
            _case(cat.WORKFLOWS, who, SQLITE, 64),
            _direct(cat.WORKFLOWS, SQLITE) + _queue(cat.WORKFLOWS, SQLITE),
            15,
        ),
    ]


def _rates_on_sqlite(who: str, how: str) -> list[Target]:
    ours, rate = f"Life cycles{how}, 64 at once, SQLite", _case(cat.LIFE_CYCLES, who, SQLITE, 64)
    return [
        Target(f"{ours}, over DBOS's queue", rate, _queue(cat.LIFE_CYCLES, SQLITE), 20),
        Target(f"{ours}, over DBOS directly", rate, _direct(cat.LIFE_CYCLES, SQLITE), 10),
        Target(f"{ours}, over the fastest plain queue", rate, _PLAIN_QUEUES, 2.5),
    ]


def _rates_on_postgres(who: str, how: str) -> list[Target]:
    ours = f"Life cycles{how}, 64 at once, PostgreSQL"
    rate = _case(cat.LIFE_CYCLES, who, POSTGRES, 64)
    dbos = _direct(cat.LIFE_CYCLES, POSTGRES) + _queue(cat.LIFE_CYCLES, POSTGRES)
    procrastinate = _case(cat.LIFE_CYCLES, "procrastinate", POSTGRES, 16)
    pgqueuer = _case(cat.LIFE_CYCLES, "pgqueuer", POSTGRES, 64)
    return [
        Target(f"{ours}, over DBOS", rate, dbos, 15),
        Target(f"{ours}, over procrastinate", rate, [procrastinate], 8),
        Target(f"{ours}, over pgqueuer", rate, [pgqueuer], 2),
    ]


def _shares() -> list[Target]:
    return [
        Target(
            "2 processes over 1, PostgreSQL, 64 at once in all",
            (_SHARING, "two_processes_per_second"),
            [(_SHARING, "one_process_per_second")],
            1.2,
        )
    ]


def _delays() -> list[Target]:
    idle, across = key_of(cat.IDLE, OURS, SQLITE), key_of(cat.ACROSS, OURS, POSTGRES)
    return [
        Target("Approved to started, idle, SQLite, p50", (idle, "p50_ms"), (), 1, at_most=True),
        Target("Approved to started, idle, SQLite, p99", (idle, "p99_ms"), (), 5, at_most=True),
        Target(
            "Approved to started, across processes, PostgreSQL, p50",
            (across, "p50_ms"),
            (),
            5,
            at_most=True,
        ),
    ]


def _growth() -> list[Target]:
    found = []
    for measure in (cat.HISTORY, cat.FUTURE):
        key = key_of(measure, OURS, SQLITE)
        for what, name, unit in (("Dispatch", "dispatch", "ms"), ("Due queries", "due", "us")):
            over, under = (key, f"{name}_1m_{unit}"), (key, f"{name}_1k_{unit}")
            words = f"{what} {measure}, 1,000,000 over 1,000"
            found.append(Target(words, over, [under], 1.5, at_most=True))
    return found


def _rest() -> list[Target]:
    first, waiting = "first_interrupted_action_seconds", "first_action_seconds"
    restart = "Restart to the first"
    return [
        Target(
            f"{restart} interrupted action, over DBOS",
            (_OURS_KILLED, first),
            [(_DBOS_KILLED, first)],
            1 / 3,
            at_most=True,
        ),
        Target(
            f"{restart} action of all, over DBOS",
            (_OURS_KILLED, waiting),
            [(_DBOS_KILLED, waiting)],
            1 / 3,
            at_most=True,
        ),
        Target(
            "Memory of an idle engine",
            (key_of(cat.MEMORY, OURS, SQLITE), "mb"),
            (),
            80,
            at_most=True,
        ),
        Target(
            "`operator --help` over a bare typer program's",
            (_STARTING, "operator_help_ms"),
            [(_STARTING, "bare_typer_help_ms")],
            1.5,
            at_most=True,
        ),
    ]


TARGETS = (
    *_rates(OURS, ""),
    *_rates(cat.BY_CALL, ", call by call"),
    *_shares(),
    *_delays(),
    *_growth(),
    *_rest(),
)

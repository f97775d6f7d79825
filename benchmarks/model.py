"""The words of the benchmarks: a case, the job a contender gets, what it measured."""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

Metrics = dict[str, float]
"""What a contender measured, by name; the name carries the unit."""

FULL = "WAL, synchronous=FULL"
COMMIT_ON = "synchronous_commit=on"

OURS = "Operator"

SQLITE = "SQLite"
POSTGRES = "PostgreSQL"
NO_STORE = "-"


@dataclass(frozen=True)
class Job:
    """What a contender's process is to do.

    Attributes:
        folder: a folder of its own, empty.
        tasks: how many pieces of work.
        concurrency: how many at once.
        url: a PostgreSQL database of its own; empty where the case needs none.
        options: what else the case says.
    """

    folder: Path
    tasks: int
    concurrency: int = 1
    url: str = ""
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def where(self) -> Path | str:
        """The address of a ledger: the database, or a file in the folder."""
        return self.url or self.folder / "ledger.db"

    def to_text(self) -> str:
        """Return the job as JSON."""
        return json.dumps({**asdict(self), "folder": str(self.folder)})

    @classmethod
    def from_text(cls, text: str) -> "Job":
        """Return the job of a JSON text."""
        values: dict[str, Any] = json.loads(text)
        return cls(**{**values, "folder": Path(values["folder"])})


def key_of(measure: str, who: str, store: str, concurrency: int = 1) -> str:
    """Return the name of a case."""
    words = (measure, who, "none" if store == NO_STORE else store, str(concurrency))
    return "/".join("-".join(re.findall(r"\w+", word.lower())) for word in words)


@dataclass(frozen=True)
class Case:
    """One contender doing one kind of work.

    Attributes:
        measure: the kind of work; cases of one measure are compared.
        who: the contender.
        work: its function, as ``module:function`` under `benchmarks`.
        tasks: how many pieces of work in a full run.
        quick_tasks: the same in a quick run.
        concurrency: how many at once.
        store: where it keeps its state.
        durability: what it promises when it says that something is stored.
        remark: what a fair reader must know beside the figure.
        options: what else its function is told.
        requires: the modules that must be installed.
        profiled: whether `--profile` looks at it.
        once: measured in the first round only, because its preparation is long.
    """

    measure: str
    who: str
    work: str
    tasks: int
    quick_tasks: int
    concurrency: int = 1
    store: str = SQLITE
    durability: str = FULL
    remark: str = ""
    options: Mapping[str, str] = field(default_factory=dict)
    requires: tuple[str, ...] = ()
    profiled: bool = False
    once: bool = False

    @property
    def needs_postgres(self) -> bool:
        """Whether it is to be given a database."""
        return self.store == POSTGRES

    @property
    def key(self) -> str:
        """The name of the case, which stays the same from run to run."""
        return key_of(self.measure, self.who, self.store, self.concurrency)

    @property
    def is_ours(self) -> bool:
        """Whether our own engine does the work, in the way that others are compared with."""
        return self.who == OURS

    @property
    def is_our_engine(self) -> bool:
        """Whether our own engine does the work, in whichever way."""
        return self.who.startswith(OURS)


def rate(count: int, seconds: float) -> Metrics:
    """Return how often a second something was done."""
    return {"per_second": count / seconds}

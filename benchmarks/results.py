"""One run's results: as a file, as tables, as the generated part of the documents."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from benchmarks import targets
from benchmarks.catalogue import CASES
from benchmarks.rounds import ROOT
from benchmarks.summary import SamplesByKey
from benchmarks.table import Table, as_markdown, as_text, tables

LATEST = ROOT / "benchmarks" / "results" / "latest.json"
DOCUMENT = ROOT / "docs" / "performance.md"
BEGIN = "<!-- benchmarks: begin; written by `benchmarks/run.py --write-docs` -->"
END = "<!-- benchmarks: end -->"


@dataclass(frozen=True)
class Results:
    """What one run measured, and how."""

    command: str
    rounds: int
    machine: dict[str, str]
    versions: dict[str, str]
    samples: SamplesByKey
    left_out: dict[str, str] = field(default_factory=dict)

    def save(self, path: Path) -> None:
        """Write everything to a file."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> "Results":
        """Read what `save` wrote."""
        return cls(**json.loads(path.read_text(encoding="utf-8")))

    def tables(self) -> list[Table]:
        """Return the targets, then a table for each kind of work."""
        return [targets.table(self.samples), *tables(CASES, self.samples)]

    def as_text(self) -> str:
        """Return everything for a terminal."""
        parts = [as_text(table) for table in self.tables()]
        if self.left_out:
            parts.append(as_text(self._missing()))
        return "\n\n".join(parts)

    def as_markdown(self) -> str:
        """Return everything for the documents."""
        facts = "; ".join(f"{name}: {value}" for name, value in self.machine.items())
        peers = ", ".join(f"{name} {number}" for name, number in self.versions.items())
        parts = [
            f"Made by `{self.command}`: {_rounds(self.rounds)}.",
            f"Machine: {facts}.",
            f"Peers: {peers or 'none installed'}.",
            *(as_markdown(table) for table in self.tables()),
        ]
        if self.left_out:
            parts.append(as_markdown(self._missing()))
        return "\n\n".join(parts)

    def _missing(self) -> Table:
        return Table("left out", ("case", "why"), list(self.left_out.items()))


def write_document(results: Results, path: Path = DOCUMENT) -> None:
    """Put the results between the marks of the document.

    Raises:
        ValueError: the document has no marks.
    """
    text = path.read_text(encoding="utf-8")
    if BEGIN not in text or END not in text:
        raise ValueError(f"{path.name} has no place for the results: {BEGIN}")
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    made = f"{before}{BEGIN}\n\n{results.as_markdown()}\n\n{END}{after}"
    path.write_text(made, encoding="utf-8")


def _rounds(count: int) -> str:
    if count == 1:
        return "one round"
    return f"medians of {count} interleaved rounds, ratios taken within each round"

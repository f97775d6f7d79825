"""Tables of the pages in `docs`, for tests that hold them equal to the code."""

import re
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"


class DocPage:
    """One page."""

    def __init__(self, name: str) -> None:
        """Read it."""
        self.text = (DOCS / name).read_text("utf-8")

    def rows(self, heading: str) -> list[list[str]]:
        """Return the cells of the first table below a heading, without its head."""
        text = self.text.split(f"\n## {heading}\n")[1].split("\n## ")[0]
        lines = [line for line in text.splitlines() if line.startswith("|")]
        return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]

    def blocks(self, language: str) -> list[str]:
        """Return the blocks of a language."""
        return re.findall(rf"```{language}\n(.*?)```", self.text, re.DOTALL)

    def causes(self) -> set[tuple[str, str]]:
        """Return each cause with a rule that it explains, of a table that leads with the rules."""
        return {
            (cause, rule)
            for row in self.rows("Causes")
            for rule in names(row[0])
            for cause in names(row[1]) | names(row[2])
        }


def names(cell: str) -> set[str]:
    """Return the names in a cell."""
    return set(re.findall(r"`(\w+)`", cell))

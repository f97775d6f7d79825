"""The tail of a writer's audit chain: kept in memory, and stored once a transaction.

Nobody else writes to the chain, so its head is known; and nobody reads its new rows before
they are committed, so they are stored together, right before the commit.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from operator_core.db.engine import Value

Head = tuple[int, str]
"""Number and hash of the last row."""


@dataclass
class Tail:
    """The rows that a transaction has yet to store, and the chain's head.

    Attributes:
        head: of the chain; None: not known.
        rows: the rows that are not stored yet.
    """

    head: Head | None = None
    rows: list[tuple[Value, ...]] = field(default_factory=list)

    def append(self, rows: Sequence[tuple[Value, ...]]) -> None:
        """Take rows of the chain that the transaction will store."""
        if rows:
            self.rows += rows
            self.head = int(rows[-1][1] or 0), str(rows[-1][-1])

    def mark(self) -> tuple[Head | None, int]:
        """Return a place to come back to."""
        return self.head, len(self.rows)

    def rewind(self, mark: tuple[Head | None, int]) -> None:
        """Forget what came after a place."""
        self.head, kept = mark
        del self.rows[kept:]

    def forget(self) -> None:
        """Forget all: the transaction did not happen, or nobody knows."""
        self.head = None
        self.rows.clear()

    def take(self) -> list[tuple[Value, ...]]:
        """Return the rows to store, in the order of the chain, and keep them no longer."""
        found, self.rows = self.rows, []
        return found

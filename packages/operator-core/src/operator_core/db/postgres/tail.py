"""The tail of a writer's audit chain: kept in memory, and stored once a transaction.

Nobody else writes to the chain, so its head is known; and nobody reads its new rows before
they are committed, so they are stored together, right before the commit.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from psycopg import Cursor

from operator_core.db.engine import AUDIT_COLUMNS, Value

_NUMBERS = frozenset({"seq", "ticket_id", "workflow_id", "proposal_id"})
_PLACES = ", ".join(
    f"${place}::{'bigint' if name in _NUMBERS else 'text'}[]"
    for place, name in enumerate(AUDIT_COLUMNS, start=1)
)
_INSERT = f"""
INSERT INTO audit_log ({", ".join(AUDIT_COLUMNS)})
SELECT * FROM unnest({_PLACES})
"""  # noqa: S608 - made of the names above

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

    def store(self, cursor: Cursor[Any]) -> None:
        """Store the rows, in the order of the chain."""
        if not self.rows:
            return
        columns = [list(column) for column in zip(*self.rows, strict=True)]
        cursor.execute(_INSERT, columns, prepare=True)
        self.rows.clear()

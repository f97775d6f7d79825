"""The tail of a writer's audit chain: kept in memory, and stored once a transaction.

Nobody else writes to the chain, so its head is known; and nobody reads its new rows before
they are committed, so they are stored together, right before the commit.
"""

from dataclasses import dataclass, field
from typing import Any

from psycopg import Cursor

from operator_core.db.audit import row_hash
from operator_core.db.engine import Row
from operator_core.db.postgres.tx import storable

_COLUMNS = {
    "writer": "text",
    "seq": "bigint",
    "timestamp": "text",
    "event_type": "text",
    "actor": "text",
    "subject": "text",
    "ticket_id": "bigint",
    "workflow_id": "bigint",
    "proposal_id": "bigint",
    "event_data": "text",
    "prev_hash": "text",
    "hash": "text",
}
_PLACES = ", ".join(f"${place}::{kind}[]" for place, kind in enumerate(_COLUMNS.values(), start=1))
_INSERT = f"""
INSERT INTO audit_log ({", ".join(_COLUMNS)})
SELECT * FROM unnest({_PLACES})
"""  # noqa: S608 - made of the names above


@dataclass
class Tail:
    """The rows that a transaction has yet to store, and the chain's head.

    Attributes:
        head: ``seq`` and ``hash`` of the last row; None: not known.
        rows: the rows that are not stored yet.
    """

    head: Row | None = None
    rows: list[dict[str, Any]] = field(default_factory=list)

    def append(self, row: dict[str, Any]) -> None:
        """Take a row that the transaction will store."""
        if any("\0" in value for value in row.values() if isinstance(value, str)):
            row = _storable(row)
        self.rows.append(row)
        self.head = {"seq": row["seq"], "hash": row["hash"]}

    def mark(self) -> tuple[Row | None, int]:
        """Return a place to come back to."""
        return self.head, len(self.rows)

    def rewind(self, mark: tuple[Row | None, int]) -> None:
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
        columns = [[row[name] for row in self.rows] for name in _COLUMNS]
        cursor.execute(_INSERT, columns, prepare=True)
        self.rows.clear()


def _storable(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row as it is stored, with the hash that it has then."""
    kept = {k: storable(value) if isinstance(value, str) else value for k, value in row.items()}
    return {**kept, "hash": row_hash(kept)}

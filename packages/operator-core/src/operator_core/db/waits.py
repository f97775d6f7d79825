"""What waits for a time that a clock wrote which was ahead: it waits its own length, from now.

Only waits that Operator has set itself are a length: of a backoff, of a wait step. What a person
has set is a time of day, and stays one.
"""

import json
from datetime import timedelta

from operator_core.clock import from_text, to_text
from operator_core.db import changes
from operator_core.db.changes import Stamp
from operator_core.db.engine import Row, Tx
from operator_core.db.store import Store

SLACK_SECONDS = 1.0
"""Clocks that differ by less make nobody wait for long."""


class WaitDB(Store):
    """Waits after a clock was set back; each method is one durable transaction."""

    async def wait_anew(self, *, by: str) -> list[int]:
        """Let what was written later than now wait its own length from now; return what does.

        Args:
            by: who asks.
        """
        stamp = self._stamp(by)
        if not await self._read(lambda tx: _ahead(tx, stamp)):
            return []  # nearly always: a write would wake everybody
        return await self._write(lambda tx: wait_anew(tx, stamp))


def wait_anew(tx: Tx, stamp: Stamp) -> list[int]:
    """Let what was written later than now wait its own length from now; return what does."""
    moved = [int(row["id"]) for row in _ahead(tx, stamp) if _moved(tx, row, stamp)]
    if moved:
        changes.note(tx, "waits_begun_anew", {"proposals": moved}, stamp)
    return moved


def _ahead(tx: Tx, stamp: Stamp) -> list[Row]:
    """Return what is to wait anew; what does so already is due before it was set, and is left."""
    later = to_text(stamp.now + timedelta(seconds=SLACK_SECONDS))
    found = tx.all("proposal.waits_ahead", now=stamp.text, later=later)
    return [row for row in found if _is_length(row)]


def _is_length(row: Row) -> bool:
    """Return whether a wait is a length, and not a time of day that somebody has set."""
    if not row["parameters"]:
        return True
    seconds = float(json.loads(row["parameters"]).get("seconds", 0))
    return _length(row) == timedelta(seconds=seconds)


def _length(row: Row) -> timedelta:
    return from_text(row["due"]) - from_text(row["set_at"])


def _moved(tx: Tx, row: Row, stamp: Stamp) -> bool:
    due = to_text(stamp.now + _length(row))
    params = {"id": row["id"], "was_due": row["due"], "due": due, "now": stamp.text}
    return bool(tx.run("proposal.wait_anew", **params))

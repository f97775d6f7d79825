"""What waits for a time that a clock wrote which was ahead: it waits its own length, from now.

Only waits that Operator has set itself are a length: of a backoff, of a wait step. What a person
has set is a time of day, and stays one.
"""

import json
from datetime import timedelta

from operator_core.clock import Clock, from_text, to_text
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
        clock = self.ledger.clock
        if not await self._read(lambda tx: _ahead(tx, clock)):
            return []  # nearly always: a write would wake everybody
        return await self._write(lambda tx: _wait_anew(tx, clock, by))


def _wait_anew(tx: Tx, clock: Clock, by: str) -> list[int]:
    found = _ahead(tx, clock)
    stamp = Stamp(by, clock.now())
    moved = [int(row["id"]) for row in found if _moved(tx, row, stamp)]
    if moved:
        changes.note(tx, "waits_begun_anew", {"proposals": moved}, stamp)
    return moved


def _ahead(tx: Tx, clock: Clock) -> list[Row]:
    """Return what is to wait anew; what does so already is due before it was set, and is left.

    The clock is read again after the rows: what others wrote while this process stood still between
    the two was written later than the first look at it, and by a clock that is right.
    """
    found = tx.all("proposal.waits_ahead", now=to_text(clock.now()), later=_later(clock))
    later = _later(clock)
    return [row for row in found if row["set_at"] > later and _is_length(row)]


def _later(clock: Clock) -> str:
    return to_text(clock.now() + timedelta(seconds=SLACK_SECONDS))


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

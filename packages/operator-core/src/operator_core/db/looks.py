"""Looks at clusters in the ledger: stored, thinned with age, and kept within a budget.

Each look that is stored brings the older ones up to date, a bounded piece at a time and by the
rules of `monitor.retention`. No statement here walks all looks: what is due is found in an index,
and `looks_stored` knows what all of them take.
"""

import hashlib
import json
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import NamedTuple, Self

from operator_core.clock import from_text, to_text
from operator_core.db import rows
from operator_core.db.engine import Row, Tx
from operator_core.monitor.retention import (
    GIVES_WAY,
    ROW_BYTES,
    KeptAs,
    Retention,
    SeenAt,
    Step,
    Window,
    giving_way,
    thin,
)
from operator_core.monitor.types import Observation

BATCH = 2000
"""So many looks at most are thinned or dropped with each look that is stored."""

GIVE_WAY_BATCH = 200
"""So many at most give way to the budget with each look that is stored."""


class NewLook(NamedTuple):
    """A look that is to be stored.

    Attributes:
        subject: the cluster.
        observed_at: when it began.
        complete: whether every part could be read whole.
        digest: of its content.
        content: JSON without secrets.
    """

    subject: str
    observed_at: datetime
    complete: bool
    digest: str
    content: str

    @classmethod
    def of(cls, seen: Observation, subject: str, content: str | None = None) -> Self:
        """Return a look as it is stored.

        Args:
            seen: what was seen.
            subject: the cluster.
            content: what `rows.content_of` makes of it, where somebody has made it already.
        """
        text = rows.content_of(seen) if content is None else content
        digest = hashlib.sha256(text.encode()).hexdigest()
        return cls(subject, seen.observed_at, seen.complete, digest, text)


class Usage(NamedTuple):
    """What the looks of one kind take.

    Attributes:
        kept_as: why they are kept.
        looks: how many.
        size_bytes: together.
        oldest: when the oldest was seen.
    """

    kept_as: str
    looks: int
    size_bytes: int
    oldest: str


def record(tx: Tx, look: NewLook, retention: Retention, now: datetime) -> int:
    """Store a look, drop what is not kept any longer, and return the look's id."""
    look_id, size_bytes = _insert(tx, look, now)
    tx.run("looks.another", subject=look.subject, size_bytes=size_bytes, **_limits(retention))
    for step in retention.steps:
        _thin(tx, look.subject, step, retention, now)
    before = to_text(now - timedelta(seconds=retention.max_age_seconds))
    drop(tx, _ids(tx.all("observation.old", before=before, limit=BATCH)))
    _give_way(tx, retention)
    return look_id


def record_extra(tx: Tx, look: NewLook, now: datetime) -> int:
    """Store a look that somebody else than the monitor made, and return its id."""
    look_id, size_bytes = _insert(tx, look, now)
    _add(tx, {look.subject: (1, size_bytes)})
    return look_id


def _insert(tx: Tx, look: NewLook, now: datetime) -> tuple[int, int]:
    """Store a look; return its id, and what it takes on disk."""
    size_bytes = len(look.content.encode()) + ROW_BYTES
    row = tx.one(
        "observation.insert",
        subject=look.subject,
        observed_at=to_text(look.observed_at),
        complete=int(look.complete),
        digest=look.digest,
        content=look.content,
        size_bytes=size_bytes,
        ticket_id=None,
        now=to_text(now),
    )
    return int((row or {})["id"]), size_bytes


def pin(tx: Tx, ids: Iterable[int]) -> None:
    """Keep looks for good: something that is decided rests on them."""
    _keep_as(tx, KeptAs.EVIDENCE, sorted(set(ids)))


def drop(tx: Tx, ids: list[int]) -> int:
    """Drop looks, but for those that a diagnosis names; those are kept. Return how many."""
    if not ids:
        return 0
    gone = tx.all("observation.drop", ids=json.dumps(ids))
    freed: dict[str, tuple[int, int]] = {}
    for row in gone:
        looks, size_bytes = freed.get(row["subject"] or "", (0, 0))
        freed[row["subject"] or ""] = (looks - 1, size_bytes - row["size_bytes"])
    _add(tx, freed)
    if len(gone) < len(ids):
        pin(tx, set(ids) - set(_ids(gone)))
    return len(gone)


def usage(tx: Tx) -> list[Usage]:
    """Return what the looks of each kind take; it reads an index of all of them."""
    found = {row["kept_as"]: row for row in tx.all("observation.usage")}
    kinds = (found[kind.value] for kind in KeptAs if kind.value in found)
    return [
        Usage(row["kept_as"], int(row["looks"]), int(row["size_bytes"]), row["oldest"])
        for row in kinds
    ]


def last_limits(tx: Tx) -> Retention | None:
    """Return what the monitors go by, the smallest budget of all; None: none looked yet."""
    found = [row for row in tx.all("looks.stored") if row["budget_bytes"] is not None]
    if not found:
        return None
    least = min(found, key=lambda row: int(row["budget_bytes"]))
    return Retention(least["budget_bytes"], least["max_age_seconds"], least["around_seconds"])


def _limits(retention: Retention) -> dict[str, int]:
    return {
        "budget_bytes": retention.budget_bytes,
        "max_age_seconds": int(retention.max_age_seconds),
        "around_seconds": int(retention.around_seconds),
    }


def _thin(tx: Tx, subject: str, step: Step, retention: Retention, now: datetime) -> None:
    before = to_text(now - timedelta(seconds=step.after_seconds))
    due = tx.all(
        "observation.due", subject=subject, kept_as=step.of.value, before=before, limit=BATCH
    )
    if not due:
        return
    looks = [SeenAt(int(row["id"]), from_text(row["observed_at"])) for row in due]
    windows = _windows(tx, subject, looks, retention)
    last = tx.one("observation.last_kept", subject=subject, kept_as=step.to.value)
    newest = from_text(last["at"]) if last and last["at"] else None
    found = thin(looks, windows, step.every_seconds, newest)
    _keep_as(tx, KeptAs.INCIDENT, found.incident)
    _keep_as(tx, step.to, found.left)
    drop(tx, found.dropped)


def _windows(tx: Tx, subject: str, looks: list[SeenAt], retention: Retention) -> list[Window]:
    """Return the incidents that some of the looks may belong to, in the order of time."""
    around = timedelta(seconds=retention.around_seconds)
    since, until = to_text(looks[0].at - around), to_text(looks[-1].at + around)
    found = tx.all("ticket.spans", subject=subject, since=since, until=until)
    return [
        Window(
            from_text(row["first_seen_at"]) - around,
            from_text(row["resolved_at"]) + around if row["resolved_at"] else None,
        )
        for row in found
    ]


def _give_way(tx: Tx, retention: Retention) -> None:
    stored = sum(int(row["size_bytes"]) for row in tx.all("looks.stored"))
    excess_bytes = stored - retention.budget_bytes
    for kind in GIVES_WAY:
        if excess_bytes <= 0:
            return
        oldest = tx.all("observation.oldest", kept_as=kind.value, limit=GIVE_WAY_BATCH)
        sizes = {int(row["id"]): int(row["size_bytes"]) for row in oldest}
        given = giving_way(sizes.items(), excess_bytes)
        drop(tx, given)
        excess_bytes -= sum(sizes[one] for one in given)
        if len(oldest) == GIVE_WAY_BATCH:
            return  # there may be more of this kind, which go first: with the next look


def _keep_as(tx: Tx, kind: KeptAs, ids: list[int]) -> None:
    if ids:
        tx.run("observation.keep_as", kept_as=kind.value, ids=json.dumps(ids))


def _add(tx: Tx, by_subject: dict[str, tuple[int, int]]) -> None:
    for subject, (looks, size_bytes) in sorted(by_subject.items()):
        tx.run("looks.add", subject=subject, looks=looks, size_bytes=size_bytes)


def _ids(found: Iterable[Row]) -> list[int]:
    return [int(row["id"]) for row in found]

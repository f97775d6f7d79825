"""Dropping what is old: looks that nothing rests on, ended leases, the beginning of the audit.

Tickets, diagnoses, proposals and their records are never dropped.
"""

from dataclasses import dataclass

from operator_core.db import audit, changes, looks
from operator_core.db.changes import Stamp
from operator_core.db.engine import Row, Tx

BATCH = 20_000
"""At most so many rows go in one transaction, so that nobody waits long for the ledger."""


@dataclass(frozen=True)
class PruneReport:
    """How many rows were dropped, or would be."""

    observations: int = 0
    sightings: int = 0
    audit_rows: int = 0
    leases: int = 0

    def __add__(self, other: "PruneReport") -> "PruneReport":
        """Return what both dropped together."""
        return PruneReport(
            self.observations + other.observations,
            self.sightings + other.sightings,
            self.audit_rows + other.audit_rows,
            self.leases + other.leases,
        )

    @property
    def total(self) -> int:
        """How many rows in all."""
        return self.observations + self.sightings + self.audit_rows + self.leases


def count(tx: Tx, before: str) -> PruneReport:
    """Return how many rows are older than a moment and not needed any more."""
    lengths = [max(0, row["last"] - row["first"] + 1) for row in _prunable(tx, before)]
    return PruneReport(
        _count(tx, "observation.prunable", before),
        _count(tx, "sighting.prunable", before),
        sum(lengths),
        _count(tx, "effect.prunable", before),
    )


def prune(tx: Tx, before: str, stamp: Stamp) -> PruneReport:
    """Drop some rows that are older than a moment and not needed any more; call it again.

    Args:
        tx: the transaction.
        before: the moment as text.
        stamp: who and when; it goes into the audit.
    """
    old = tx.all("observation.old", before=before, limit=BATCH)
    observations = looks.drop(tx, [row["id"] for row in old])
    sightings = tx.run("sighting.prune", before=before)
    leases = tx.run("effect.prune", before=before)
    anchors, audit_rows = _prune_audit(tx, before)
    report = PruneReport(observations, sightings, audit_rows, leases)
    if report.total:
        data = {"before": before, "observations": observations, "sightings": sightings}
        data |= {"leases": leases, "audit_rows": audit_rows, "anchors": anchors}
        changes.note(tx, audit.PRUNED, data, stamp)
    return report


def _prune_audit(tx: Tx, before: str) -> tuple[dict[str, Row], int]:
    """Drop the beginning of each chain; return where all chains begin now, and how many rows."""
    anchors, dropped = audit.anchors(tx), 0
    for chain in _prunable(tx, before):
        writer, seq = chain["writer"], min(chain["last"], chain["first"] + BATCH - 1)
        row = tx.one("audit.at", writer=writer, seq=seq)
        if row is None:
            continue  # rows are missing: `audit verify` says so, and nothing may hide it
        anchors[writer] = {"seq": seq, "hash": row["hash"]}
        dropped += tx.run("audit.prune", writer=writer, seq=seq)
    return anchors, dropped


def _prunable(tx: Tx, before: str) -> list[Row]:
    found = tx.all("audit.prunable", before=before)
    return [row for row in found if row["last"] >= row["first"]]


def _count(tx: Tx, name: str, before: str) -> int:
    row = tx.one(name, before=before)
    return int(row["count"]) if row else 0

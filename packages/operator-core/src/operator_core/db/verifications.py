"""`VerifyDB`: the proofs of remedies in the ledger."""

import json
from collections.abc import Sequence
from datetime import datetime

from operator_core.clock import from_text, to_text
from operator_core.db import changes, decisions, incidents, looks, rows
from operator_core.db.changes import Change, Params, Stamp
from operator_core.db.damage import read_as
from operator_core.db.engine import Row, Tx
from operator_core.db.store import Store
from operator_core.monitor.types import Observation
from operator_core.monitor.verification import Capacity, Verdict, Verification

_EVENTS = {
    Verdict.WAITING: "remedy_watched",
    Verdict.VERIFIED: "remedy_verified",
    Verdict.NOT_VERIFIED: "remedy_not_verified",
}


class VerifyDB(Store):
    """Proofs of remedies; each method is one durable transaction."""

    async def times(self, proposals: Sequence[int]) -> tuple[datetime, datetime] | None:
        """Return when the first call of proposals was sent and the last one ended, or None."""
        ids = rows.to_json(list(proposals))
        row = await self._read(lambda tx: tx.one("verification.times", ids=ids))
        if row is None or row["started_at"] is None:
            return None
        return from_text(row["started_at"]), from_text(row["ended_at"])

    async def looks_before(self, subject: str, at: datetime) -> list[Observation]:
        """Return the last look at a cluster until a moment, and the last whole one."""
        found = await self._read(
            lambda tx: [
                tx.one("observation.before", subject=subject, at=to_text(at), complete=complete)
                for complete in (0, 1)
            ]
        )
        return [rows.observation(row) for row in found if row]

    async def get(self, ticket_id: int, diagnosed_at: datetime) -> Verification | None:
        """Return the proof of the remedy of a diagnosis, or None."""
        key: Params = {"ticket_id": ticket_id, "diagnosed_at": to_text(diagnosed_at)}
        row = await self._read(lambda tx: tx.one("verification.get", **key))
        return _verification(row) if row else None

    async def list(self, ticket_id: int) -> list[Verification]:
        """Return the proofs of a ticket's remedies, oldest first."""
        found = await self._read(lambda tx: tx.all("verification.list", ticket_id=ticket_id))
        return [_verification(row) for row in found]

    async def save(self, proof: Verification, *, actor: str) -> Verification:
        """Store how far a proof has come; a verdict is told to the ticket with it.

        What has been decided stays decided: of a proof that somebody else has decided only what
        was seen is stored.
        """
        stamp = self._stamp(actor)
        return _verification(await self._write(lambda tx: _save(tx, proof, stamp)))


def _save(tx: Tx, proof: Verification, stamp: Stamp) -> Row:
    params = _params(proof)
    looks.pin(tx, _looks_of(proof))
    made = tx.one("verification.insert", **params)
    before = made or tx.one(
        "verification.get", ticket_id=proof.ticket_id, diagnosed_at=params["diagnosed_at"]
    )
    row = made or tx.one("verification.update", **_seen(params, decides=True))
    if row is None:
        return tx.one("verification.seen", **_seen(params, decides=False)) or before or {}
    if made is not None or proof.verdict is not Verdict.WAITING:
        _tell(tx, proof, stamp)
    return row


def _looks_of(proof: Verification) -> list[int]:
    """Return what a proof rests on: the look before the remedy, and the one that decided."""
    decided = proof.look_id if proof.verdict is not Verdict.WAITING else None
    return [one for one in (proof.baseline_id, decided) if one is not None]


def _tell(tx: Tx, proof: Verification, stamp: Stamp) -> None:
    """Write down a verdict: in the audit, on the ticket, and for the breaker."""
    ticket = changes.get(tx, "ticket", proof.ticket_id)
    data = proof.model_dump(mode="json", exclude={"id", "subject", "ticket_id", "looked_at"})
    changes.tell(tx, "ticket", ticket, Change("", _EVENTS[proof.verdict], data), stamp)
    if proof.verdict is Verdict.WAITING:
        return
    decisions.judge_ticket(tx, ticket, helped=proof.verdict is Verdict.VERIFIED)
    incidents.comment(tx, proof.ticket_id, _in_words(proof), stamp)


def _in_words(proof: Verification) -> str:
    if proof.verdict is Verdict.NOT_VERIFIED:
        return f"The remedy is not verified: {'; '.join(proof.reasons)}."
    held_since, looked_at = proof.held_since or proof.ended_at, proof.looked_at or proof.ended_at
    seconds = (looked_at - held_since).total_seconds()
    return (
        f"The remedy is verified: the problem is gone for {seconds:.0f} s in {proof.looks} looks, "
        "nothing else broke, and nothing is missing."
    )


def _seen(params: Params, *, decides: bool) -> Params:
    names = ["ticket_id", "diagnosed_at", "held_since", "looks", "look_id", "looked_at"]
    names += ["verdict", "was_seen", "reasons", "decided_at"] if decides else []
    return {name: params[name] for name in names}


def _params(proof: Verification) -> Params:
    capacity = proof.capacity
    return {
        "subject": proof.subject,
        "ticket_id": proof.ticket_id,
        "diagnosed_at": to_text(proof.diagnosed_at),
        "proposals": rows.to_json(list(proof.proposals)),
        "baseline_id": proof.baseline_id,
        "capacity": rows.to_json(capacity.model_dump(mode="json")) if capacity else None,
        "declared": rows.to_json(list(proof.declared)),
        "started_at": to_text(proof.started_at),
        "ended_at": to_text(proof.ended_at),
        "held_since": rows.text_or_none(proof.held_since),
        "looks": proof.looks,
        "look_id": proof.look_id,
        "looked_at": rows.text_or_none(proof.looked_at),
        "verdict": proof.verdict.value,
        "was_seen": int(proof.was_seen),
        "reasons": rows.to_json(list(proof.reasons)),
        "decided_at": rows.text_or_none(proof.decided_at),
    }


@read_as("Verification")
def _verification(row: Row) -> Verification:
    capacity = row["capacity"]
    read = {
        "proposals": json.loads(row["proposals"]),
        "capacity": Capacity.model_validate_json(capacity) if capacity else None,
        "declared": json.loads(row["declared"]),
        "reasons": json.loads(row["reasons"]),
    }
    return Verification.model_validate({**row, **read})

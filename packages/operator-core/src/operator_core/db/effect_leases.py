"""`EffectDB`: the temporary effects on clusters, as the ledger knows them."""

import json
from datetime import datetime
from typing import Any

from operator_core.actions.leases import EffectLease
from operator_core.actions.types import (
    ActionProposal,
    ActionRequest,
    ActionStatus,
    WorkflowStatus,
)
from operator_core.clock import to_text
from operator_core.db import creation, effects, rows, safety, undos
from operator_core.db.changes import Stamp
from operator_core.db.damage import read_as
from operator_core.db.engine import Row, Tx
from operator_core.db.store import ALL_ROWS, Store
from operator_core.errors import ConflictError, NotFoundError
from operator_core.monitor.types import TicketStatus


class EffectDB(Store):
    """Leases of temporary effects; each method is one durable transaction."""

    async def list_leases(
        self,
        *,
        subject: str | None = None,
        ended: bool = False,
        after_id: int = 0,
        limit: int = ALL_ROWS,
    ) -> list[EffectLease]:
        """Return leases in order of id; those that have ended only where they are asked for."""
        found = await self._read(
            lambda tx: tx.all(
                "effect.list", subject=subject, ended=int(ended), after_id=after_id, limit=limit
            )
        )
        return [_lease(row) for row in found]

    async def end(self, lease_id: int, because: str, *, actor: str) -> bool:
        """End a lease whose effect is not there; False: it had ended."""
        stamp = self._stamp(actor)

        def work(tx: Tx) -> bool:
            ended = effects.end(tx, lease_id, because, stamp)
            if ended is not None:
                undos.call_off(tx, ended, f"lease {lease_id} has ended: {because}", stamp)
            return ended is not None

        return await self._write(work)

    async def propose_undo(
        self, lease_id: int, undo: ActionProposal, *, actor: str
    ) -> ActionProposal | None:
        """Propose what takes an effect back, once a lease; None: somebody did, or it has ended.

        Raises:
            ObserveOnlyError: Operator may not act.
        """
        stamp = self._stamp(actor)

        def work(tx: Tx) -> ActionProposal | None:
            refused = safety.refusal(tx)
            if refused is not None:
                raise refused
            lease = tx.one("effect.get", id=lease_id)
            if lease is None or lease["ended_at"] or lease["undo_proposal_id"]:
                return None
            made = creation.create(tx, undo, stamp)
            row = tx.one("effect.set_undo", id=lease_id, undo_proposal_id=made.id, now=stamp.text)
            if row is None:
                raise ConflictError(f"Lease {lease_id} was changed by somebody else.")
            effects.tell(tx, row, "effect_undo_proposed", stamp, because=undo.reason)
            return made

        return await self._write(work)

    async def renew(
        self, lease_id: int, expires_at: datetime, *, actor: str, keep: bool
    ) -> EffectLease:
        """Set anew when an effect ends; what was proposed to undo it and waits is cancelled.

        Args:
            lease_id: the lease.
            expires_at: when it ends; now, to let it end at once.
            actor: who wants it.
            keep: whether it stays until then whatever becomes of its reason.

        Raises:
            NotFoundError: there is no such lease.
            ConflictError: it has ended, or its undo runs already.
        """
        stamp = self._stamp(actor)

        def work(tx: Tx) -> Row:
            lease = _open(tx, lease_id)
            _drop_undo(tx, lease, stamp)
            until = to_text(expires_at)
            row = tx.one(
                "effect.renew", id=lease_id, expires_at=until, kept=int(keep), now=stamp.text
            )
            effects.tell(tx, row or lease, "effect_renewed" if keep else "effect_released", stamp)
            found = tx.all("effect.list", subject=None, ended=0, after_id=lease_id - 1, limit=1)
            return found[0]

        return _lease(await self._write(work))


def _open(tx: Tx, lease_id: int) -> Row:
    lease = tx.one("effect.get", id=lease_id)
    if lease is None:
        raise NotFoundError("Lease", lease_id)
    if lease["ended_at"] is not None:
        raise ConflictError(f"Lease {lease_id} has ended: {lease['ended_because']}.")
    return lease


def _drop_undo(tx: Tx, lease: Row, stamp: Stamp) -> None:
    found = undos.call_off(tx, lease, f"lease {lease['id']} was changed", stamp)
    if found is ActionStatus.EXECUTING:
        undo_id = lease["undo_proposal_id"]
        raise ConflictError(f"Action {undo_id} is taking the effect back at this moment.")


_PLAIN = (
    "id",
    "subject",
    "effect",
    "proposal_id",
    "taken_by",
    "reason",
    "ticket_id",
    "workflow_id",
    "undo_proposal_id",
    "ended_because",
)
_TIMES = ("taken_at", "expires_at", "changed_at", "ended_at")
_FLAGS = ("applied", "unsure", "kept", "retry_waits", "undo_approved", "undo_retry_waits")


@read_as("Effect")
def _lease(row: Row) -> EffectLease:
    action, workflow, ticket = row["undo_action"], row["workflow_status"], row["ticket_status"]
    parameters = json.loads(row["undo_parameters"] or "{}")
    fields: dict[str, Any] = {
        **{name: row[name] for name in _PLAIN},
        **{name: rows.time_or_none(row[name]) for name in _TIMES},
        **{name: bool(row[name]) for name in _FLAGS},
    }
    return EffectLease(
        **fields,
        undo=ActionRequest(action_name=action, parameters=parameters) if action else None,
        action_status=ActionStatus(row["action_status"]),
        ticket_status=TicketStatus(ticket) if ticket else None,
        workflow_status=WorkflowStatus(workflow) if workflow else None,
        undo_status=ActionStatus(row["undo_status"]) if row["undo_status"] else None,
    )

"""Leases of temporary effects, as functions of a transaction.

A lease is written in the transaction of the claim, before anything is sent, and ends when the
effect surely is not there any more. Whatever dies in between, the row is still there.
"""

import json
from collections.abc import Callable, Collection, Sequence
from datetime import timedelta
from typing import NamedTuple

from operator_core.actions.compensation import compensation_of, had_no_effect, undo_of
from operator_core.actions.leases import NOT_OURS
from operator_core.actions.types import ActionDefinition, ActionProposal, Outcome
from operator_core.actions.validation import same_json
from operator_core.clock import to_text
from operator_core.db import changes, rows
from operator_core.db.changes import Change, Params, Stamp
from operator_core.db.engine import Row, Tx
from operator_core.errors import (
    BlindError,
    ConstraintError,
    LimitError,
    OperatorError,
    UnknownActionError,
)
from operator_core.types import JsonObject


class Wanted(NamedTuple):
    """A temporary effect that a call will have."""

    effect: str
    seconds: float
    proposal: ActionProposal
    undo: tuple[str, str] | None
    """What takes it back as far as the call itself knows: action, and arguments as JSON."""


def of(proposal: ActionProposal, define: Callable[[str], ActionDefinition | None]) -> Wanted | None:
    """Return the temporary effect of a proposal; None: it has none."""
    definition = define(proposal.action_name)
    effect = None if definition is None else definition.effect_of(proposal.parameters)
    if definition is None or effect is None:
        return None
    return Wanted(effect, definition.effect_seconds, proposal, _undo(proposal, definition, define))


def _undo(
    proposal: ActionProposal,
    definition: ActionDefinition,
    define: Callable[[str], ActionDefinition | None],
) -> tuple[str, str] | None:
    def require(name: str) -> ActionDefinition:
        found = define(name)
        if found is None:
            raise UnknownActionError(name, [])
        return found

    undo = proposal.compensation or compensation_of(None, definition, proposal.parameters, require)
    return None if undo is None else (undo.action_name, rows.to_json(undo.parameters))


# --- before the effect ----------------------------------------------------------------


def refusal(tx: Tx, wanted: Wanted | None, seen: Collection[str] | None) -> OperatorError | None:
    """Return why a temporary effect may not be made now; None: it may.

    Args:
        tx: the transaction.
        wanted: the effect, if the call has one.
        seen: the effects that are on the cluster; None: nobody could see.
    """
    if wanted is None:
        return None
    proposal_id = wanted.proposal.id
    if seen is None:
        return BlindError(
            f"Proposal {proposal_id} waits until it can be seen whether {wanted.effect} is there "
            "already: what others put there is never taken over."
        )
    held = _holding(tx, wanted)
    if held is None or held["proposal_id"] == proposal_id:
        return None
    return LimitError(
        f"Proposal {proposal_id} waits: action {held['proposal_id']} holds {wanted.effect} until "
        f"{held['expires_at'][:16]} UTC (lease {held['id']}). See `operator effects list`."
    )


def _holding(tx: Tx, wanted: Wanted) -> Row | None:
    return tx.one("effect.holding", subject=wanted.proposal.subject, effect=wanted.effect)


def take(tx: Tx, wanted: Wanted | None, seen: Collection[str] | None, stamp: Stamp) -> None:
    """Write the lease of a temporary effect that is about to be made; another try keeps it.

    Raises:
        LimitError: another claim was first.
    """
    if wanted is None or _holding(tx, wanted) is not None:
        return
    there = wanted.effect in (seen or ())
    try:
        row = tx.one("effect.insert", **_params(wanted, stamp, not_ours=there))
    except ConstraintError as error:
        raise LimitError(f"Another action has just made {wanted.effect}; look again.") from error
    tell(tx, row or {}, "effect_not_ours" if there else "effect_leased", stamp)


def _params(wanted: Wanted, stamp: Stamp, *, not_ours: bool) -> Params:
    proposal = wanted.proposal
    action, parameters = wanted.undo or (None, None)
    return {
        "subject": proposal.subject,
        "effect": wanted.effect,
        "proposal_id": proposal.id,
        "ticket_id": proposal.ticket_id,
        "workflow_id": proposal.workflow_id,
        "taken_by": proposal.proposed_by,
        "now": stamp.text,
        "expires_at": to_text(stamp.now + timedelta(seconds=wanted.seconds)),
        "undo_action": action,
        "undo_parameters": parameters,
        "ended_at": stamp.text if not_ours else None,
        "ended_because": NOT_OURS if not_ours else None,
    }


# --- after it -------------------------------------------------------------------------


class Ended(NamedTuple):
    """How an attempt ended, as far as leases care.

    Attributes:
        proposal: what was attempted.
        outcome: what is known of its effect.
        result: what it returned.
        surely: for a failure: the subject itself said so, and nothing is under way.
    """

    proposal: ActionProposal
    outcome: Outcome
    result: JsonObject | None
    surely: bool


def expect_open_leases(tx: Tx) -> None:
    """Tell that `open_leases` will be asked soon."""
    tx.expect("effect.open")


def open_leases(tx: Tx) -> list[Row]:
    """Return the leases that have not ended."""
    return tx.all("effect.open")


def settle(tx: Tx, leases: Sequence[Row], ended: Ended, stamp: Stamp) -> list[Row]:
    """Bring the leases up to date after an attempt has ended; return those that it undid."""
    undone = []
    for lease in leases:
        if lease["proposal_id"] == ended.proposal.id:
            _settle_own(tx, lease, ended, stamp)
        elif ended.outcome is Outcome.SUCCEEDED and _undoes(lease, ended.proposal):
            row = end(tx, lease["id"], f"undone by action {ended.proposal.id}", stamp)
            if row is not None:
                undone.append(row)
    return undone


def _settle_own(tx: Tx, lease: Row, ended: Ended, stamp: Stamp) -> None:
    if ended.outcome is Outcome.UNKNOWN:
        tx.run("effect.doubt", id=lease["id"], now=stamp.text)
        tell(tx, lease, "effect_in_doubt", stamp)
    elif ended.outcome is Outcome.FAILED:
        # Where others only looked, or an earlier request was lost, the janitor looks again.
        if ended.surely and not lease["unsure"]:
            end(tx, lease["id"], "its action surely had no effect", stamp)
    elif had_no_effect(ended.result) and not lease["unsure"]:
        end(tx, lease["id"], NOT_OURS, stamp)
    else:
        undo = undo_of(ended.result)
        tx.run(
            "effect.applied",
            id=lease["id"],
            now=stamp.text,
            undo_action=undo.action_name if undo else None,
            undo_parameters=rows.to_json(undo.parameters) if undo else None,
        )
        tell(tx, lease, "effect_applied", stamp)


def _undoes(lease: Row, proposal: ActionProposal) -> bool:
    """Return whether a completed action took an effect back, whoever asked for it."""
    if lease["undo_proposal_id"] == proposal.id:
        return True
    same_subject = lease["subject"] == proposal.subject
    return same_subject and same_call(lease, proposal)


def same_call(lease: Row, proposal: ActionProposal) -> bool:
    """Return whether a proposal is the very call that undoes a lease's effect."""
    if lease["undo_action"] != proposal.action_name:
        return False
    known = json.loads(lease["undo_parameters"] or "{}")
    given = {key: proposal.parameters.get(key) for key in known}
    return same_json(known, given)


def end(tx: Tx, lease_id: int, because: str, stamp: Stamp) -> Row | None:
    """End a lease and return it; None: it had ended."""
    row = tx.one("effect.end", id=lease_id, because=because, now=stamp.text)
    if row is not None:
        tell(tx, row, "effect_ended", stamp, because=because)
    return row


def tell(tx: Tx, lease: Row, event: str, stamp: Stamp, **data: str) -> None:
    """Write into the audit what became of a lease."""
    own = {"lease_id": lease["id"], "effect": lease["effect"], "until": lease["expires_at"]}
    changes.tell(tx, "effect", lease, Change("", event, {**own, **data}), stamp)


# --- what others ask ------------------------------------------------------------------


def expect_undone_by(tx: Tx, proposal_id: int) -> None:
    """Tell that `takes_back` will be asked soon."""
    tx.expect("effect.undone_by", proposal_id=proposal_id)


def takes_back(tx: Tx, proposal: ActionProposal) -> bool:
    """Return whether a proposal is what the ledger wants to undo an effect with."""
    row = tx.one("effect.undone_by", proposal_id=proposal.id)
    return row is not None and same_call(row, proposal)


def not_ours(tx: Tx, workflow_id: int) -> set[int]:
    """Return the steps of a workflow whose effect was there before: nobody undoes them."""
    found = tx.all("effect.not_ours", workflow_id=workflow_id, because=NOT_OURS)
    return {row["proposal_id"] for row in found}

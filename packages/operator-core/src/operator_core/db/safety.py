"""The one switch: run mode and kill, as functions of a transaction."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from operator_core.actions.types import ActionStatus
from operator_core.clock import from_text, to_text
from operator_core.db import changes, compensations, proposals, resends, rows
from operator_core.db.changes import Change, Stamp
from operator_core.db.damage import read_as
from operator_core.db.engine import Row, Tx
from operator_core.errors import ConstraintError, ObserveOnlyError
from operator_core.types import RunMode

_TICK = timedelta(microseconds=1)

AT_ONCE = 5_000
"""How many proposals are called off in one transaction: some tenths of a second."""


class SafetyState(NamedTuple):
    """How the switch stands.

    Attributes:
        mode: whether effects may happen.
        ever_set: whether anybody ever set it; never set means observe.
        killed_at: when the kill switch was pulled, if it still holds.
        revision: grows with each change.
    """

    mode: RunMode = RunMode.OBSERVE
    ever_set: bool = False
    killed_at: datetime | None = None
    killed_by: str | None = None
    kill_reason: str | None = None
    changed_by: str | None = None
    changed_at: datetime | None = None
    revision: int = 0

    def refusal(self) -> ObserveOnlyError | None:
        """Return why Operator may not act; None: it may."""
        if self.killed_at is not None:
            return ObserveOnlyError(
                "The kill switch is on. Run `operator mode execute` to lift it."
            )
        return None if self.mode is RunMode.EXECUTE else ObserveOnlyError()


class KillReport(NamedTuple):
    """What the kill switch did, and what it could not do.

    Attributes:
        cancelled: proposals that were pending and are cancelled.
        retries_dropped: failed proposals that will not be tried again.
        workflows_cancelled: workflows that are cancelled.
        running: proposals whose calls were running; their owners are asked to stop them.
        in_doubt: proposals that waited to be sent again: their effect may have happened, and
            nobody could stop it.
    """

    cancelled: tuple[int, ...] = ()
    retries_dropped: tuple[int, ...] = ()
    workflows_cancelled: tuple[int, ...] = ()
    running: tuple[int, ...] = ()
    in_doubt: tuple[int, ...] = ()

    def with_more(self, other: "KillReport") -> "KillReport":
        """Return what both did together."""
        both = zip(self, other, strict=True)
        return KillReport(*(tuple(sorted(one + two)) for one, two in both))


class KillStep(NamedTuple):
    """What one transaction of a kill did, and whether nothing is left to be called off."""

    report: KillReport
    is_last: bool


def state(tx: Tx) -> SafetyState:
    """Return how the switch stands."""
    row = tx.one("safety.get")
    return _state(row) if row else SafetyState()


def expect_state(tx: Tx) -> None:
    """Tell that `state` will be asked soon."""
    tx.expect("safety.get")


def state_of_claim(tx: Tx) -> SafetyState:
    """Return how the switch stands, and keep it so until the claim's transaction has ended."""
    row = tx.one("safety.of_claim")
    return _state(row) if row else SafetyState()


def expect_state_of_claim(tx: Tx) -> None:
    """Tell that `state_of_claim` will be asked soon."""
    tx.expect("safety.of_claim")


def refusal(tx: Tx) -> ObserveOnlyError | None:
    """Return why Operator may not act, and keep it so until the transaction has ended."""
    return state_of_claim(tx).refusal()


@read_as("Switch")
def _state(row: Row) -> SafetyState:
    return SafetyState(
        mode=RunMode(row["mode"]),
        ever_set=True,
        killed_at=rows.time_or_none(row["killed_at"]),
        killed_by=row["killed_by"],
        kill_reason=row["kill_reason"],
        changed_by=row["changed_by"],
        changed_at=rows.time_or_none(row["changed_at"]),
        revision=row["revision"],
    )


def ensure(tx: Tx, mode: RunMode, stamp: Stamp) -> SafetyState:
    """Set the mode where none was ever set; otherwise change nothing."""
    present = state(tx)
    if present.ever_set:
        return present
    return _first(tx, mode, stamp)


def _first(tx: Tx, mode: RunMode, stamp: Stamp) -> SafetyState:
    row = tx.one("safety.insert", mode=mode.value, actor=stamp.actor, now=stamp.text)
    if row is None:
        raise ConstraintError("the run mode was not stored")
    changes.note(tx, "mode_changed", {"from": None, "to": mode.value}, stamp)
    return _state(row)


def set_mode(tx: Tx, mode: RunMode, stamp: Stamp) -> SafetyState:
    """Set the mode; setting execute lifts the kill switch, and nothing else does."""
    present = state(tx)
    if not present.ever_set:
        return _first(tx, mode, stamp)
    row = tx.one("safety.set_mode", mode=mode.value, actor=stamp.actor, now=stamp.text)
    lifted = present.killed_at if mode is RunMode.EXECUTE else None
    if lifted is not None:
        # A kill that broke off has left them; what came after it is for whoever lifts it.
        call_off(tx, f"kill switch: {present.kill_reason}", stamp, until=lifted)
    data = {"from": present.mode.value, "to": mode.value, "kill_lifted": lifted is not None}
    changes.note(tx, "mode_changed", data, stamp)
    return _state(row) if row else present


def kill(tx: Tx, reason: str, stamp: Stamp) -> KillStep:
    """Stop new claims with this commit, cancel what waits, ask what runs to stop.

    Where so much waits that calls would run on meanwhile, it is left to be called off afterwards
    (ADR 84).
    """
    ensure(tx, RunMode.OBSERVE, stamp)
    tx.one("safety.kill", actor=stamp.actor, reason=reason, now=stamp.text)
    much = len(_alone(tx, AT_ONCE)) >= AT_ONCE
    _forget_undoing(tx, stamp)
    report = KillReport() if much else call_off(tx, f"kill switch: {reason}", stamp)
    running = tuple(row["id"] for row in tx.all("proposal.executing") if not row["in_doubt"])
    for proposal_id in running:
        request_cancel(tx, proposal_id, stamp)
    data = {"reason": reason, "running": list(running), "in_doubt": list(report.in_doubt)}
    changes.note(tx, "kill_switch", data, stamp)
    return KillStep(report._replace(running=running), is_last=not much)


def cancel_some(tx: Tx, reason: str, stamp: Stamp) -> KillStep:
    """Cancel a part of what a kill has left waiting; at the end all that is no simple case."""
    why, found = f"kill switch: {reason}", _alone(tx, AT_ONCE)
    proposals.cancel_each(tx, "proposal", found, why, stamp)
    some = KillReport(cancelled=_ids(found))
    if len(found) == AT_ONCE:
        return KillStep(some, is_last=False)
    return KillStep(some.with_more(call_off(tx, why, stamp)), is_last=True)


def _alone(tx: Tx, limit: int) -> list[Row]:
    """Return proposals that wait, belong to no workflow, and were never claimed."""
    found: list[Row] = []
    for status in (ActionStatus.VALIDATED, ActionStatus.PROPOSED):
        found += tx.all("proposal.pending_alone", status=status, limit=limit - len(found))
    return found


def cancel_pending(tx: Tx, reason: str, stamp: Stamp) -> KillReport:
    """Cancel all that waits: proposals, scheduled ones, workflows, and retries; undo nothing.

    What was sent before and waits to be sent again is in doubt from then on.
    """
    _forget_undoing(tx, stamp)
    return call_off(tx, reason, stamp)


def _forget_undoing(tx: Tx, stamp: Stamp) -> None:
    compensations.forget(tx, stamp)
    tx.run("effect.forget_undos")


def call_off(tx: Tx, reason: str, stamp: Stamp, until: datetime | None = None) -> KillReport:
    """Cancel all that waits, or what waits since before a moment; see `cancel_pending`."""
    live = _since_before(until, tx.all("workflow.unfinished"), "created_at")
    waiting = _since_before(until, tx.all("proposal.pending"), "proposed_at")
    unsure = {row["id"] for row in waiting if resends.was_sent(tx, rows.proposal(row))}
    pending = [row for row in waiting if row["id"] not in unsure]
    sent = [row["id"] for row in tx.all("proposal.executing") if resends.awaited(row)]
    retries = _since_before(until, tx.all("proposal.waiting_retry"), "proposed_at")
    # However much waits, it is called off by a few statements: meanwhile what runs goes on.
    proposals.cancel_each(tx, "workflow", live, reason, stamp)
    proposals.cancel_each(tx, "proposal", pending, reason, stamp)
    proposals.drop_retries(tx, retries, stamp)
    change = Change("proposal.cancel", "proposal_cancelled", {"reason": reason})
    for proposal_id in unsure:
        resends.call_off(tx, proposal_id, change, stamp)
    for proposal_id in sent:
        resends.give_up(tx, proposal_id, f"{reason}.", stamp)
    return KillReport(
        cancelled=_ids(pending),
        retries_dropped=_ids(retries),
        workflows_cancelled=_ids(live),
        in_doubt=tuple(sorted({*sent, *unsure})),
    )


def _since_before(moment: datetime | None, found: list[Row], column: str) -> list[Row]:
    if moment is None:
        return found
    text = to_text(moment)
    return [row for row in found if row[column] <= text]


def _ids(found: Sequence[Row]) -> tuple[int, ...]:
    return tuple(row["id"] for row in found)


def request_cancel(tx: Tx, proposal_id: int, stamp: Stamp) -> Row:
    """Ask the owner of a running attempt to stop it; what waits to be sent again has none.

    How long a lease was to hold is told by when its row was written. Where a clock that was ahead
    did that, this leaves it so, and others still see that the lease is too long.
    """
    written = changes.get(tx, "proposal", proposal_id)["updated_at"]
    moment = stamp.text if written < stamp.text else to_text(from_text(written) + _TICK)
    change = Change("proposal.request_cancel", "cancel_requested", {}, {"updated_at": moment})
    row = changes.apply(tx, proposal_id, change, stamp)
    return resends.give_up(tx, proposal_id, "somebody asked to stop it.", stamp) or row

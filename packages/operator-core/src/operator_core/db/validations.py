"""Marking proposals valid, as work on items of a transaction."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from operator_core.actions.policy import Effect
from operator_core.actions.types import ActionProposal, ActionStatus
from operator_core.db import (
    approvals,
    changes,
    decisions,
    effects,
    gate,
    policies,
    proposals,
    rows,
)
from operator_core.db.changes import Change, Params, Stamp
from operator_core.errors import ConstraintError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from operator_core.actions.policy import LoadedPolicy
    from operator_core.db.checked import CheckedCall
    from operator_core.db.engine import Row, Tx

POLICY = "policy"
"""Who approves where no person has to."""

VALIDATED = Change("proposal.validate", "proposal_validated")
BY_POLICY = Change("", "proposal_approved", {"approved_by": POLICY})


class Validation(NamedTuple):
    """A proposal that is to be marked valid.

    Attributes:
        proposal_id: the proposal.
        check: checks it, purely, and returns its canonical call; what it raises is told.
        auto: whether the policy approves it in the same step.
        stamp: who and when.
    """

    proposal_id: int
    check: Callable[[ActionProposal], CheckedCall]
    auto: bool
    stamp: Stamp


class WorkflowValidation(NamedTuple):
    """A workflow whose steps are to be marked valid, all of them or none; see `Validation`."""

    workflow_id: int
    check: Callable[[ActionProposal], CheckedCall]
    auto: bool
    stamp: Stamp

    def of(self, step_id: int) -> Validation:
        """Return what is wanted of one of its steps."""
        return Validation(step_id, self.check, self.auto, self.stamp)


class _Valid(NamedTuple):
    """A proposal as it is when it is valid, and the call that it stands for."""

    proposal: ActionProposal
    call: CheckedCall
    item: Validation
    voided: ActionProposal | None
    """The proposal before, if that was approved, for other arguments than these."""
    written: str | None
    """The JSON of its arguments, where they are not as they were stored."""


def validate_each(tx: Tx, items: Sequence[Validation]) -> list[ActionProposal | Exception]:
    """Mark proposals valid; the policy in force then says what becomes of them.

    Without one they are approved in the same step where nobody has to approve.

    Returns:
        The proposal as it is then, or the error of each: NotFoundError, TransitionError, or
        what its check raises.
    """
    policies.expect(tx)
    changes.expect_each(tx, "proposal", (item.proposal_id for item in items))
    loaded = policies.in_force(tx)
    found = changes.get_each(tx, "proposal", (item.proposal_id for item in items))
    results = [
        _validated(found.get(item.proposal_id), item, ruled=loaded is not None) for item in items
    ]
    made = iter(_mark_each(tx, [one for one in results if isinstance(one, _Valid)], loaded))
    return [next(made) if isinstance(one, _Valid) else one for one in results]


def validate_workflows(
    tx: Tx, items: Sequence[WorkflowValidation]
) -> list[list[ActionProposal] | Exception]:
    """Mark all steps of workflows valid, as `validate_each` does with each.

    Returns:
        The steps of each as they are then, or the error of the first that is not valid; then
        nothing of the workflow has changed.
    """
    loaded = policies.in_force(tx)
    wanted = json.dumps(sorted(item.workflow_id for item in items))
    steps: dict[int, list[Row]] = {item.workflow_id: [] for item in items}
    for row in tx.all("proposal.of_workflows", workflow_ids=wanted):
        steps[row["workflow_id"]].append(row)
    results = [
        _all_valid(item, steps[item.workflow_id], ruled=loaded is not None) for item in items
    ]
    valid = [step for one in results if not isinstance(one, Exception) for step in one]
    made = iter(_mark_each(tx, valid, loaded))
    return [one if isinstance(one, Exception) else [next(made) for _ in one] for one in results]


def _all_valid(
    item: WorkflowValidation, steps: Sequence[Row], *, ruled: bool
) -> list[_Valid] | Exception:
    if not steps:
        return changes.not_found("workflow", item.workflow_id)
    found = []
    for row in steps:
        one = _validated(row, item.of(row["id"]), ruled=ruled)
        if isinstance(one, Exception):
            return one
        found.append(one)
    return found


def _mark_each(
    tx: Tx, valid: Sequence[_Valid], loaded: LoadedPolicy | None
) -> list[ActionProposal]:
    """Write down that proposals are valid, and let the policy in force rule on each."""
    for one in valid:
        if one.voided is not None:
            proposals.void_approval(tx, one.voided, one.item.stamp)
    count = tx.start("proposal.validate", [_params(one) for one in valid])
    told = []
    for one in valid:
        row = rows.brief(one.proposal)
        told.append((row, VALIDATED, one.item.stamp))
        if loaded is None and one.item.auto and one.proposal.approved_by == POLICY:
            told.append((row, BY_POLICY, one.item.stamp))
    changes.tell_each(tx, "proposal", told)
    if count() != len(valid):
        raise ConstraintError("one proposal was to be validated twice")
    return _rule_each(tx, valid, loaded) if loaded else [one.proposal for one in valid]


def _rule_each(tx: Tx, valid: Sequence[_Valid], loaded: LoadedPolicy) -> list[ActionProposal]:
    """Let the policy in force rule on proposals that have just been found valid."""
    stamps = {one.item.proposal_id: one.item.stamp for one in valid}
    for proposal_id in stamps:
        effects.expect_undone_by(tx, proposal_id)
        approvals.expect_words(tx, "proposal", proposal_id)
    known = changes.get_each(tx, "proposal", stamps)
    asked: dict[int, decisions.Judged] = {}
    for one in valid:
        row, stamp = known[one.item.proposal_id], one.item.stamp
        if row["status"] != ActionStatus.VALIDATED:
            continue  # a step before it was denied, and its workflow ended with that
        asked[row["id"]], decision = gate.validated(tx, row, one.call, loaded, stamp)
        if decision.effect is Effect.DENY:
            known[row["id"]] = proposals.cancel(tx, row["id"], decision.told, stamp)
            known |= changes.get_each(tx, "proposal", _steps(known))
    found = [(row, stamps[one]) for one, row in known.items()]
    known |= gate.settle_each(tx, found, loaded, asked)
    return [rows.proposal(known[one]) for one in stamps]


def _steps(known: Mapping[int, Row]) -> list[int]:
    """Return which proposals are steps of workflows, and change with other ones."""
    return [one for one, row in known.items() if row["workflow_id"] is not None]


def _params(valid: _Valid) -> Params:
    fields, stamp = valid.proposal.__dict__, valid.item.stamp
    approved_at = fields["approved_at"]
    return {
        "id": fields["id"],
        "parameters": valid.written,
        "disruptive": int(fields["disruptive"]),
        "approved_at": stamp.text if approved_at is stamp.now else rows.text_or_none(approved_at),
        "approved_by": fields["approved_by"],
        "now": stamp.text,
    }


def _validated(row: Row | None, item: Validation, *, ruled: bool) -> _Valid | Exception:
    """Return a proposal as it is when it is valid, or why it is not."""
    if row is None:
        return changes.not_found("proposal", item.proposal_id)
    if row["status"] != ActionStatus.PROPOSED:
        return changes.refused("proposal", row, "validate")
    proposal, stamp = rows.proposal(row), item.stamp
    try:
        call = item.check(proposal)
        arguments = rows.to_json(call.parameters)
    except Exception as error:  # noqa: BLE001 - handed to the caller, whose check it is
        return error
    voided = None
    if proposals.is_for_others(proposal, call.parameters):
        voided, unapproved = proposal, {"approved_at": None, "approved_by": None}
        proposal = rows.changed(proposal, unapproved)
    valid: dict[str, object] = {
        "status": ActionStatus.VALIDATED,
        "parameters": call.parameters,
        "disruptive": call.disruptive,
        "validated_at": stamp.now,
    }
    auto = item.auto and not ruled
    if auto and proposal.approved_at is None and not proposal.held:
        valid |= {"approved_at": stamp.now, "approved_by": POLICY}
    written = None if arguments == row["parameters"] else arguments
    return _Valid(rows.put(proposal, valid), call, item, voided, written)

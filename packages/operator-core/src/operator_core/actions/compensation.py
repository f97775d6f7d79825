"""What undoes a step, and which steps are undone once their workflow has failed; pure."""

from collections.abc import Callable, Sequence

import pydantic

from operator_core.actions.types import (
    ActionDefinition,
    ActionProposal,
    ActionRequest,
    ActionStatus,
    Compensation,
)
from operator_core.actions.validation import validate_action_params
from operator_core.errors import ValidationError
from operator_core.types import JsonObject

Require = Callable[[str], ActionDefinition]
"""Returns an action's definition or raises, as `ActionRegistry.require` does."""


def compensation_of(
    asked: ActionRequest | None,
    definition: ActionDefinition,
    parameters: JsonObject,
    require: Require,
) -> Compensation | None:
    """Return what undoes a call; None: nothing that is known.

    Args:
        asked: what was recommended for it, if anything.
        definition: the action of the call.
        parameters: the arguments of the call.
        require: where actions are registered.

    Raises:
        UnknownActionError: what was recommended is not registered.
        ValidationError: its arguments do not fit.
    """
    if asked is not None:
        undo = require(asked.action_name)
        return _checked(undo, asked.parameters)
    if definition.inverse is None:
        return None
    inverse = require(definition.inverse)
    shared = {name: value for name, value in parameters.items() if name in inverse.parameters}
    try:
        return _checked(inverse, shared)
    except ValidationError:
        return None  # it needs to be told what this call does not know


def undo_of(
    result: JsonObject | None, declared: ActionRequest | None = None
) -> ActionRequest | None:
    """Return what takes a completed call back; None: nothing.

    Args:
        result: what the call returned; its `undo` knows best.
        declared: what its step declared.
    """
    if had_no_effect(result):
        return None
    undo = (result or {}).get("undo")
    if not isinstance(undo, dict):
        return declared
    told = {"action_name": undo.get("action_name"), "parameters": undo.get("parameters") or {}}
    try:
        return ActionRequest.model_validate(told)
    except pydantic.ValidationError:
        return declared  # a result is the subject's own text: what cannot be read says nothing


def had_no_effect(result: JsonObject | None) -> bool:
    """A result whose `undo` is empty says that nothing of this call's own is to be undone."""
    return result is not None and "undo" in result and result["undo"] is None


def _checked(definition: ActionDefinition, parameters: JsonObject) -> Compensation:
    return Compensation(
        action_name=definition.name,
        action_type=definition.action_type,
        parameters=validate_action_params(definition, parameters),
        disruptive=definition.disruptive,
    )


def may_begin(steps: Sequence[ActionProposal]) -> bool:
    """Return whether undoing may begin: nothing runs any more, and nothing is in doubt."""
    return not any(step.status is ActionStatus.EXECUTING for step in steps)


def to_undo(steps: Sequence[ActionProposal]) -> list[ActionProposal]:
    """Return the steps that are to be undone, the last one first."""
    done = [
        step
        for step in steps
        if step.status is ActionStatus.COMPLETED
        and step.compensation is not None
        and step.compensates_proposal_id is None
    ]
    return sorted(done, key=lambda step: (step.execution_order, step.id or 0), reverse=True)


def undoing(step: ActionProposal, order: int, after: int | None) -> ActionProposal:
    """Return the proposal that undoes a step, without an approval.

    Args:
        step: a completed step with a compensation.
        order: its place among all that the workflow has.
        after: the compensation that must be completed before it.
    """
    undo = step.compensation or Compensation(action_name=step.action_name)
    return ActionProposal(
        subject=step.subject,
        ticket_id=step.ticket_id,
        action_name=undo.action_name,
        action_type=undo.action_type,
        parameters=undo.parameters,
        disruptive=undo.disruptive,
        reason=f"undoes action {step.id} ({step.action_name}) of workflow {step.workflow_id}",
        proposed_by=f"workflow:{step.workflow_id}",
        status=ActionStatus.VALIDATED,
        workflow_id=step.workflow_id,
        execution_order=order,
        depends_on_proposal_id=after,
        compensates_proposal_id=step.id,
        max_retries=step.max_retries,
    )

"""Only registered actions with valid parameters come out of a diagnosis, whoever made it."""

from collections.abc import Callable
from dataclasses import dataclass

from operator_core.actions.compensation import compensation_of
from operator_core.actions.types import ActionDefinition
from operator_core.actions.validation import validate_action_params
from operator_core.agent.diagnosis import (
    ActionRecommendation,
    Assessment,
    Diagnosis,
    WorkflowRecommendation,
)
from operator_core.errors import RequestError
from operator_core.types import JsonObject

Require = Callable[[str], ActionDefinition]
"""Returns an action's definition or raises, as `ActionRegistry.require` does."""


@dataclass(frozen=True)
class Checked:
    """A diagnosis whose recommendations can be proposed, and why others were dropped."""

    diagnosis: Diagnosis
    dropped: tuple[str, ...] = ()


def checked(diagnosis: Diagnosis, require: Require) -> Checked:
    """Drop what is not registered or does not fit; fill in the defaults of the rest.

    A workflow with one bad step is dropped whole: half a drain is worse than none. Where
    something was dropped and nothing is left, a person must decide.
    """
    dropped: list[str] = []
    actions: list[ActionRecommendation] = []
    workflows: list[WorkflowRecommendation] = []
    for action in diagnosis.actions:
        try:
            actions.append(_checked_action(action, require))
        except RequestError as error:
            dropped.append(str(error))
    for workflow in diagnosis.workflows:
        try:
            steps = [_checked_action(step, require) for step in workflow.actions]
            workflows.append(workflow.model_copy(update={"actions": steps}))
        except RequestError as error:
            dropped.append(f"Workflow {workflow.name!r}: {error}")
    stuck = bool(dropped) and not actions and not workflows
    changes = {
        "actions": actions,
        "workflows": workflows,
        "escalate": diagnosis.escalate or stuck,
    }
    return Checked(diagnosis.model_copy(update=changes), tuple(dropped))


def plans_of(said: Assessment | Diagnosis) -> list[list[tuple[str, JsonObject]]]:
    """Return what would be done, in a form that can be compared."""
    plans = [said.actions, *(workflow.actions for workflow in said.workflows)]
    return [[(one.action_name, one.parameters) for one in plan] for plan in plans]


def _checked_action(action: ActionRecommendation, require: Require) -> ActionRecommendation:
    definition = require(action.action_name)
    parameters = validate_action_params(definition, action.parameters)
    compensation_of(action.compensation, definition, parameters, require)
    return action.model_copy(update={"parameters": parameters})

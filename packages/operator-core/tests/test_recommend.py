"""Whatever a diagnoser says, only registered actions with valid parameters come out."""

from operator_core.actions.registry import ActionRegistry
from operator_core.agent.diagnosis import (
    ActionRecommendation,
    Diagnosis,
    WorkflowRecommendation,
)
from operator_core.agent.recommend import checked

REGISTRY = ActionRegistry()


def action(name: str, **parameters: object) -> ActionRecommendation:
    return ActionRecommendation(action_name=name, parameters=parameters, reason="because")


def workflow(*steps: ActionRecommendation) -> WorkflowRecommendation:
    return WorkflowRecommendation(name="drain", description="", actions=list(steps))


def said(*recommended: ActionRecommendation | WorkflowRecommendation) -> Diagnosis:
    return Diagnosis(
        cause="x",
        confidence=0.9,
        actions=[one for one in recommended if isinstance(one, ActionRecommendation)],
        workflows=[one for one in recommended if isinstance(one, WorkflowRecommendation)],
    )


GOOD = action("wait", seconds=5)


def test_what_is_registered_and_fits_is_kept() -> None:
    diagnosis = said(GOOD, workflow(GOOD, GOOD))
    answer = checked(diagnosis, REGISTRY.require)
    assert answer.diagnosis == diagnosis
    assert answer.dropped == ()


def test_defaults_are_filled_in() -> None:
    (kept,) = checked(said(action("log_message", message="a")), REGISTRY.require).diagnosis.actions
    assert kept.parameters == {"message": "a", "level": "info"}
    assert kept.reason == "because"


def test_an_unregistered_action_is_dropped_with_the_reason() -> None:
    answer = checked(said(GOOD, action("rm_rf", path="/")), REGISTRY.require)
    assert [one.action_name for one in answer.diagnosis.actions] == ["wait"]
    assert answer.dropped == ("Unknown action 'rm_rf'. Available actions: log_message, wait.",)
    assert not answer.diagnosis.escalate


def test_parameters_that_do_not_fit_are_dropped_with_every_fault() -> None:
    answer = checked(said(action("wait", seconds=-5, minutes=1)), REGISTRY.require)
    (reason,) = answer.dropped
    assert "seconds" in reason
    assert "minutes" in reason


def test_a_workflow_with_one_bad_step_is_dropped_whole() -> None:
    answer = checked(said(GOOD, workflow(GOOD, action("wait"))), REGISTRY.require)
    assert answer.diagnosis.workflows == []
    assert answer.dropped[0].startswith("Workflow 'drain': Invalid parameters for 'wait'")


def test_where_nothing_is_left_a_person_must_decide() -> None:
    assert checked(said(action("rm_rf")), REGISTRY.require).diagnosis.escalate
    assert not checked(said(), REGISTRY.require).diagnosis.escalate


def test_the_diagnosis_that_was_said_is_not_changed() -> None:
    diagnosis = said(action("rm_rf"), workflow(action("log_message", message="a")))
    before = diagnosis.model_copy(deep=True)
    checked(diagnosis, REGISTRY.require)
    assert diagnosis == before

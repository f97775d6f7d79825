"""Every action against the simulated cluster: refused, done, undone, and with its answer lost."""

from collections.abc import AsyncIterator, Callable

import httpx
import pytest

from operator_core.actions.registry import ActionRegistry
from operator_core.actions.types import ParamDef
from operator_core.errors import ActionFailedError, ActionRefusedError, OutcomeUnknownError
from operator_core.subject import ActionCall, ProbeAnswer
from operator_core.types import JsonObject, RiskLevel
from operator_tikv.actions.table import CHANGES, DEFINITIONS
from tikv_cases import CASES, Case, Stage, make_stage

TAGS = {
    "read-only",
    "restores-sight",
    "temporary",
    "data-loss",
    "membership",
    "config",
    "movement",
}
REASON = "[PD:test:ErrOfOurs]the moon is in the wrong phase"
BY_NAME = {case.action: case for case in CASES}


@pytest.fixture
async def staged() -> AsyncIterator[Callable[[Case], Stage]]:
    stages: list[Stage] = []

    def make(case: Case) -> Stage:
        stage = make_stage(case.stores)
        stage.cluster.world.admin.safe_points["ticdc-old"] = (446601188731125761, 1705900402)
        stages.append(stage)
        return stage

    yield make
    for stage in stages:
        await stage.subject.close()


def called(stage: Stage, action: str, parameters: JsonObject) -> ActionCall:
    return ActionCall(action, parameters, "operator:test:1:1", progress=stage.said.append)


def effect_of(way_sent: list[str]) -> str:
    return next(name for name in way_sent if not name.startswith("GET "))


def test_there_is_a_case_for_each_action() -> None:
    assert set(BY_NAME) == set(CHANGES)


@pytest.mark.parametrize("definition", DEFINITIONS, ids=lambda one: one.name)
def test_a_definition_says_all_that_the_engine_and_the_policy_need(definition: object) -> None:
    found = next(one for one in DEFINITIONS if one is definition)
    assert found.tags
    assert set(found.tags) <= TAGS
    assert len(found.description) > 20
    for undo in (found.inverse, found.restored_by):
        assert undo is None or undo in CHANGES
    if "data-loss" in found.tags or found.risk_level in {RiskLevel.HIGH, RiskLevel.CRITICAL}:
        assert found.requires_approval


def test_the_definitions_are_accepted_and_the_arguments_of_each_case_fit() -> None:
    registry = ActionRegistry(make_stage().subject)
    for case in CASES:
        definition = registry.require(case.action)
        assert all(isinstance(param, ParamDef) for param in definition.parameters.values())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.action)
async def test_an_action_is_refused_with_pds_reason_then_done_and_undone(
    case: Case, staged: Callable[[Case], Stage]
) -> None:
    stage = staged(case)
    parameters = await case.made(stage)
    asked = called(stage, case.action, parameters)
    assert await stage.subject.probe(asked) is not ProbeAnswer.HAPPENED
    stage.way.sent.clear()
    stage.way.refuse_effects = httpx.Response(500, json=REASON)
    with pytest.raises(ActionFailedError, match="moon is in the wrong phase"):
        await stage.subject.perform(asked)
    stage.way.refuse_effects = None
    result = await stage.subject.perform(asked)
    assert result["changed"] is True
    assert stage.said
    assert await stage.subject.probe(asked) is ProbeAnswer.HAPPENED
    await _undone(stage, case, result)


async def _undone(stage: Stage, case: Case, result: JsonObject) -> None:
    definition = CHANGES[case.action].definition
    undo = result["undo"]
    if undo is None:
        assert case.action == "delete_store" or not (definition.inverse or definition.restored_by)
        return
    if case.restores:
        stage.cluster.advance(case.undo_seconds)
        back = await stage.subject.perform(called(stage, undo["action_name"], undo["parameters"]))
        shared = result["before"].keys() & back["after"].keys()
        assert shared
        assert {key: back["after"][key] for key in shared} == {
            key: result["before"][key] for key in shared
        }


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.action)
async def test_a_lost_answer_is_unknown_and_the_probe_settles_it(
    case: Case, staged: Callable[[Case], Stage]
) -> None:
    stage = staged(case)
    asked = called(stage, case.action, await case.made(stage))
    stage.way.sent.clear()
    stage.way.lose_effects = True
    with pytest.raises(OutcomeUnknownError, match="no answer"):
        await stage.subject.perform(asked)
    assert len([name for name in stage.way.sent if not name.startswith("GET ")]) == 1
    stage.way.lose_effects = False
    stage.cluster.advance(case.settle_seconds)
    answer = await stage.subject.probe(asked)
    assert answer is ProbeAnswer.HAPPENED


MADE_BY_ITSELF = {
    "cancel_operator",  # the operator ends by itself
    "scatter_region",  # PD makes no operator where all stands well, and says so in the result
}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.action)
async def test_what_pd_took_and_never_did_is_no_success(
    case: Case, staged: Callable[[Case], Stage]
) -> None:
    stage = staged(case)
    asked = called(stage, case.action, await case.made(stage))
    stage.way.forget_effects = True
    if case.action in MADE_BY_ITSELF:
        result = await stage.subject.perform(asked)
        assert result.get("moved", False) is False
        return
    with pytest.raises((OutcomeUnknownError, ActionFailedError)) as caught:
        await stage.subject.perform(asked)
    stage.way.forget_effects = False
    assert await stage.subject.probe(asked) is not ProbeAnswer.HAPPENED
    if isinstance(caught.value, ActionFailedError):  # it was taken back, or PD shows it undone
        assert case.action in {"drain_store", "delete_store"}


async def test_a_scatter_says_whether_anything_moved() -> None:
    stage = make_stage()
    asked = called(stage, "scatter_region", {"region_id": (await stage.region())[0]})
    assert (await stage.subject.perform(asked))["moved"] is True
    await stage.subject.close()


async def test_parameters_that_do_not_fit_are_refused() -> None:
    stage = make_stage()
    with pytest.raises(ActionRefusedError, match="does not take"):
        await stage.subject.perform(called(stage, "drain_store", {"stor": 3}))

"""The registry: only registered actions exist, and a subject cannot smuggle in others."""

from typing import cast

import pytest

import operator_core.actions
from operator_core.actions.registry import ActionDefinition, ActionRegistry, ParamDef
from operator_core.actions.types import ActionType
from operator_core.errors import ConfigurationError, UnknownActionError
from operator_core.monitor.types import Observation
from operator_core.subject import ActionCall, Subject, SubjectDefaults, complete


def define(name: str, **more: object) -> ActionDefinition:
    return ActionDefinition.model_validate({"name": name, "description": "", **more})


class Plain:
    """A subject with the least there is; its author keeps the methods and the list apart."""

    def __init__(self, *definitions: ActionDefinition) -> None:
        self.definitions: object = list(definitions)

    async def observe(self) -> Observation:
        return Observation()

    def get_action_definitions(self) -> list[ActionDefinition]:
        return cast("list[ActionDefinition]", self.definitions)

    async def drain_store(self, store_id: int) -> None:
        del store_id

    async def undrain_store(self, store_id: int) -> None:
        del store_id

    async def _hidden(self) -> None:
        return


class Deep(SubjectDefaults, Plain):
    """A subject that inherits the default `perform`."""


class SelfPerforming(Deep):
    """A subject that carries its actions out itself, without a method each."""

    async def perform(self, call: ActionCall) -> object:
        return call.action_name


def test_without_a_subject_there_are_the_general_tools() -> None:
    assert ActionRegistry().list_action_names() == ["log_message", "wait"]


def test_the_subjects_actions_and_the_tools_are_registered_in_order() -> None:
    registry = ActionRegistry(Plain(define("undrain_store"), define("drain_store")))
    names = ["drain_store", "log_message", "undrain_store", "wait"]
    assert registry.list_action_names() == names
    assert [definition.name for definition in registry.list_definitions()] == names


def test_a_registered_action_is_found_by_name() -> None:
    drain = define("drain_store", parameters={"store_id": ParamDef(type="int")})
    registry = ActionRegistry(Plain(drain))
    assert registry.get_definition("drain_store") == drain
    assert registry.require("drain_store") == drain


@pytest.mark.parametrize("name", ["", "undrain_store", "DRAIN_STORE", "__init__", "observe"])
def test_a_method_that_is_not_registered_does_not_exist(name: str) -> None:
    registry = ActionRegistry(Plain(define("drain_store")))
    assert registry.get_definition(name) is None
    with pytest.raises(UnknownActionError, match="drain_store, log_message, wait"):
        registry.require(name)


def test_what_is_returned_can_be_changed_without_harm() -> None:
    registry = ActionRegistry()
    registry.list_action_names().clear()
    registry.list_definitions().clear()
    assert registry.list_action_names() == ["log_message", "wait"]


def test_duplicate_names_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="'drain_store' is defined more than once"):
        ActionRegistry(Plain(define("drain_store"), define("drain_store")))


@pytest.mark.parametrize("name", ["wait", "log_message"])
def test_a_subject_cannot_shadow_a_tool(name: str) -> None:
    with pytest.raises(ConfigurationError, match="belongs to a general tool"):
        ActionRegistry(SelfPerforming(define(name)))


@pytest.mark.parametrize(
    "name",
    [
        "observe",
        "get_action_definitions",
        "perform",
        "probe",
        "close",
        "invariants",
        "hypotheses",
        "twin",
    ],
)
def test_the_protocol_itself_is_no_action(name: str) -> None:
    with pytest.raises(ConfigurationError, match="belongs to the subject protocol"):
        ActionRegistry(SelfPerforming(define(name)))


@pytest.mark.parametrize("name", ["_hidden", "__init__", "__class__"])
def test_a_private_name_is_no_action(name: str) -> None:
    with pytest.raises(ConfigurationError, match="underscore"):
        ActionRegistry(Plain(define(name)))


async def test_an_action_without_a_method_can_be_registered_but_not_called() -> None:
    subject = Plain(define("missing"))
    assert ActionRegistry(subject).require("missing").name == "missing"
    with pytest.raises(UnknownActionError):
        await complete(subject).perform(ActionCall("missing", {}, "key"))


def test_a_subject_with_its_own_perform_needs_no_methods() -> None:
    registry = ActionRegistry(SelfPerforming(define("anything")))
    assert registry.require("anything").name == "anything"


@pytest.mark.parametrize("kind", [ActionType.TOOL, ActionType.WORKFLOW])
def test_a_subjects_action_cannot_pose_as_a_tool(kind: ActionType) -> None:
    with pytest.raises(ConfigurationError, match="its type must be subject"):
        ActionRegistry(Plain(define("drain_store", action_type=kind)))


def test_an_inverse_must_be_an_action() -> None:
    drain = define("drain_store", inverse="undrain_store")
    assert ActionRegistry(Plain(drain, define("undrain_store"))).require("drain_store") == drain
    with pytest.raises(ConfigurationError, match="inverse 'undrain_store' is no action"):
        ActionRegistry(Plain(drain))


def test_a_limit_that_nothing_checks_is_refused() -> None:
    odd = define("drain_store", parameters={"x": ParamDef(type="list", pattern="a")})
    with pytest.raises(ConfigurationError, match="'drain_store': x: a pattern is for str"):
        ActionRegistry(Plain(odd))


def test_every_fault_is_told_at_once() -> None:
    with pytest.raises(ConfigurationError) as caught:
        ActionRegistry(Plain(define("wait"), define("_x"), define("observe")))
    for part in ("Plain", "'wait'", "'_x'", "'observe'"):
        assert part in str(caught.value)


@pytest.mark.parametrize("answer", [None, 3, ["drain_store"], [{"name": "x"}]])
def test_definitions_of_another_kind_are_refused(answer: object) -> None:
    subject = Plain()
    subject.definitions = answer
    with pytest.raises(ConfigurationError, match="must return"):
        ActionRegistry(subject)


def test_definitions_given_asynchronously_are_refused() -> None:
    class Async(Plain):
        async def get_action_definitions(  # type: ignore[override]  # the mistake
            self,
        ) -> list[ActionDefinition]:
            return []

    with pytest.raises(ConfigurationError, match="not async"):
        ActionRegistry(cast("Subject", Async()))


def test_definitions_that_change_are_read_again() -> None:
    subject = Plain(define("drain_store"))
    registry = ActionRegistry(subject)
    subject.definitions = [define("undrain_store")]
    assert registry.get_definition("drain_store") is not None
    registry.refresh()
    assert registry.list_action_names() == ["log_message", "undrain_store", "wait"]


def test_a_refresh_that_fails_keeps_the_old_definitions() -> None:
    subject = Plain(define("drain_store"))
    registry = ActionRegistry(subject)
    subject.definitions = [define("_hidden")]
    with pytest.raises(ConfigurationError):
        registry.refresh()
    assert registry.list_action_names() == ["drain_store", "log_message", "wait"]


def test_the_package_gives_the_registry_lazily() -> None:
    assert operator_core.actions.ActionRegistry is ActionRegistry


def test_the_registry_knows_the_name_of_its_subject() -> None:
    assert ActionRegistry(Deep()).subject_name == "subject"
    assert ActionRegistry(Plain()).subject_name is None
    assert ActionRegistry().subject_name is None

"""What an approval is bound to, what is drift, and what is too little to see."""

from datetime import timedelta
from typing import Any

import pytest

from operator_core.actions.policy.binding import Call, drift, facts_at, paths_of
from operator_core.actions.policy.request import tags_of, target_of
from operator_core.actions.policy.sight import blindness
from operator_core.actions.types import ActionDefinition, ActionType
from operator_core.monitor.types import Observation, Part
from policy_kit import NOON

DRIFTS: list[tuple[dict[str, Any], dict[str, Any], list[str], list[str]]] = [
    ({}, {}, [], []),
    ({"a": 1}, {"a": 1}, [], []),
    ({"a": 1}, {"a": 1.0}, [], []),
    ({"a": 1}, {"a": True}, [], ["a: 1 → true"]),
    ({"a": 1}, {"a": 2}, [], ["a: 1 → 2"]),
    ({"a": 1}, {}, [], ["a: 1 → nothing"]),
    ({}, {"a": "x"}, [], ['a: nothing → "x"']),
    ({"a": None}, {}, [], ["a: nothing → nothing"]),
    ({"a": {"b": 1, "c": 2}}, {"a": {"c": 2, "b": 1}}, [], []),
    ({"a/b": 1, "c": 1}, {"a/b": 2, "c": 2}, ["a"], ["c: 1 → 2"]),
    ({"ab": 1}, {"ab": 2}, ["a"], ["ab: 1 → 2"]),
    ({"a/b": 1}, {"a/b": 2}, ["a/b"], []),
]


@pytest.mark.parametrize(("bound", "now", "declared", "told"), DRIFTS)
def test_a_fact_that_changed_is_drift(
    bound: dict[str, Any], now: dict[str, Any], declared: list[str], told: list[str]
) -> None:
    assert [str(one) for one in drift(bound, now, declared)] == told


def test_facts_are_read_at_the_paths_of_the_call() -> None:
    part = Part(source="pd", observed_at=NOON, data={"4": {"state": "Up"}, "a/b": {"state": "?"}})
    observation = Observation(observed_at=NOON, parts={"stores": part})
    paths = paths_of(("stores/{id}/state", "stores/{other}/state"), {"id": 4})
    assert paths == ["stores/4/state", "stores/{other}/state"]
    assert facts_at(observation, paths) == {"stores/4/state": "Up"}
    tricky = paths_of(("stores/{id}/state",), {"id": "a/b", "b": "{id}"})
    assert facts_at(observation, tricky) == {"stores/a~1b/state": "?"}


def test_an_argument_is_never_read_as_a_place() -> None:
    assert paths_of(("{a}{b}",), {"a": "{b}", "b": "{a}"}) == ["{b}{a}"]


def test_a_call_is_identified_by_version_arguments_target_and_what_undoes_it() -> None:
    base = Call("a", 1, {"x": 1, "y": 2}, "x=1", {"action_name": "b"})
    assert base.digest == base._replace(parameters={"y": 2, "x": 1}).digest
    others = [
        base._replace(action_name="b"),
        base._replace(version=2),
        base._replace(parameters={"x": 1, "y": 3}),
        base._replace(target="x=2"),
        base._replace(undo=None),
    ]
    assert len({base.digest, *(other.digest for other in others)}) == 6


def test_tags_say_what_the_other_properties_say() -> None:
    plain = ActionDefinition(name="a", description="", tags=("movement",))
    rich = plain.model_copy(update={"disruptive": True, "restores_sight": True})
    tool = ActionDefinition(name="t", description="", action_type=ActionType.TOOL)
    assert tags_of(plain) == {"movement"}
    assert tags_of(rich) == {"movement", "disruptive", "restores-sight"}
    assert {"tool", "read-only"} <= tags_of(tool)


def test_a_target_is_what_the_named_parameters_say() -> None:
    parameters = {"store_id": 4, "region_id": 7}
    assert target_of(("store_id",), parameters) == "store_id=4"
    assert target_of((), parameters) == "region_id=7,store_id=4"
    assert target_of((), {}) == ""


def seen(**changes: Any) -> Observation:  # noqa: ANN401 - any field of a part
    """Return a look with one part."""
    part = Part(source="pd", observed_at=NOON - timedelta(seconds=10))
    return Observation(observed_at=NOON, parts={"pd": part.model_copy(update=changes)})


LOOKS: list[tuple[Observation | None, str]] = [
    (seen(), ""),
    (None, "could not be seen"),
    (Observation(observed_at=NOON), "pd was not seen"),
    (seen(complete=False, error="timed out"), "in part only: timed out"),
    (seen(agrees=False), "contradicted"),
    (seen(observed_at=NOON - timedelta(seconds=31)), "too long ago"),
    (seen(observed_at=NOON + timedelta(seconds=60)), "a clock is wrong"),
]


@pytest.mark.parametrize(("look", "told"), LOOKS)
@pytest.mark.parametrize("tags", [(), ("read-only",), ("restores-sight",)])
def test_who_sees_too_little_acts_only_to_see(
    look: Observation | None, told: str, tags: tuple[str, ...]
) -> None:
    action = ActionDefinition(
        name="a", description="", tags=tags, needs_sources=("pd",), max_age_seconds=30
    )
    faults = blindness(action, look, NOON)
    assert bool(faults) == (bool(told) and not tags)
    assert tags or told in " ".join(faults)


def test_an_action_that_needs_no_source_is_not_held_up() -> None:
    assert blindness(ActionDefinition(name="a", description=""), None, NOON) == ()

"""Whatever is given as parameters, `ValidationError` is all that is raised; equality of JSON."""

import json
import math
from enum import StrEnum
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operator_core.actions.types import ActionDefinition, ParamDef
from operator_core.actions.validation import ValidationError, same_json, validate_action_params


class Level(StrEnum):
    LOW = "low"


class Hostile:
    """An object whose every method raises."""

    def __repr__(self) -> str:
        raise RuntimeError("no repr")

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("no eq")

    def __hash__(self) -> int:
        return id(self)


PARAMETERS = {
    "i": ParamDef(type="int", required=False, minimum=-5, maximum=5),
    "f": ParamDef(type="float", required=False, maximum=1e300),
    "s": ParamDef(type="str", required=False, pattern="[a-z]*"),
    "b": ParamDef(type="bool", required=False, default=True),
    "l": ParamDef(type="list", required=False),
    "o": ParamDef(type="object", required=False),
}
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(st.characters()),
    st.binary(),
    st.complex_numbers(),
    st.builds(object),
    st.builds(Hostile),
    st.sampled_from([int, math, Level.LOW]),
)
KEYS = st.one_of(st.sampled_from("ifsblo"), st.text(), st.integers(), st.builds(Hostile))
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(KEYS, inner)),
    max_leaves=15,
)


@given(st.one_of(VALUES, st.dictionaries(KEYS, VALUES)))
def test_whatever_comes_in_only_validation_errors_come_out(parameters: object) -> None:
    definition = ActionDefinition(name="act", description="", parameters=PARAMETERS)
    try:
        accepted = validate_action_params(definition, cast("dict[str, object]", parameters))
    except ValidationError as error:
        told = error.faults
    else:
        json.dumps(accepted, allow_nan=False).encode()
        assert validate_action_params(definition, accepted) == accepted
        return
    assert told
    assert all(told)


JSON = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-5, 5),
        st.floats(allow_nan=False),
        st.text(max_size=3),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=2), inner, max_size=3)
    ),
)


@given(JSON, JSON)
def test_same_json_is_an_equality(left: object, right: object) -> None:
    assert same_json(left, left)
    assert same_json(left, right) == same_json(right, left)
    if same_json(left, right):
        assert left == right


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        (1, 1.0, True),
        (1, True, False),
        (0, False, False),
        ([1], [True], False),
        ({"a": 1}, {"a": True}, False),
        ({"a": 1}, {"a": 1, "b": None}, False),
        ([1, 2], [1], False),
        ({}, [], False),
        ([1], {"a": 1}, False),
        ({"a": 1}, "a", False),
        ([1], 1, False),
        (None, None, True),
        (None, 0, False),
        ("1", 1, False),
        (math.nan, math.nan, False),
    ],
)
def test_same_json(left: object, right: object, same: bool) -> None:
    assert same_json(left, right) is same

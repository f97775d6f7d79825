"""Parameters of a call: every fault at once, and nothing but `ValidationError` ever comes out."""

import math
from enum import IntEnum, StrEnum
from typing import NoReturn, cast

import pytest

from operator_core.actions.types import ActionDefinition, ParamDef
from operator_core.actions.validation import (
    MAX_DEPTH,
    MAX_SHOWN_FAULTS,
    MAX_VALUES,
    ValidationError,
    definition_faults,
    validate_action_params,
)
from operator_core.errors import OperatorError
from operator_core.types import JsonObject


class Level(StrEnum):
    LOW = "low"


class Number(IntEnum):
    FOUR = 4


class Hostile:
    """An object whose every method raises."""

    def __repr__(self) -> str:
        raise RuntimeError("no repr")

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("no eq")

    def __hash__(self) -> int:
        return id(self)


def define(**parameters: ParamDef) -> ActionDefinition:
    return ActionDefinition(name="act", description="", parameters=parameters)


def faults(definition: ActionDefinition, parameters: object) -> list[str]:
    with pytest.raises(ValidationError) as caught:
        validate_action_params(definition, cast("JsonObject", parameters))
    return list(caught.value.faults)


def one(value: object, **limits: object) -> JsonObject:
    return validate_action_params(define(x=ParamDef.model_validate(limits)), {"x": value})


def refused(value: object, **limits: object) -> str:
    (fault,) = faults(define(x=ParamDef.model_validate(limits)), {"x": value})
    return fault


def test_the_error_is_the_one_of_the_error_tree() -> None:
    from operator_core import errors  # noqa: PLC0415 - both import paths are the point

    assert ValidationError is errors.ValidationError
    assert issubclass(ValidationError, OperatorError)
    assert issubclass(ValidationError, ValueError)


def test_all_faults_are_told_at_once() -> None:
    definition = define(
        store_id=ParamDef(type="int"),
        rate=ParamDef(type="float", minimum=0),
        mode=ParamDef(type="str", enum=["fast", "slow"]),
        label=ParamDef(type="str", pattern="[a-z]+"),
    )
    found = faults(definition, {"rate": -1, "mode": "odd", "label": "A", "stray": 1})
    assert [fault.split(":")[0] for fault in found] == [
        "'stray'",
        "store_id",
        "rate",
        "mode",
        "label",
    ]


def test_an_unknown_name_is_told_with_the_known_ones() -> None:
    definition = define(a=ParamDef(type="int", required=False), b=ParamDef(type="int", default=1))
    assert "'c': unknown parameter (known: a, b)" in faults(definition, {"c": 1})
    assert faults(define(), {"c": 1}) == ["'c': unknown parameter (known: none)"]


def test_the_message_names_the_action_and_each_fault() -> None:
    with pytest.raises(ValidationError, match=r"'act'.*a: is missing.*b: is missing"):
        validate_action_params(define(a=ParamDef(type="int"), b=ParamDef(type="str")), {})


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("int", 4),
        ("int", -4),
        ("int", 2**64 - 1),
        ("int", -(2**63)),
        ("float", 0.5),
        ("float", 4),
        ("str", ""),
        ("str", "[/x] 'quoted' é"),
        ("bool", False),
        ("list", []),
        ("list", [1, "a", None, {"b": [True]}]),
        ("object", {}),
        ("object", {"a": {"b": [1.5]}}),
    ],
)
def test_a_value_of_the_right_type_is_kept_as_it_is(kind: str, value: object) -> None:
    accepted = one(value, type=kind)["x"]
    assert accepted == value
    assert type(accepted) is type(value)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("int", 4.0),
        ("int", "4"),
        ("int", [4]),
        ("float", "0.5"),
        ("str", 4),
        ("str", ["a"]),
        ("bool", 1),
        ("bool", "true"),
        ("list", "abc"),
        ("list", {"a": 1}),
        ("object", []),
        ("object", "{}"),
    ],
)
def test_a_value_of_another_type_is_refused(kind: str, value: object) -> None:
    assert refused(value, type=kind).startswith(f"x: must be {kind}, not ")


@pytest.mark.parametrize("value", [True, False])
@pytest.mark.parametrize("kind", ["int", "float"])
def test_a_bool_is_no_int_and_no_float(kind: str, value: bool) -> None:
    assert refused(value, type=kind) == f"x: must be {kind}, not bool {value}"


def test_a_whole_number_for_a_float_stays_a_whole_number() -> None:
    assert type(one(5, type="float")["x"]) is int


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_nan_and_infinity_are_refused(value: float) -> None:
    assert refused(value, type="float") == f"x: must be a finite number, not {value}"


def test_nan_is_refused_inside_lists_and_objects() -> None:
    definition = define(l=ParamDef(type="list"), o=ParamDef(type="object"))
    found = faults(definition, {"l": [1, [math.nan]], "o": {"a": {"b": math.inf}}})
    assert found == [
        "l[1][0]: must be a finite number, not nan",
        "o.a.b: must be a finite number, not inf",
    ]


@pytest.mark.parametrize("value", [object(), {1}, (1, 2), b"x", 1j, Hostile(), int, range(3)])
def test_what_is_no_json_is_refused_wherever_it_stands(value: object) -> None:
    assert "is no JSON value" in refused(value, type="str")
    assert refused([[value]], type="list").startswith("x[0][0]: ")
    assert refused({"a": value}, type="object").startswith("x.a: ")


@pytest.mark.parametrize("value", [2**64, -(2**63) - 1, 1 << 20_000], ids=hex)
def test_a_number_wider_than_64_bits_is_refused(value: int) -> None:
    assert refused(value, type="int") == "x: a whole number must fit into 64 bits"
    assert refused(value, type="float") == "x: a whole number must fit into 64 bits"


def test_a_lone_surrogate_is_refused_because_no_ledger_can_store_it() -> None:
    assert refused("a\ud800", type="str") == "x: is no valid Unicode text"
    assert refused({"\udfff": 1}, type="object") == "x: is no valid Unicode text"


def test_a_key_that_is_no_text_is_refused() -> None:
    assert refused({1: "a"}, type="object") == "x: a key must be str, not int"
    assert faults(define(), {1: "a"}) == ["a parameter's name must be str, not int"]


def test_a_cycle_is_refused() -> None:
    circle: list[object] = []
    circle += [circle, circle]
    assert "x[0]: contains itself" in faults(define(x=ParamDef(type="list")), {"x": circle})


def test_great_depth_is_refused() -> None:
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    assert refused(deep, type="list").endswith(": is nested too deep")


def test_what_is_just_within_the_limits_is_accepted() -> None:
    nested: list[object] = []
    for _ in range(MAX_DEPTH - 1):
        nested = [nested]
    assert one(nested, type="list") == {"x": nested}
    assert refused([nested], type="list").endswith(": is nested too deep")
    assert len(one([0] * (MAX_VALUES - 1), type="list")["x"]) == MAX_VALUES - 1
    assert refused([0] * MAX_VALUES, type="list") == f"x[{MAX_VALUES - 1}]: more than 10000 values"


def test_a_small_object_that_unfolds_to_a_huge_one_is_refused() -> None:
    bomb: list[object] = []
    for _ in range(19):
        bomb = [bomb, bomb, bomb]
    assert refused(bomb, type="list").endswith(f": more than {MAX_VALUES} values")


def test_a_thousand_faults_in_one_list_make_a_short_message() -> None:
    found = faults(define(x=ParamDef(type="list")), {"x": [math.nan] * 1000})
    assert found[-1] == "and 980 more"
    assert len(found) == 21
    few = faults(define(x=ParamDef(type="list")), {"x": [math.nan] * MAX_SHOWN_FAULTS})
    assert len(few) == MAX_SHOWN_FAULTS


@pytest.mark.parametrize(
    ("value", "enum", "fits"),
    [
        ("fast", ["fast"], True),
        ("Fast", ["fast"], False),
        (1, [1, 2], True),
        (3, [1, 2], False),
        (1, [True], False),
    ],
)
def test_enum(value: object, enum: list[object], fits: bool) -> None:
    kind = type(value).__name__
    if fits:
        assert one(value, type=kind, enum=enum) == {"x": value}
    else:
        assert "must be one of" in refused(value, type=kind, enum=enum)


def test_an_empty_enum_allows_nothing() -> None:
    assert "must be one of []" in refused("a", type="str", enum=[])


@pytest.mark.parametrize(
    ("value", "fits"), [(-1, False), (0, True), (5, True), (10, True), (11, False)]
)
@pytest.mark.parametrize("kind", ["int", "float"])
def test_minimum_and_maximum_are_included(kind: str, value: int, fits: bool) -> None:
    limits = {"type": kind, "minimum": 0, "maximum": 10}
    if fits:
        assert one(value, **limits) == {"x": value}
    else:
        assert "x: must be at " in refused(value, **limits)


def test_a_pattern_must_match_the_whole_text() -> None:
    assert one("tikv-1", type="str", pattern=r"tikv-\d") == {"x": "tikv-1"}
    for text in ("tikv-10", "a tikv-1", "tikv-1\n", ""):
        assert "must match" in refused(text, type="str", pattern=r"tikv-\d")


def test_an_empty_pattern_allows_only_empty_text() -> None:
    assert "must match" in refused("a", type="str", pattern="")


def test_an_optional_parameter_without_default_is_left_out() -> None:
    assert validate_action_params(define(x=ParamDef(type="int", required=False)), {}) == {}


@pytest.mark.parametrize("default", [0, "", False, [], {}, 5])
def test_a_default_is_filled_in(default: object) -> None:
    kind = {"dict": "object"}.get(type(default).__name__, type(default).__name__)
    assert one(None, type=kind, required=False, default=default) == {"x": default}


def test_none_means_not_given() -> None:
    optional = ParamDef(type="int", required=False)
    assert validate_action_params(define(x=optional), {"x": None}) == {}
    defaulted = ParamDef(type="int", required=False, default=7)
    assert validate_action_params(define(x=defaulted), {"x": None}) == {"x": 7}
    assert faults(define(x=ParamDef(type="int")), {"x": None}) == ["x: is missing (a required int)"]


def test_a_required_parameter_must_be_given_even_where_it_has_a_default() -> None:
    definition = define(x=ParamDef(type="int", required=True, default=3))
    assert faults(definition, {}) == ["x: is missing (a required int)"]


def test_a_default_is_checked_as_well() -> None:
    definition = define(x=ParamDef(type="int", required=False, default="three"))
    assert faults(definition, {}) == ["x: must be int, not str 'three'"]


def test_the_answer_shares_nothing_with_input_or_definition() -> None:
    definition = define(
        given=ParamDef(type="list"), default=ParamDef(type="list", required=False, default=[[1]])
    )
    parameters: JsonObject = {"given": [[1]]}
    accepted = validate_action_params(definition, parameters)
    accepted["given"][0].append(2)
    accepted["default"][0].append(2)
    assert parameters == {"given": [[1]]}
    assert definition.parameters["default"].default == [[1]]


def test_members_of_enums_become_their_plain_values() -> None:
    definition = define(level=ParamDef(type="str", enum=["low"]), n=ParamDef(type="int"))
    accepted = validate_action_params(definition, {"level": Level.LOW, "n": Number.FOUR})
    assert accepted == {"level": "low", "n": 4}
    assert [type(value) for value in accepted.values()] == [str, int]


@pytest.mark.parametrize("parameters", [None, 1, "x", [], [("x", 1)], object(), Hostile(), dict])
def test_parameters_that_are_no_object_are_refused(parameters: object) -> None:
    (first, second) = faults(define(x=ParamDef(type="int")), parameters)
    assert first == f"parameters must be an object, not {type(parameters).__name__}"
    assert second == "x: is missing (a required int)"


def test_a_hostile_key_is_a_fault_and_is_never_asked() -> None:
    definition = define(x=ParamDef(type="int"))
    assert "a parameter's name must be str, not Hostile" in faults(definition, {Hostile(): 1})


def test_a_dict_that_lies_about_its_items_is_read_as_it_is() -> None:
    class Liar(dict[str, object]):
        def items(self) -> NoReturn:
            raise RuntimeError("no items")

        def get(self, *_: object) -> NoReturn:
            raise RuntimeError("no entry")

    assert faults(define(x=ParamDef(type="int")), Liar(x="a")) == ["x: must be int, not str 'a'"]


def test_long_values_are_shortened_in_the_message() -> None:
    assert len(refused("a" * 10_000, type="int")) < 200


def test_a_definition_that_cannot_mean_what_it_says_is_told() -> None:
    definition = define(
        a=ParamDef(type="str", required=False, minimum=1),
        a2=ParamDef(type="list", required=False, maximum=1),
        b=ParamDef(type="int", required=False, pattern="x"),
        c=ParamDef(type="int", required=False, default=9, maximum=5),
        d=ParamDef(type="int", minimum=1, maximum=5),
    )
    assert definition_faults(definition) == [
        "a: minimum and maximum are for numbers, not for str",
        "a2: minimum and maximum are for numbers, not for list",
        "b: a pattern is for str, not for int",
        "default of c: must be at most 5, not 9",
    ]

import pytest
from pydantic import JsonValue

from operator_core.actions.types import ParamDef, ParamType
from operator_core.cli.values import parameters, parsed
from operator_core.errors import RequestError

KNOWN = {"store": ParamDef(type="int"), "name": ParamDef(type="str")}


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("int", "4", 4),
        ("int", "-4", -4),
        ("int", "4.0", "4.0"),
        ("int", "4_000", "4_000"),
        ("int", "٤", "٤"),
        ("int", "9" * 5000, "9" * 5000),
        ("float", "0.5", 0.5),
        ("float", ".5e3", 500.0),
        ("float", "7", 7.0),
        ("float", "nan", "nan"),
        ("float", "inf", "inf"),
        ("bool", "true", True),
        ("bool", "No", False),
        ("bool", "maybe", "maybe"),
        ("str", "4", "4"),
        ("str", "", ""),
        ("list", "[1, 2]", [1, 2]),
        ("list", "1,2", "1,2"),
        ("object", '{"a": 1}', {"a": 1}),
        ("object", "[" * 100_000, "[" * 100_000),
    ],
)
def test_a_text_is_read_by_the_type_of_its_parameter(
    kind: ParamType, text: str, value: JsonValue
) -> None:
    found = parsed(ParamDef(type=kind), text)
    assert found == value
    assert type(found) is type(value)


def test_arguments_come_from_texts_and_from_json() -> None:
    found = parameters(["store=4", "name=a=b", "other=1"], '{"more": [1]}', KNOWN)
    assert found == {"more": [1], "store": 4, "name": "a=b", "other": "1"}


@pytest.mark.parametrize(
    ("given", "as_json", "message"),
    [
        (["store"], None, "NAME=VALUE"),
        (["=4"], None, "NAME=VALUE"),
        (["store=4", "store=5"], None, "twice"),
        (["store=4"], '{"store": 5}', "twice"),
        ([], '{"a": 1, "a": 2}', "twice"),
        ([], "{", "no JSON"),
        ([], "[" * 100_000, "nested too deep"),
        ([], "[1]", "must be an object"),
        ([], "", "no JSON"),
    ],
)
def test_arguments_that_mean_nothing_are_refused(
    given: list[str], as_json: str | None, message: str
) -> None:
    with pytest.raises(RequestError, match=message):
        parameters(given, as_json, KNOWN)

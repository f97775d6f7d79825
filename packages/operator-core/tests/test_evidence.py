"""Claims are evaluated the same way by everybody, at any time, and never raise."""

import json
import math
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import JsonValue

from operator_core.agent.diagnosis import Claim, Predicate
from operator_core.agent.evidence import bind, holds, share_held
from operator_core.agent.paths import part_name, resolve
from operator_core.monitor.types import Observation, Part
from operator_core.types import JsonObject

START = datetime(2025, 1, 1, tzinfo=UTC)
DATA: JsonObject = {
    "4": {"state": "Down", "leaders": 0, "labels": ["zone=a", 1], "ready": True, "note": None},
    "a/b": {"x~y": 1},
    "list": [{"id": 7}, [1, 2]],
    "": {"": 5},
    "nan": math.nan,
    "odd": {5: "a number as key", True: "a truth as key"},
}


def part(data: JsonObject, *, complete: bool = True) -> Part:
    return Part(source="pd", observed_at=START, complete=complete, data=data)


LOOK = Observation(
    id=12,
    parts={
        "stores": part(DATA),
        "partial": part({"seen": 1}, complete=False),
        "pd/members": part({"n": 3}),
    },
)


def claim(path: str, predicate: str, value: JsonValue = None, weight: float = 1.0) -> Claim:
    return Claim(
        statement="", path=path, predicate=Predicate(predicate), value=value, weight=weight
    )


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("stores/4/state", "Down"),
        ("stores/4/note", None),
        ("stores/4/labels/0", "zone=a"),
        ("stores/a~1b/x~0y", 1),
        ("stores/list/0/id", 7),
        ("stores/list/1/1", 2),
        ("stores//", 5),
        ("stores/odd/5", "a number as key"),
        ("partial/seen", 1),
        ("pd~1members/n", 3),
        ("stores", DATA),
    ],
)
def test_a_path_leads_to_a_value(path: str, value: object) -> None:
    assert resolve(LOOK, path) == (True, value)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "/stores",
        "regions",
        "stores/9",
        "stores/4/state/0",
        "stores/4/note/x",
        "stores/list/2",
        "stores/list/-1",
        "stores/list/00",
        "stores/list/0 ",
        "stores/list/²",
        "stores/list/" + "9" * 10_000,
        "stores/odd/True",
        "stores/4/",
    ],
)
def test_a_path_that_leads_nowhere_finds_nothing(path: str) -> None:
    assert resolve(LOOK, path) == (False, None)


def test_a_tilde_is_unescaped_after_a_slash() -> None:
    assert part_name("a~01/b") == "a~1"


def test_a_path_leads_to_the_same_before_and_after_the_ledger() -> None:
    seen = Observation(parts={"stores": part({"by_id": {5: {"x": 1}}})})
    stored = Observation.model_validate_json(seen.model_dump_json())
    assert resolve(seen, "stores/by_id/5/x") == (True, 1)
    assert resolve(stored, "stores/by_id/5/x") == (True, 1)


@pytest.mark.parametrize(
    ("path", "predicate", "value", "expected"),
    [
        ("stores/4/state", "eq", "Down", True),
        ("stores/4/state", "eq", "down", False),
        ("stores/4/leaders", "eq", 0, True),
        ("stores/4/leaders", "eq", 0.0, True),
        ("stores/4/leaders", "eq", False, False),
        ("stores/4/ready", "eq", True, True),
        ("stores/4/ready", "eq", 1, False),
        ("stores/4/note", "eq", None, True),
        ("stores/4/labels", "eq", ["zone=a", 1], True),
        ("stores/4/labels", "eq", ["zone=a", True], False),
        ("stores/nan", "eq", math.nan, False),
        ("stores/4/state", "ne", "Up", True),
        ("stores/4/state", "ne", "Down", False),
        ("stores/4/leaders", "lt", 1, True),
        ("stores/4/leaders", "lt", 0, False),
        ("stores/4/leaders", "le", 0, True),
        ("stores/4/leaders", "gt", -0.5, True),
        ("stores/4/leaders", "ge", 0.1, False),
        ("stores/4/state", "lt", "Up", True),
        ("stores/4/labels", "contains", "zone=a", True),
        ("stores/4/labels", "contains", 1.0, True),
        ("stores/4/labels", "contains", True, False),
        ("stores/4/state", "contains", "ow", True),
        ("stores/4", "contains", "state", True),
        ("stores/odd", "contains", "5", True),
        ("stores/4", "contains", "nothing", False),
        ("stores/4/note", "exists", None, True),
        ("stores/9", "exists", None, False),
        ("stores/9", "absent", None, True),
        ("stores/4/note", "absent", None, False),
        ("partial/seen", "eq", 1, True),
        ("partial/seen", "exists", None, True),
    ],
)
def test_what_holds(path: str, predicate: str, value: JsonValue, expected: bool) -> None:
    assert holds(claim(path, predicate, value), LOOK) is expected


@pytest.mark.parametrize("predicate", [one.value for one in Predicate if one.value != "absent"])
@pytest.mark.parametrize("path", ["stores/9", "regions/1", "partial/unseen"])
def test_nothing_holds_of_what_is_not_there(path: str, predicate: str) -> None:
    assert not holds(claim(path, predicate, None), LOOK)


@pytest.mark.parametrize("path", ["partial/unseen", "regions/1", "regions", ""])
def test_what_was_not_read_whole_is_not_absent(path: str) -> None:
    assert not holds(claim(path, "absent"), LOOK)


@pytest.mark.parametrize("predicate", ["lt", "le", "gt", "ge"])
@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("stores/4/leaders", "1"),
        ("stores/4/state", 1),
        ("stores/4/ready", 0),
        ("stores/4/leaders", True),
        ("stores/4/note", 1),
        ("stores/4/labels", ["a"]),
        ("stores/4", 1),
        ("stores/nan", 1),
    ],
)
def test_two_kinds_have_no_order(path: str, predicate: str, value: JsonValue) -> None:
    assert not holds(claim(path, predicate, value), LOOK)


@pytest.mark.parametrize(
    ("path", "value"),
    [("stores/4/state", 1), ("stores/4/leaders", 0), ("stores/4", 4), ("stores/4/note", "x")],
)
def test_contains_of_two_kinds_that_do_not_fit_is_false(path: str, value: JsonValue) -> None:
    assert not holds(claim(path, "contains", value), LOOK)


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text()),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(), inner)),
    max_leaves=10,
)


@settings(max_examples=50)
@given(
    st.dictionaries(st.text(), st.dictionaries(st.text(), JSON), max_size=3),
    st.one_of(st.text(), st.lists(st.text("ab01/~", max_size=3)).map("/".join)),
    st.sampled_from(Predicate),
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.lists(st.text())),
)
def test_no_claim_ever_raises(
    parts: dict[str, JsonObject], path: str, predicate: Predicate, value: JsonValue
) -> None:
    observation = Observation(parts={name: part(data) for name, data in parts.items()})
    claims = [
        Claim(statement="", path=path, predicate=predicate, value=value),
        *(Claim(statement="", path=name, predicate=predicate, value=value) for name in parts),
    ]
    assert {holds(one, observation) for one in claims} <= {True, False}


@given(st.lists(st.text(), min_size=1, max_size=4), JSON)
def test_every_value_has_a_path(segments: list[str], value: JsonValue) -> None:
    data: object = value
    for segment in reversed(segments):
        data = {segment: data}
    assert isinstance(data, dict)
    escaped = [segment.replace("~", "~0").replace("/", "~1") for segment in ["p", *segments]]
    found = resolve(Observation(parts={"p": part(data)}), "/".join(escaped))
    assert found.found
    assert json.dumps(found.value) == json.dumps(value)


def test_claims_are_bound_to_their_observation() -> None:
    claims = [claim("stores/4", "exists"), claim("stores/9", "absent")]
    assert [one.observation_id for one in bind(claims, 12)] == [12, 12]
    assert [one.observation_id for one in claims] == [None, None]


def test_the_share_is_by_weight() -> None:
    true, false = claim("stores/4", "exists", weight=3), claim("stores/9", "exists", weight=1)
    assert share_held([true, false], LOOK) == 0.75
    assert share_held([true], LOOK) == 1.0
    assert share_held([false], LOOK) == 0.0
    assert share_held([], LOOK) == 0.0


def test_weights_that_cannot_be_added_up_say_nothing() -> None:
    assert share_held([claim("stores/4", "exists", weight=1e308)] * 2, LOOK) == 0.0
    assert share_held([claim("stores/4", "exists", weight=1e308)] * 2, LOOK) == 0.0

"""What an action returned can always be written down: the effect has happened already."""

import json
import math
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import PurePosixPath
from typing import NoReturn
from unittest.mock import AsyncMock, MagicMock
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, SecretStr

from operator_core.actions.outcomes import readable
from operator_core.actions.readable import (
    CUT_MARK,
    MAX_TEXT_CHARS,
    MAX_TOTAL_CHARS,
    MAX_VALUES,
    cut,
)


@dataclass
class Store:
    id: int
    seen_at: datetime
    peers: set[int] = field(default_factory=set)


class Region(BaseModel):
    id: int
    store: Store | None = None
    password: SecretStr = SecretStr("s3cret")


class State(Enum):
    UP = "up"
    DOWN = ("down", 1)


class Hostile:
    def __repr__(self) -> str:
        raise RuntimeError("no repr")

    def __str__(self) -> str:
        raise RuntimeError("no text")


class HostileDict(dict[str, object]):
    def items(self) -> NoReturn:
        raise RuntimeError("no items")

    def __repr__(self) -> str:
        raise RuntimeError("no repr")


class Liar:
    """Claims to be a dict, as the stand-ins of tests do."""

    @property  # type: ignore[misc]  # the lie
    def __class__(self) -> type:
        return dict


NOON = datetime(2025, 1, 2, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (None, None),
        (True, True),
        (5, 5),
        (2**64, 2**64),
        (2**70, str(2**70)),
        (0.5, 0.5),
        ("text", "text"),
        ("", ""),
        (math.nan, "nan"),
        (math.inf, "inf"),
        (-math.inf, "-inf"),
        (NOON, "2025-01-02T12:00:00+00:00"),
        (datetime(2025, 1, 2, 12), "2025-01-02T12:00:00"),  # noqa: DTZ001 - as a subject may
        (date(2025, 1, 2), "2025-01-02"),
        (timedelta(seconds=90), "0:01:30"),
        (b"text", "text"),
        (bytearray(b"text"), "text"),
        (b"\xff\x00", "ff00"),
        (Decimal("1.10"), "1.10"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (PurePosixPath("a/b"), "a/b"),
        (State.UP, "up"),
        (State.DOWN, ["down", 1]),
        ({3, 1, 2}, [1, 2, 3]),
        pytest.param(frozenset({"b", "a"}), ["a", "b"], id="a frozenset"),
        ((1, (2, 3)), [1, [2, 3]]),
        ([], []),
        ("a\x00\ud800", "a\ufffd?"),
    ],
    ids=repr,
)
def test_a_value_stands_under_result(value: object, plain: object) -> None:
    assert readable(value) == {"result": plain}
    assert readable({"x": [value]}) == {"x": [plain]}


def test_a_huge_number_is_written_down() -> None:
    text = readable(1 << 100_000)["result"]
    assert text.startswith("0x1000")
    assert text.endswith(CUT_MARK)


def test_a_dict_is_kept() -> None:
    value = {"ok": True, "stores": [{"id": 4}], "none": None}
    assert readable(value) == value
    assert readable(value) is not value


def test_a_dataclass_becomes_an_object() -> None:
    assert readable(Store(4, NOON, {2, 1})) == {
        "id": 4,
        "seen_at": "2025-01-02T12:00:00+00:00",
        "peers": [1, 2],
    }


def test_a_pydantic_model_becomes_an_object_and_keeps_its_secret() -> None:
    plain = readable(Region(id=1, store=Store(4, NOON)))
    assert plain["store"]["id"] == 4
    assert "s3cret" not in json.dumps(plain)


def test_keys_become_text_and_none_is_lost() -> None:
    value = {1: "a", "1": "b", None: "c", False: "d", State.UP: "e", (1, 2): "f"}
    assert readable(OrderedDict(value)) == {
        "1": "a",
        "1 (2)": "b",
        "null": "c",
        "false": "d",
        "up": "e",
        "[1, 2]": "f",
    }


@pytest.mark.parametrize("value", [object(), Hostile(), int, len, iter([1]), Liar(), AsyncMock()])
def test_anything_else_becomes_text(value: object) -> None:
    assert isinstance(readable([value])["result"][0], str)


@pytest.mark.parametrize("value", [Hostile(), HostileDict(a=1), {"a": Hostile()}])
def test_a_repr_that_raises_does_not_matter(value: object) -> None:
    assert "Hostile" in json.dumps(readable(value))


@pytest.mark.parametrize("claimed", [dict, list, str, int, bool, bytes, datetime, Region])
def test_a_stand_in_for_any_class_becomes_text(claimed: type) -> None:
    json.dumps(readable({"x": MagicMock(spec=claimed)}), allow_nan=False)


def test_a_field_that_is_missing_does_not_matter() -> None:
    store = Store(4, NOON)
    del store.peers
    assert readable(store)["peers"] is None


def test_a_cycle_is_shown_as_text() -> None:
    circle: dict[str, object] = {"a": 1}
    circle["self"] = [circle]
    plain = readable(circle)
    assert plain["a"] == 1
    assert isinstance(plain["self"][0], str)


def test_what_is_met_twice_is_no_cycle() -> None:
    shared = [1]
    assert readable([shared, shared]) == {"result": [[1], [1]]}


def test_great_depth_is_shown_as_text() -> None:
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    json.dumps(readable(deep))


def test_a_long_text_is_cut_with_a_mark() -> None:
    text = readable("x" * 20_000)["result"]
    assert len(text) == MAX_TEXT_CHARS
    assert text.endswith(CUT_MARK)
    assert cut("x" * 10, 10) == "x" * 10


def test_a_cut_says_how_much_is_missing() -> None:
    shown = readable(list(range(MAX_VALUES + 1)))["result"]
    assert shown[-1] == f"{CUT_MARK} 2 more"
    assert shown[:-1] == list(range(MAX_VALUES - 1))
    kept = readable({str(number): number for number in range(MAX_VALUES + 5)})
    assert kept.popitem() == (CUT_MARK, "6 more")
    assert len(kept) == MAX_VALUES - 1


@pytest.mark.timeout(2)
@pytest.mark.parametrize(
    "value", [list(range(1_000_000)), set(range(1_000_000)), dict.fromkeys(range(1_000_000))]
)
def test_a_long_collection_is_cut_with_a_mark(value: object) -> None:
    text = json.dumps(readable(value), ensure_ascii=False)
    assert CUT_MARK in text
    assert len(text) < 40 * MAX_VALUES


@pytest.mark.timeout(2)
def test_a_small_object_that_unfolds_to_a_huge_one_stays_small() -> None:
    bomb: list[object] = ["x" * 9_000]
    for _ in range(30):
        bomb = [bomb] * 5
    assert len(json.dumps(readable(bomb))) < 2 * MAX_TOTAL_CHARS


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(st.characters()),
    st.binary(),
    st.decimals(),
    st.datetimes(),
    st.timedeltas(),
    st.complex_numbers(),
    st.builds(Hostile),
    st.builds(HostileDict, a=st.integers()),
    st.sampled_from([State.UP, State.DOWN, Liar(), Store(1, NOON)]),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner),
        st.tuples(inner),
        st.dictionaries(st.one_of(st.text(st.characters()), st.integers(), st.none()), inner),
    ),
)


@given(VALUES)
def test_whatever_comes_in_can_be_stored(value: object) -> None:
    plain = readable(value)
    text = json.dumps(plain, allow_nan=False, ensure_ascii=False)
    assert "\x00" not in text
    assert json.loads(text.encode("utf-8")) == plain


@given(VALUES)
def test_what_is_readable_stays_as_it_is(value: object) -> None:
    assert readable(readable(value)) == readable(value)

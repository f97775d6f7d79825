"""The ledger's own JSON is the standard library's, to the letter."""

import json
import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operator_core.db.audit import text_of
from operator_core.db.codec import MAX_DEPTH, decoded, encoded, encoder, is_deep

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
PLAIN = encoder()
CANONICAL = encoder(sort_keys=True, separators=(",", ":"))


@given(JSON)
def test_a_value_has_the_text_that_json_dumps_gives(value: object) -> None:
    assert PLAIN(value) == json.dumps(value)
    assert CANONICAL(value) == json.dumps(value, sort_keys=True, separators=(",", ":"))


@given(JSON)
def test_a_text_has_the_value_that_json_loads_gives(value: object) -> None:
    for text in (json.dumps(value), f" {json.dumps(value, indent=1)}\n"):
        assert repr(decoded(text)) == repr(json.loads(text))


@pytest.mark.parametrize("text", ["", " ", "{", "{} x", "{'a': 1}", '"a', "nul"])
def test_what_is_no_json_is_an_error_that_says_where(text: str) -> None:
    with pytest.raises(json.JSONDecodeError, match="column"):
        decoded(text)


def test_what_json_has_no_word_for_is_an_error_unless_it_is_allowed() -> None:
    endless: list[object] = []
    endless.append(endless)
    for value in (math.nan, math.inf, {1, 2}, {(1, 2): 3}, endless):
        with pytest.raises((TypeError, ValueError, RecursionError)):
            PLAIN(value)
    assert encoder(allow_nan=True)([math.nan]) == json.dumps([math.nan])


@pytest.mark.parametrize("wrap", [lambda inner: {"x": inner}, lambda inner: [1, inner]])
def test_depth_is_counted_whatever_the_interpreter_bears(
    wrap: Callable[[object], object],
) -> None:
    value: object = 1
    for depth in range(MAX_DEPTH + 5):
        assert is_deep(value) == (depth > MAX_DEPTH)
        value = wrap(value)


def test_what_is_too_deep_is_not_stored_and_told_in_words_by_the_audit() -> None:
    value: object = 1
    for _ in range(MAX_DEPTH + 1):
        value = [value]
    with pytest.raises(ValueError, match="nested"):
        encoded(value)
    assert "[[[" in text_of({"x": [value]})
    assert not is_deep(json.loads(text_of({"x": [value]})))

"""JSON of the small texts of a ledger, at less cost than `json.loads` and `json.dumps` have.

Those set up an encoder for each text and look for space around each, which costs more than the
texts themselves.
"""

import json
from collections.abc import Callable, Iterable
from typing import Any

MAX_DEPTH = 200
"""What every interpreter and every engine can read, with room to spare."""

_COMPILED: Callable[..., Callable[[object, int], tuple[str, ...]]] | None = getattr(
    json.encoder, "c_make_encoder", None
)


def encoder(
    *,
    sort_keys: bool = False,
    separators: tuple[str, str] = (", ", ": "),
    allow_nan: bool = False,
) -> Callable[[object], str]:
    """Return a function from values to their JSON, the same text as `json.dumps` gives.

    It raises TypeError, ValueError or RecursionError where a value is no JSON.

    Args:
        sort_keys: whether an object's names are put in order.
        separators: what stands between items, and between a name and its value.
        allow_nan: whether a number may be NaN or infinite.
    """
    plain = json.JSONEncoder(sort_keys=sort_keys, allow_nan=allow_nan, separators=separators)
    if _COMPILED is None:
        return plain.encode
    items, names = separators
    compiled = _COMPILED(
        None,  # what holds itself is found by its depth
        plain.default,
        json.encoder.encode_basestring_ascii,
        None,
        names,
        items,
        sort_keys,
        False,  # noqa: FBT003 - a name that is no text is an error
        allow_nan,
    )
    return lambda value: "".join(compiled(value, 0))


_SORTED = encoder(sort_keys=True)


def encoded(value: object) -> str:
    """Return the JSON of a value that is stored: every Operator can read it.

    How deep an interpreter can write and read differs from version to version.

    Raises:
        TypeError: the value is no JSON.
        ValueError: nor is this, or it is nested too deep.
        RecursionError: it is nested deeper than this interpreter can write.
    """
    text = _SORTED(value)
    if text.count("{") + text.count("[") > MAX_DEPTH and is_deep(value):
        raise ValueError(f"it is nested more than {MAX_DEPTH} deep")
    return text


_DECODE = json.JSONDecoder().raw_decode


def decoded(text: str) -> Any:  # noqa: ANN401 - as `json.loads`
    """Return the value of a JSON text, the same as `json.loads` gives.

    Raises:
        ValueError: it is no JSON.
    """
    try:
        value, end = _DECODE(text)
    except ValueError:
        return json.loads(text)  # which says what is wrong, or takes the space before it
    return value if end == len(text) else json.loads(text)


def is_deep(value: object) -> bool:
    """Return whether something is nested deeper than may be stored."""
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        level = [inner for one in level for inner in _parts(one)]
        if not level:
            return False
    return True


def _parts(value: object) -> Iterable[object]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list | tuple) else ()

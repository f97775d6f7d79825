"""JSON encoders that are made once.

`json.dumps` and `JSONEncoder.encode` set one up anew for each text, which costs more than the
small texts of a ledger themselves.
"""

import json
from collections.abc import Callable

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

"""Where secrets are kept out of the ledger: every statement and every audit row passes here.

What Operator itself makes up (ids, times, states, hashes) is not looked at; whatever else a
statement takes is, so a store cannot forget it. What must keep its meaning, such as an action's
arguments, is refused instead of redacted.
"""

import json
from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from itertools import chain

from operator_core.agent.redact import MARK, holds_secret, redacted, suspicious
from operator_core.db.engine import Value
from operator_core.db.statements import picker
from operator_core.errors import RequestError

_OWN = frozenset(
    {
        "action_type",
        "before",
        "digest",
        "due",
        "effect_id",
        "expected",
        "hash",
        "holder",
        "id",
        "idempotency_key",
        "ids",
        "items",
        "kept_as",
        "ledger_id",
        "limit",
        "mode",
        "now",
        "outcome",
        "owner",
        "phase",
        "policy_hash",
        "prev_hash",
        "severity",
        "since",
        "stage",
        "status",
        "until",
        "writer",
    }
)
"""Parameters of statements that Operator makes up itself; ``items`` were looked at one by one."""

Params = Mapping[str, Value]

_SHORT_CHARS = 200


@cache
def foreign(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return which of a statement's parameters may hold what others wrote."""
    return tuple(
        name for name in names if name not in _OWN and not name.endswith(("_at", "_id", "_bytes"))
    )


def cleaned(params: Params, names: tuple[str, ...]) -> Params:
    """Return parameters without secrets; where nothing is suspicious, the same ones.

    Args:
        params: of a statement.
        names: those that are looked at, see `foreign`.
    """
    found = [value for value in map(params.get, names) if value.__class__ is str]
    if not found or _is_plain("\n".join(found)):
        return params
    return {
        name: redacted(value) if name in names and isinstance(value, str) else value
        for name, value in params.items()
    }


def cleaned_each(params: Sequence[Params], names: tuple[str, ...]) -> Sequence[Params]:
    """Return sets of parameters without secrets, after one look at all of them.

    Args:
        params: of one statement, that is run with each.
        names: those that are looked at, see `foreign`.
    """
    if not names:
        return params
    distinct = {*chain.from_iterable(map(picker(names), params))}  # most stand in many rows
    texts = [value for value in distinct if isinstance(value, str)]
    if not texts or _is_plain("\n".join(texts)):
        return params
    return [cleaned(one, names) for one in params]


def _is_plain(text: str) -> bool:
    """Return whether a text surely holds no secret; of short ones most come again and again."""
    return _is_known_plain(text) if len(text) <= _SHORT_CHARS else not suspicious(text)


@lru_cache(maxsize=256)
def _is_known_plain(text: str) -> bool:
    return not suspicious(text)


def require_none(what: str, text: str) -> None:
    """Return only where JSON holds no secret.

    Args:
        what: what is to be stored, for the message.
        text: its JSON.

    Raises:
        RequestError: it holds one, or one that was redacted.
    """
    if (MARK in text or not _is_plain(text)) and holds_secret(json.loads(text)):
        raise RequestError(
            f"{what} would put a secret into the ledger, for all who can read it. Name a file or "
            "an environment variable that holds the secret instead."
        )

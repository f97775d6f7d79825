"""Secrets are taken out of what is stored before it is, so that no hash changes later; pure.

It works on JSON as text: no replacement has a sign that JSON would have to escape. What is seen may
be written by an enemy and as long as they like, so no pattern may begin anew at each sign of a run
that it has read already.
"""

import re
from collections.abc import Mapping
from typing import Final

from operator_core.types import JsonObject

MARK: Final = "[redacted]"

_ANY_CASE: Final = re.IGNORECASE
_NAMES: Final = (
    r"(?:pass(?:word|wd|phrase)|secret|token|api[_-]?key|(?:access|private|secret)[_-]?key)"
)
# Not what is JSON by itself: a constant, a number, the beginning of a list or an object.
_NO_JSON: Final = r"(?!(?:null|true|false)\b|-?[0-9.]+(?:e[+-]?[0-9]+)?(?:[\s,}\]]|$)|[\[{])"
_VALUE: Final = _NO_JSON + r"(?=[^\s\"',;&\\}]*[A-Za-z])[^\s\"',;&\\}]{4,}"

_NAME_SIGNS: Final = ("pass", "secret", "token", "key")

# Each pattern with signs in small letters: in a text without one of them it finds nothing.
_PATTERNS: Final = (
    # scheme://user:password@host
    (
        ("://",),
        re.compile(
            r"(\b[a-z][a-z0-9+.-]{1,20}://[^\s:/@\"\\]{1,128}:)[^\s@/\"\\]{1,256}(?=@)", _ANY_CASE
        ),
    ),
    # Authorization: Bearer …, and the bare word in a log line
    (
        ("bearer", "basic"),
        re.compile(r"(\b(?:bearer|basic)\s+)[A-Za-z0-9._~+/=-]{8,}", _ANY_CASE),
    ),
    # password=…, "token": "…"
    (
        _NAME_SIGNS,
        re.compile(
            rf"((?<![a-z0-9]){_NAMES}(?:\\?[\"'])?\s*[:=]\s*(?:\\?[\"'])?){_VALUE}",
            _ANY_CASE,
        ),
    ),
    (
        ("key",),
        re.compile(
            r"()-----BEGIN [A-Z ]*PRIVATE KEY-----(?:[^\"-]|-(?!----))*"
            r"-----END [A-Z ]*PRIVATE KEY-----"
        ),
    ),
    # keys that are known by their form: AWS, GitHub, Slack, and JSON web tokens
    (("akia",), re.compile(r"()\bAKIA[0-9A-Z]{16}\b")),
    (
        ("ghp_", "gho_", "ghu_", "ghs_", "ghr_"),
        re.compile(r"()\bgh[pousr]_[A-Za-z0-9]{36,}"),
    ),
    (("xox",), re.compile(r"()\bxox[abprs]-[A-Za-z0-9-]{10,}")),
    (
        ("eyj",),
        re.compile(
            r"()(?<![A-Za-z0-9_-])(?=eyJ|[A-Za-z0-9_-]*?-eyJ)"
            r"[A-Za-z0-9_-]{11,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}"
        ),
    ),
)
_SIGNS: Final = tuple(dict.fromkeys(sign for signs, _ in _PATTERNS for sign in signs))
_SECRET_NAME: Final = re.compile(rf"(?:^|[_-]){_NAMES}$", _ANY_CASE)


def redacted(text: str) -> str:
    """Return a text, such as JSON, without secrets; doing it again changes nothing.

    A text in which nothing is suspicious is returned itself, after a quick look.
    """
    folded = text.casefold()
    if not _is_suspicious(folded):
        return text
    for signs, pattern in _PATTERNS:
        if any(sign in folded for sign in signs):
            text = pattern.sub(rf"\1{MARK}", text)
    return text


def suspicious(text: str) -> bool:
    """Return whether a text may hold a secret; False is certain."""
    return _is_suspicious(text.casefold())


def _is_suspicious(folded: str) -> bool:
    for sign in _SIGNS:  # noqa: SIM110 - this is asked of all that is stored, and `any` is slower
        if sign in folded:
            return True
    return False


def holds_secret(value: object) -> bool:
    """Return whether a JSON value holds a secret, or a text by the name of one.

    What was redacted before counts too: it cannot mean what it meant.
    """
    if isinstance(value, Mapping):
        return any(
            holds_secret(one) or bool(one and isinstance(one, str) and _SECRET_NAME.search(key))
            for key, one in value.items()
        )
    if isinstance(value, list | tuple):
        return any(holds_secret(one) for one in value)
    return isinstance(value, str) and (MARK in value or redacted(value) != value)


def without_secrets(settings: Mapping[str, object]) -> JsonObject:
    """Return settings without the values of what is named like a secret."""
    return {key: _kept(key, value) for key, value in settings.items()}


def _kept(key: str, value: object) -> object:
    if isinstance(value, dict):
        return without_secrets(value)
    if _SECRET_NAME.search(key):
        return MARK
    return redacted(value) if isinstance(value, str) else value

"""Secrets are taken out of what was seen before it is stored, so that no hash changes later; pure.

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

_PATTERNS: Final = (
    # scheme://user:password@host
    re.compile(
        r"(\b[a-z][a-z0-9+.-]{1,20}://[^\s:/@\"\\]{1,128}:)[^\s@/\"\\]{1,256}(?=@)", _ANY_CASE
    ),
    # Authorization: Bearer …, and the bare word in a log line
    re.compile(r"(\b(?:bearer|basic)\s+)[A-Za-z0-9._~+/=-]{8,}", _ANY_CASE),
    # password=…, "token": "…"
    re.compile(
        rf"((?<![a-z0-9]){_NAMES}(?:\\?[\"'])?\s*[:=]\s*(?:\\?[\"'])?){_VALUE}",
        _ANY_CASE,
    ),
    re.compile(
        r"()-----BEGIN [A-Z ]*PRIVATE KEY-----(?:[^\"-]|-(?!----))*-----END [A-Z ]*PRIVATE KEY-----"
    ),
    # keys that are known by their form: AWS, GitHub, Slack, and JSON web tokens
    re.compile(r"()\bAKIA[0-9A-Z]{16}\b"),
    re.compile(r"()\bgh[pousr]_[A-Za-z0-9]{36,}"),
    re.compile(r"()\bxox[abprs]-[A-Za-z0-9-]{10,}"),
    re.compile(
        r"()(?<![A-Za-z0-9_-])(?=eyJ|[A-Za-z0-9_-]*?-eyJ)"
        r"[A-Za-z0-9_-]{11,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}"
    ),
)
_SECRET_NAME: Final = re.compile(rf"(?:^|[_-]){_NAMES}$", _ANY_CASE)


def redacted(text: str) -> str:
    """Return a text, such as JSON, without secrets; doing it again changes nothing."""
    for pattern in _PATTERNS:
        text = pattern.sub(rf"\1{MARK}", text)
    return text


def without_secrets(settings: Mapping[str, object]) -> JsonObject:
    """Return settings without the values of what is named like a secret."""
    return {key: _kept(key, value) for key, value in settings.items()}


def _kept(key: str, value: object) -> object:
    if isinstance(value, dict):
        return without_secrets(value)
    if _SECRET_NAME.search(key):
        return MARK
    return redacted(value) if isinstance(value, str) else value

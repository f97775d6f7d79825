"""Secrets are taken out of what is stored before it is, so that no hash changes later; pure.

It works on JSON as text: no replacement has a sign that JSON would have to escape. What is seen may
be written by an enemy and as long as they like, so no pattern may begin anew at each sign of a run
that it has read already.
"""

import re
from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Final

from operator_core.types import JsonObject

MARK: Final = "[redacted]"

_ANY_CASE: Final = re.IGNORECASE
_KEYS: Final = ("api", "access", "account", "private", "secret", "signing", "encryption")
# Written so that a search can skip what does not begin like a name.
_NAMES: Final = (
    r"(?:[pstcae\u017f](?:(?<=p)ass(?:word|wd|phrase)|(?<=_p)ass|(?<=p)wd(?!=/)|(?<=t)oken"
    r"|(?<=s)ecret(?:[_-]?key)?|(?<=c)redentials?"
    r"|(?:(?<=a)(?:pi|ccess|ccount)|(?<=p)rivate|(?<=s)igning|(?<=e)ncryption)[_-]?key))"
)
# Not what is JSON by itself: a constant, a number, the beginning of a list or an object.
_NO_JSON: Final = r"(?!(?:null|true|false)\b|-?[0-9.]+(?:e[+-]?[0-9]+)?(?:[\s,}\]]|$)|[\[{])"
_VALUE: Final = _NO_JSON + r"(?=[^\s\"',;&\\}]*[A-Za-z])[^\s\"',;&\\}]{4,}"
_IS: Final = r"\s*(?:[:=]|%3D)\s*"

_NAME_SIGNS: Final = (
    *("pass", "pwd", "secret", "token", "credential"),
    *(f"{one}{between}key" for one in _KEYS for between in ("", "_", "-")),
)
# What stands between a name and its value, and the value; all in one pattern, as looking for names
# takes the most time.
_NAMED: Final = (
    rf"({_NAMES})(?:"
    + "|".join(
        (
            r"(\"\s*:\s*\")(?:[^\"\\]|\\.){4,}(?=\")",  # "token": "whatever"
            r"(\\\"\s*:\s*\\\")(?:[^\"\\]|\\\\(?:\\.|.)){4,}",  # JSON that is text in JSON
            rf"({_IS}\\?\")(?=[A-Za-z0-9])[^\"\\]+(?=\\?\")",  # password="two words"
            rf"({_IS}')(?=[A-Za-z0-9])[^'\"\\]+(?=')",
            rf"((?:\\?[\"'])?{_IS}(?:\\?[\"'])?){_VALUE}",  # password=…, token: …
        )
    )
    + ")"
)


def _late(pattern: str, flags: re.RegexFlag = re.NOFLAG) -> Callable[[], re.Pattern[str]]:
    """Compile a pattern when it is first used: that takes long, and few texts are suspicious."""
    return cache(partial(re.compile, pattern, flags))


# Each pattern with signs in small letters: in a text without one of them it finds nothing.
_PATTERNS: Final = (
    # scheme://user:password@host; what begins with signs that stand for themselves is found fast
    (("://",), _late(r"(://[^\s:/@\"\\]{0,128}:)[^\s@/\"\\]{1,256}(?=@)")),
    # Authorization: Bearer …, and the bare word in a log line
    (
        ("bearer", "basic"),
        _late(r"(\b(?:bearer|basic)\s+)[A-Za-z0-9._~+/=-]{8,}", _ANY_CASE),
    ),
    (
        ("authorization",),
        _late(
            rf"(authorization(?:\\?[\"'])?\s*[:=]\s*(?:\\?[\"'])?(?:[a-z0-9_-]{{1,20}}\s+)?){_NO_JSON}"
            r"[A-Za-z0-9._~+/=-]{8,}(?![A-Za-z0-9._~+/=-]|\s+\[redacted)",
            _ANY_CASE,
        ),
    ),
    (
        ("cookie",),
        _late(
            rf"(cookie(?:\\?[\"'])?\s*[:=]\s*(?:\\?[\"'])?){_NO_JSON}(?=[A-Za-z0-9_])"
            r"[^\"\\\r\n]{4,}",
            _ANY_CASE,
        ),
    ),
    (_NAME_SIGNS, _late(_NAMED, _ANY_CASE | re.DOTALL)),
    # --password …
    (_NAME_SIGNS, _late(rf"(--[a-z-]{{0,20}}{_NAMES} +)(?!-){_VALUE}", _ANY_CASE)),
    # a private key, whole or cut off
    (
        ("private key",),
        _late(
            r"-----BEGIN [A-Z ]*PRIVATE KEY-----(?:(?:[^\"-]|-(?!----))*"
            r"-----END [A-Z ]*PRIVATE KEY-----|(?:[A-Za-z0-9+/=\s]|\\{1,4}[nr])*)"
        ),
    ),
    # what is known by its form: keys of AWS, GitHub, GitLab, Slack, Google, Stripe, npm, Hugging
    # Face, Vault and models, signed addresses, and JSON web tokens
    (("akia", "asia"), _late(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b")),
    (("amz-",), _late(r"(amz-(?:signature|security-token)=)[A-Za-z0-9%/+=]{8,}", _ANY_CASE)),
    (
        ("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-"),
        _late(r"\b(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_\w{22,}|glpat-[\w-]{20,})", re.ASCII),
    ),
    (("xox",), _late(r"\bxox[abprs]-[A-Za-z0-9-]{10,}")),
    (("hooks.slack.com",), _late(r"(hooks\.slack\.com/services/)[A-Za-z0-9/_-]{8,}")),
    (
        ("aiza", "_live_", "_test_", "sk-ant-", "sk-proj-"),
        _late(
            r"\b(?:AIza[\w-]{35}|[sr]k_(?:live|test)_\w{16,}|sk-(?:ant|proj)-[\w-]{20,})",
            re.ASCII,
        ),
    ),
    (
        ("npm_", "hf_", "hvs."),
        _late(r"\b(?:npm_[A-Za-z0-9]{36}|hf_[A-Za-z0-9]{30,}|hvs\.[\w-]{20,})", re.ASCII),
    ),
    (
        ("eyj",),
        _late(
            r"(?<![A-Za-z0-9_-])(?=eyJ|[A-Za-z0-9_-]*?-eyJ)"
            r"[A-Za-z0-9_-]{11,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}"
        ),
    ),
)
_SIGNS: Final = tuple(
    dict.fromkeys(
        "key" if sign.endswith("key") else sign for signs, _ in _PATTERNS for sign in signs
    )
)
_SECRET_NAME: Final = _late(rf"{_NAMES}$", _ANY_CASE)


def redacted(text: str) -> str:
    """Return a text, such as JSON, without secrets; doing it again changes nothing.

    A text in which nothing is suspicious is returned itself, after a quick look.
    """
    folded = text.casefold()
    if not _is_suspicious(folded):
        return text
    for signs, pattern in _PATTERNS:
        if any(sign in folded for sign in signs):
            text = pattern().sub(_marked, text)
    return text


def _marked(found: re.Match[str]) -> str:
    """Return what stands before a secret, and the mark in its place."""
    return "".join(one for one in found.groups() if one) + MARK


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
            holds_secret(one) or bool(one and isinstance(one, str) and _SECRET_NAME().search(key))
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
    if _SECRET_NAME().search(key):
        return MARK
    return redacted(value) if isinstance(value, str) else value

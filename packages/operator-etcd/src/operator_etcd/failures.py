"""What etcd's own words say of the effect of a call."""

from operator_core.call_failures import (
    BusyError,
    CallFailure,
    FailureKind,
    GarbageError,
    NoAnswerError,
    RejectedError,
)

_UNCERTAIN = ("request timed out", "deadline exceeded", "server stopped", "leader changed")
_NO_TOKEN = ("user name is empty", "invalid auth token", "revision of auth store is old")
_NOT_ALLOWED = ("permission denied", "authentication failed")
"""Both are said before anything is done; of maintenance with the code of what is unknown."""
_ADVICE = "see the settings username and password_file, and the roles of that user"
_LATER = (
    "not leader",
    "no leader",
    "in sync with leader",
    "not enough started members",
    "unhealthy cluster",
    "space exceeded",
    "too many requests",
    "too many learner",
    "stalled",
)
_LATER_CODES = {8, 10, 14}
"""gRPC: resource exhausted, aborted, unavailable."""
_UNCERTAIN_CODES = {1, 2, 4, 13}
"""gRPC: cancelled, unknown, deadline exceeded, internal."""
_MAX_REASON = 300


class NoTokenError(RejectedError):
    """It was refused, before anything was done, for want of a valid token."""


def failure_from_answer(endpoint: str, status: int, code: int | None, reason: str) -> CallFailure:
    """Return what an error answer of etcd means for the effect.

    Args:
        endpoint: who answered.
        status: the HTTP status.
        code: the gRPC code of the body, if it had one.
        reason: etcd's own message.
    """
    text = " ".join(reason.split())[:_MAX_REASON] or f"HTTP status {status}"
    if any(words in text for words in (*_NO_TOKEN, *_NOT_ALLOWED)):
        return _not_allowed(endpoint, text)
    if any(words in text for words in _UNCERTAIN):
        return NoAnswerError(endpoint, FailureKind.UNCERTAIN, text)
    if any(words in text for words in _LATER) or code in _LATER_CODES:
        return BusyError(endpoint, FailureKind.BUSY, text)
    if code in _UNCERTAIN_CODES:
        return NoAnswerError(endpoint, FailureKind.UNCERTAIN, text)
    if code is None:
        return _failure_without_code(endpoint, status, text)
    return RejectedError(endpoint, FailureKind.REJECTED, text)


def _not_allowed(endpoint: str, text: str) -> RejectedError:
    wants_token = any(words in text for words in _NO_TOKEN)
    kind = NoTokenError if wants_token else RejectedError
    return kind(endpoint, FailureKind.REJECTED, f"{text}; {_ADVICE}")


def _failure_without_code(endpoint: str, status: int, text: str) -> CallFailure:
    """Judge by the status alone: a proxy's page, or a path that is not served."""
    if status in {429, 503}:
        return BusyError(endpoint, FailureKind.BUSY, text)
    if 400 <= status < 500:  # noqa: PLR2004 - the class of HTTP's client errors
        return RejectedError(endpoint, FailureKind.REJECTED, text)
    return GarbageError(endpoint, FailureKind.GARBAGE, f"HTTP status {status}: {text}")

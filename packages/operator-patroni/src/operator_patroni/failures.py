"""What Patroni's own words say of the effect of a call."""

from http import HTTPStatus

from operator_core.call_failures import (
    BusyError,
    CallFailure,
    FailureKind,
    NoAnswerError,
    RejectedError,
)

_UNCERTAIN = ("status unknown", "still starting", "restart in progress")
_NOT_NOW = {
    HTTPStatus.CONFLICT,
    HTTPStatus.PRECONDITION_FAILED,
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.SERVICE_UNAVAILABLE,
}
_NO_ENTRY = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}
_MAX_REASON = 300


def failure_from_answer(endpoint: str, status: int, text: str) -> CallFailure:
    """Return what an error answer means for the effect.

    Args:
        endpoint: who answered.
        status: the HTTP status.
        text: Patroni's own words.
    """
    reason = " ".join(text.split())[:_MAX_REASON] or f"HTTP status {status}"
    if any(words in reason for words in _UNCERTAIN):
        return NoAnswerError(endpoint, FailureKind.UNCERTAIN, reason)
    if status in _NOT_NOW:
        return BusyError(endpoint, FailureKind.BUSY, reason)
    if status in _NO_ENTRY:
        return RejectedError(
            endpoint,
            FailureKind.REJECTED,
            f"Patroni asks for credentials (HTTP status {status}): give the settings username and "
            "password_file, or a client certificate",
        )
    if HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR:
        return RejectedError(endpoint, FailureKind.REJECTED, reason)
    return NoAnswerError(endpoint, FailureKind.UNCERTAIN, f"HTTP status {status}: {reason}")

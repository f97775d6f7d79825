"""What a call to Patroni can end in, split by what it says of the effect."""

from enum import StrEnum
from http import HTTPStatus

from operator_core.errors import (
    ActionFailedError,
    ActionRefusedError,
    OutcomeUnknownError,
    SubjectError,
)


class FailureKind(StrEnum):
    """How a call failed; evidence for a diagnosis."""

    REFUSED = "refused"
    """Nobody listens at the address."""
    NO_NAME = "no_name"
    UNREACHABLE = "unreachable"
    """No route, or no connection in time."""
    TLS = "tls"
    TIMEOUT = "timeout"
    """Connected, and no answer came in time."""
    RESET = "reset"
    """The connection was cut: Patroni does so where it cannot ask its DCS."""
    GARBAGE = "garbage"
    """An answer that Patroni does not give."""
    BUSY = "busy"
    """Patroni says that it cannot do it now."""
    REJECTED = "rejected"
    """Patroni says that it will not do it."""
    UNCERTAIN = "uncertain"
    """Patroni itself does not know whether it was done."""


class PatroniFailure(SubjectError):  # noqa: N818 - the family's root; its members end in Error
    """A call to a Patroni endpoint that did not succeed."""

    def __init__(self, endpoint: str, kind: FailureKind, reason: str) -> None:
        """Keep the endpoint, the kind of failure and the reason in Patroni's own words."""
        super().__init__(f"{endpoint}: {reason}")
        self.endpoint = endpoint
        self.kind = kind
        self.reason = reason


class NotSentError(PatroniFailure, ActionFailedError):
    """The request surely never reached Patroni."""


class BusyError(PatroniFailure, ActionFailedError):
    """Patroni did not do it now; later it may."""


class RejectedError(PatroniFailure, ActionRefusedError):
    """Patroni refuses for good."""


class NoAnswerError(PatroniFailure, OutcomeUnknownError):
    """The request was sent and nobody knows what became of it."""


class GarbageError(PatroniFailure, OutcomeUnknownError):
    """Something answered that does not speak like Patroni."""


_UNCERTAIN = ("status unknown", "still starting", "restart in progress")
_NOT_NOW = {
    HTTPStatus.CONFLICT,
    HTTPStatus.PRECONDITION_FAILED,
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.SERVICE_UNAVAILABLE,
}
_NO_ENTRY = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}
_MAX_REASON = 300


def failure_from_answer(endpoint: str, status: int, text: str) -> PatroniFailure:
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

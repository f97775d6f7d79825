"""What a call to etcd can end in, split by what it says of the effect, in etcd's own words."""

from enum import StrEnum

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
    GARBAGE = "garbage"
    """An answer that etcd does not give."""
    BUSY = "busy"
    """etcd says that it cannot do it now."""
    REJECTED = "rejected"
    """etcd says that it will not do it."""
    UNCERTAIN = "uncertain"
    """etcd itself does not know whether it was done."""


class EtcdFailure(SubjectError):  # noqa: N818 - the family's root; its members end in Error
    """A call to an etcd endpoint that did not succeed."""

    def __init__(self, endpoint: str, kind: FailureKind, reason: str) -> None:
        """Keep the endpoint, the kind of failure and the reason in etcd's own words."""
        super().__init__(f"{endpoint}: {reason}")
        self.endpoint = endpoint
        self.kind = kind
        self.reason = reason


class NotSentError(EtcdFailure, ActionFailedError):
    """The request surely never reached etcd."""


class BusyError(EtcdFailure, ActionFailedError):
    """etcd did not do it now; later it may."""


class RejectedError(EtcdFailure, ActionRefusedError):
    """etcd refuses for good."""


class NoAnswerError(EtcdFailure, OutcomeUnknownError):
    """The request was sent and nobody knows what became of it."""


class GarbageError(EtcdFailure, OutcomeUnknownError):
    """Something answered that does not speak like etcd."""


_UNCERTAIN = ("request timed out", "deadline exceeded", "server stopped", "leader changed")
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


def failure_from_answer(endpoint: str, status: int, code: int | None, reason: str) -> EtcdFailure:
    """Return what an error answer of etcd means for the effect.

    Args:
        endpoint: who answered.
        status: the HTTP status.
        code: the gRPC code of the body, if it had one.
        reason: etcd's own message.
    """
    text = " ".join(reason.split())[:_MAX_REASON] or f"HTTP status {status}"
    if any(words in text for words in _UNCERTAIN):
        return NoAnswerError(endpoint, FailureKind.UNCERTAIN, text)
    if any(words in text for words in _LATER) or code in _LATER_CODES:
        return BusyError(endpoint, FailureKind.BUSY, text)
    if code in _UNCERTAIN_CODES:
        return NoAnswerError(endpoint, FailureKind.UNCERTAIN, text)
    if code is None:
        return _failure_without_code(endpoint, status, text)
    return RejectedError(endpoint, FailureKind.REJECTED, text)


def _failure_without_code(endpoint: str, status: int, text: str) -> EtcdFailure:
    """Judge by the status alone: a proxy's page, or a path that is not served."""
    if status in {429, 503}:
        return BusyError(endpoint, FailureKind.BUSY, text)
    if 400 <= status < 500:  # noqa: PLR2004 - the class of HTTP's client errors
        return RejectedError(endpoint, FailureKind.REJECTED, text)
    return GarbageError(endpoint, FailureKind.GARBAGE, f"HTTP status {status}: {text}")

"""What a call to a member of a cluster can end in, split by what it says of the effect.

A plugin decides which of its members' answers mean what; this is the family that it decides for.
"""

import errno
import socket
import ssl
from collections.abc import AsyncIterable
from enum import StrEnum

from operator_core.errors import (
    RAISE_LIMITS,
    ActionFailedError,
    ActionRefusedError,
    OutcomeUnknownError,
    SubjectError,
    SubjectUnreachableError,
)

_NO_MEANS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS})
_NO_MEANS_TO_FIND = frozenset({socket.EAI_MEMORY, socket.EAI_SYSTEM})
"""What a search for an address ends with where this process gets no more files or memory."""


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
    """The connection was cut."""
    GARBAGE = "garbage"
    """An answer that such a member does not give."""
    BUSY = "busy"
    """The member says that it cannot do it now."""
    REJECTED = "rejected"
    """The member says that it will not do it."""
    UNCERTAIN = "uncertain"
    """The member itself does not know whether it was done."""


class CallFailure(SubjectError):  # noqa: N818 - the family's root; its members end in Error
    """A call to an endpoint of a cluster that did not succeed."""

    def __init__(self, endpoint: str, kind: FailureKind, reason: str) -> None:
        """Keep the endpoint, the kind of failure and the reason in the member's own words."""
        super().__init__(f"{endpoint}: {reason}")
        self.endpoint = endpoint
        self.kind = kind
        self.reason = reason


class NotSentError(CallFailure, ActionFailedError):
    """The request surely never arrived."""


class BusyError(CallFailure, ActionFailedError):
    """It was not done now; later it may be."""


class RejectedError(CallFailure, ActionRefusedError):
    """It was refused for good."""


class NoAnswerError(CallFailure, OutcomeUnknownError):
    """The request was sent and nobody knows what became of it."""


class GarbageError(CallFailure, OutcomeUnknownError):
    """Something answered that does not speak like a member."""


class NoMeansError(SubjectUnreachableError, ActionFailedError):
    """This process could not begin the call, which says nothing about the cluster."""


def require_means(error: BaseException) -> None:
    """Go on where a call failed for another reason than what this process lacks.

    Args:
        error: as the HTTP client raised it.

    Raises:
        NoMeansError: it gets no more files or memory, so nothing was seen of the cluster.
    """
    for cause in _causes(error):
        limits = _NO_MEANS_TO_FIND if isinstance(cause, socket.gaierror) else _NO_MEANS
        if isinstance(cause, OSError) and cause.errno in limits:
            raise NoMeansError(
                f"This process gets no more files or memory ({cause.strerror}), so it sees "
                f"nothing. {RAISE_LIMITS}"
            ) from error


def no_connection(endpoint: str, error: Exception) -> NotSentError:
    """Return why no connection came about, as far as what caused the error tells.

    Args:
        endpoint: who was called.
        error: as the HTTP client raised it.

    Raises:
        NoMeansError: the reason lies in this process, and not at the endpoint.
    """
    require_means(error)
    for cause in _causes(error):
        if isinstance(cause, ConnectionRefusedError):
            return NotSentError(endpoint, FailureKind.REFUSED, "connection refused")
        if isinstance(cause, socket.gaierror):
            return NotSentError(endpoint, FailureKind.NO_NAME, "the host name is not known")
        if isinstance(cause, ssl.SSLError):
            return NotSentError(endpoint, FailureKind.TLS, f"TLS failed: {_of_tls(cause)}")
    return NotSentError(endpoint, FailureKind.UNREACHABLE, f"no connection: {error}")


def _of_tls(error: ssl.SSLError) -> str:
    """Return what is wrong, and where it is a certificate, what is wrong with it.

    Only OpenSSL itself gives an error these attributes.
    """
    found = getattr(error, "verify_message", "")
    reason = getattr(error, "reason", "") or str(error)
    return f"the certificate is refused: {found}" if found else reason


def _causes(error: BaseException) -> list[BaseException]:
    """Return the error and all that caused it, groups opened."""
    found: list[BaseException] = []
    waiting: list[BaseException | None] = [error]
    while waiting:
        one = waiting.pop()
        if one is None or one in found:
            continue
        found.append(one)
        waiting += [one.__cause__, one.__context__]
        if isinstance(one, BaseExceptionGroup):
            waiting += one.exceptions
    return found


async def read_bounded(endpoint: str, chunks: AsyncIterable[bytes], most_bytes: int) -> bytes:
    """Return an answer that comes in chunks, unless it is longer than any real one.

    Args:
        endpoint: who answers.
        chunks: the answer as it comes.
        most_bytes: more than this does not come from a member.

    Raises:
        GarbageError: it is longer.
    """
    content = bytearray()
    async for chunk in chunks:
        content += chunk
        if len(content) > most_bytes:
            reason = f"the answer is longer than {most_bytes} bytes"
            raise GarbageError(endpoint, FailureKind.GARBAGE, reason)
    return bytes(content)

"""What an attempt's end means: its outcome, its error in words, its result as JSON."""

import asyncio
from collections.abc import Iterator
from typing import NamedTuple

from operator_core.actions.readable import clean_text, cut, name_of, readable
from operator_core.actions.types import Outcome
from operator_core.contain import said
from operator_core.errors import (
    ActionFailedError,
    ActionRefusedError,
    OperatorError,
    OutcomeUnknownError,
    RequestError,
)

__all__ = ["Failure", "classify", "error_text", "readable"]

MAX_MESSAGE_CHARS = 2_000
_MAX_ERRORS_LOOKED_AT = 100
_MAX_CAUSES_TOLD = 3

_SAID = (OutcomeUnknownError, ActionFailedError, ActionRefusedError, RequestError)
"""Errors whose author knows what became of the effect."""

_SENT = (
    OutcomeUnknownError,
    TimeoutError,
    asyncio.CancelledError,
    ConnectionResetError,
    ConnectionAbortedError,
    BrokenPipeError,
    EOFError,
    MemoryError,
    RecursionError,
)
"""Errors after which the effect may have happened: it was sent, or being sent.

Memory and stack end anywhere, also while the answer is read: no author can promise where."""

# Client libraries have errors of their own, which core must not import; these names are
# shared by most. Taking one too many for "sent" costs a probe, one too few a second effect.
_SENT_NAMES = frozenset(
    {"IncompleteRead", "ReadError", "RemoteProtocolError", "ServerDisconnectedError", "WriteError"}
)

_NO_TEXT = {
    TimeoutError: "the call took too long",
    asyncio.CancelledError: "the call was cancelled",
    ConnectionRefusedError: "nothing listens at that address",
    ConnectionError: "the connection broke before an answer came",
    EOFError: "the connection ended before an answer came",
}


class Failure(NamedTuple):
    """Why an attempt did not succeed.

    Attributes:
        outcome: `Outcome.FAILED` (surely not done) or `Outcome.UNKNOWN` (nobody knows).
        permanent: trying again cannot help.
        message: the error in words, never empty, with the cluster's own reason.
    """

    outcome: Outcome
    permanent: bool
    message: str


def classify(error: BaseException) -> Failure:
    """Return what an attempt that ended with an error means.

    What the error's author says counts first. Otherwise a time-out, a cancellation or a
    broken connection, anywhere among the causes, means that nobody knows whether the effect
    happened. Everything else failed before its effect, as the port asks of subjects. A wrong
    call (`TypeError`) is permanent: waiting repairs no program.
    """
    if isinstance(error, _SAID):
        unknown = isinstance(error, OutcomeUnknownError)
        permanent = isinstance(error, ActionRefusedError | RequestError)
    else:
        unknown = any(map(_may_have_been_sent, _errors_behind(error)))
        permanent = not unknown and isinstance(error, TypeError | NotImplementedError)
    outcome = Outcome.UNKNOWN if unknown else Outcome.FAILED
    return Failure(outcome, permanent, error_text(error))


def error_text(error: BaseException) -> str:
    """Return an error in words: never empty, at most `MAX_MESSAGE_CHARS` characters.

    Includes what an error group holds, notes, and the causes that were named with ``from``.
    """
    texts = [_own_text(error), *_notes(error)]
    if isinstance(error, BaseExceptionGroup):
        texts += [_own_text(member) for member in error.exceptions[:_MAX_CAUSES_TOLD]]
    cause = error.__cause__
    for _ in range(_MAX_CAUSES_TOLD):
        if cause is None:
            break
        texts.append(_own_text(cause))
        cause = cause.__cause__
    told: list[str] = []
    for text in texts:
        if not any(text in earlier for earlier in told):
            told.append(text)
    return cut(clean_text("; because of: ".join(told)), MAX_MESSAGE_CHARS)


def _may_have_been_sent(error: BaseException) -> bool:
    if isinstance(error, _SENT) or not isinstance(error, Exception):
        return True
    names = {name_of(kind) for kind in type(error).__mro__}
    return bool(names & _SENT_NAMES) or any("Timeout" in name for name in names)


def _errors_behind(error: BaseException) -> Iterator[BaseException]:
    """Yield an error, its causes, what was being handled, and the members of groups."""
    waiting: list[BaseException | None] = [error]
    seen: set[int] = set()
    while waiting and len(seen) < _MAX_ERRORS_LOOKED_AT:
        one = waiting.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        if not isinstance(one, BaseExceptionGroup):
            yield one
        else:
            waiting += one.exceptions
        waiting += [one.__cause__, one.__context__]


def _own_text(error: BaseException) -> str:
    text = said(error).strip()
    if text and isinstance(error, OperatorError):
        return text
    return f"{name_of(type(error))}: {text or _standard_text(error)}"


def _standard_text(error: BaseException) -> str:
    for kind, text in _NO_TEXT.items():
        if isinstance(error, kind):
            return text
    return "no reason given"


def _notes(error: BaseException) -> list[str]:
    notes = getattr(error, "__notes__", None)
    return [note for note in notes if isinstance(note, str)] if isinstance(notes, list) else []

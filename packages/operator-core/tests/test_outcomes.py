"""What an error means for the effect: a time-out after sending is unknown, never failed."""

import asyncio
import ssl
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operator_core.actions.outcomes import MAX_MESSAGE_CHARS, classify, error_text
from operator_core.actions.types import Outcome
from operator_core.errors import (
    ActionFailedError,
    ActionRefusedError,
    ConfigurationError,
    OutcomeUnknownError,
    SubjectUnreachableError,
    UnknownActionError,
    ValidationError,
)

FAILED, UNKNOWN = Outcome.FAILED, Outcome.UNKNOWN


class ReadTimeout(Exception):  # noqa: N818 - named like the errors of client libraries
    """What a client library raises without a builtin among its causes."""


class RemoteProtocolError(Exception):
    """As above: the server hung up before it answered."""


class Mute(Exception):  # noqa: N818 - as above
    def __str__(self) -> str:
        raise RuntimeError("no text")


def wrapped(outer: BaseException, inner: BaseException) -> BaseException:
    """Return an error that was raised from another."""
    outer.__cause__ = inner
    return outer


def during(outer: BaseException, inner: BaseException) -> BaseException:
    """Return an error that was raised while another was handled, and hides it."""
    outer.__context__ = inner
    outer.__suppress_context__ = True
    return outer


@pytest.mark.parametrize(
    ("error", "outcome", "permanent"),
    [
        (ActionFailedError("region busy"), FAILED, False),
        (ActionRefusedError("store 9 not found"), FAILED, True),
        (UnknownActionError("x", []), FAILED, True),
        (ValidationError("x", ["bad"]), FAILED, True),
        (ConfigurationError("bad"), FAILED, True),
        (TypeError("drain() got an unexpected keyword argument"), FAILED, True),
        (NotImplementedError(), FAILED, True),
        (OutcomeUnknownError("no answer"), UNKNOWN, False),
        (TimeoutError(), UNKNOWN, False),
        (asyncio.CancelledError(), UNKNOWN, False),
        (ConnectionResetError(), UNKNOWN, False),
        (ConnectionAbortedError(), UNKNOWN, False),
        (BrokenPipeError(), UNKNOWN, False),
        (asyncio.IncompleteReadError(b"", 4), UNKNOWN, False),
        (KeyboardInterrupt(), UNKNOWN, False),
        (MemoryError(), UNKNOWN, False),
        (RecursionError(), UNKNOWN, False),
        (SystemExit(1), UNKNOWN, False),
        (ReadTimeout(), UNKNOWN, False),
        (RemoteProtocolError(), UNKNOWN, False),
        (ConnectionRefusedError(), FAILED, False),
        (SubjectUnreachableError("pd0 is away"), FAILED, False),
        (ssl.SSLError("bad certificate"), FAILED, False),
        (OSError(113, "No route to host"), FAILED, False),
        (RuntimeError("boom"), FAILED, False),
        (ValueError("garbage in the answer"), FAILED, False),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else None,
)
def test_what_an_error_means(error: BaseException, outcome: Outcome, permanent: bool) -> None:
    failure = classify(error)
    assert (failure.outcome, failure.permanent) == (outcome, permanent)
    assert failure.message


@pytest.mark.parametrize("link", [wrapped, during])
@pytest.mark.parametrize(
    "inner", [TimeoutError(), ConnectionResetError(), asyncio.CancelledError(), ReadTimeout()]
)
def test_a_time_out_that_a_client_library_wrapped_is_unknown(
    link: Callable[[BaseException, BaseException], BaseException], inner: BaseException
) -> None:
    error = link(RuntimeError("request failed"), link(OSError("transport"), inner))
    assert classify(error).outcome is UNKNOWN


def test_a_wrong_call_in_the_handling_of_a_time_out_is_unknown() -> None:
    failure = classify(during(TypeError("bad"), TimeoutError()))
    assert (failure.outcome, failure.permanent) == (UNKNOWN, False)


def test_a_refused_connection_that_was_wrapped_was_never_sent() -> None:
    error = wrapped(RuntimeError("request failed"), ConnectionRefusedError())
    assert classify(error).outcome is FAILED


def test_a_refused_connection_after_a_time_out_is_unknown() -> None:
    """The first try may have been sent; only the second one surely was not."""
    assert classify(during(ConnectionRefusedError(), TimeoutError())).outcome is UNKNOWN


def test_what_the_subjects_author_says_counts_before_the_causes() -> None:
    assert classify(wrapped(ActionFailedError("not done"), TimeoutError())).outcome is FAILED
    refused = classify(wrapped(ActionRefusedError("gone"), TimeoutError()))
    assert (refused.outcome, refused.permanent) == (FAILED, True)


def test_one_time_out_in_a_group_makes_it_unknown() -> None:
    group = ExceptionGroup("two calls", [ValueError("a"), ExceptionGroup("b", [TimeoutError()])])
    assert classify(group).outcome is UNKNOWN
    assert classify(ExceptionGroup("two calls", [ValueError("a")])).outcome is FAILED


def test_a_chain_that_bites_its_tail_ends() -> None:
    one, other = RuntimeError("a"), RuntimeError("b")
    one.__cause__, other.__cause__ = other, one
    assert classify(one).outcome is FAILED


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (TimeoutError(), "TimeoutError: the call took too long"),
        (asyncio.CancelledError(), "CancelledError: the call was cancelled"),
        (
            ConnectionResetError(),
            "ConnectionResetError: the connection broke before an answer came",
        ),
        (ConnectionRefusedError(), "ConnectionRefusedError: nothing listens at that address"),
        (RuntimeError(), "RuntimeError: no reason given"),
        (RuntimeError("  \n "), "RuntimeError: no reason given"),
        (Mute(), "Mute: no reason given"),
        (ActionFailedError(), "ActionFailedError: no reason given"),
        (ActionFailedError("PD says: store 4 is busy"), "PD says: store 4 is busy"),
        (KeyError("x"), "KeyError: 'x'"),
    ],
    ids=repr,
)
def test_a_message_is_never_empty(error: BaseException, text: str) -> None:
    assert classify(error).message == text


def test_the_clusters_own_reason_is_kept() -> None:
    cause = ValueError("PD: region 4 has no leader")
    assert error_text(wrapped(RuntimeError("400 Bad Request"), cause)) == (
        "RuntimeError: 400 Bad Request; because of: ValueError: PD: region 4 has no leader"
    )


def test_a_cause_that_the_message_repeats_is_told_once() -> None:
    error = wrapped(ActionFailedError("no: ValueError: busy"), ValueError("busy"))
    assert error_text(error) == "no: ValueError: busy"


def test_notes_and_the_members_of_a_group_are_told() -> None:
    error = ExceptionGroup("calls", [ValueError("a"), ValueError("b")])
    error.add_note("while draining store 4")
    text = error_text(error)
    for part in ("calls", "while draining store 4", "ValueError: a", "ValueError: b"):
        assert part in text


def test_a_long_message_is_cut_with_a_mark() -> None:
    message = classify(RuntimeError("x" * 5_000)).message
    assert len(message) == MAX_MESSAGE_CHARS
    assert message.endswith("[cut]")


@given(st.text(st.characters()), st.text(st.characters()))
def test_any_text_becomes_a_message_that_a_ledger_can_store(text: str, cause: str) -> None:
    message = error_text(wrapped(RuntimeError(text), ValueError(cause)))
    assert 0 < len(message) <= MAX_MESSAGE_CHARS
    assert "\x00" not in message
    message.encode("utf-8")

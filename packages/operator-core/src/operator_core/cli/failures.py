"""What a failed command says and how it exits: one line on stderr, never a traceback."""

import errno
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import typer

from operator_core.cli.text import one_line
from operator_core.errors import (
    RAISE_LIMITS,
    ConflictError,
    LedgerError,
    NotFoundError,
    OperatorError,
    RefusedError,
    RequestError,
    SubjectError,
)
from operator_core.visible import visible

EXIT_WRONG = 1
"""Something was looked at and found wrong, as `operator doctor` does."""
EXIT_FAULT = 70
"""A fault of Operator itself."""
EXIT_INTERRUPTED = 130

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EBADF})
"""What a write to a full disk, or to an output that was closed, ends with."""

_NO_MEANS = frozenset({errno.ENOMEM, errno.EAGAIN, errno.EMFILE, errno.ENFILE})
_NO_THREAD = "can't start new thread"
"""What the interpreter says of that, in an error of no type of its own."""

_FROM_PYDANTIC = "Value error, "
"""What pydantic puts before the words about an argument; it tells a person nothing."""

_MAX_MESSAGE_CHARS = 4_000
_EXIT_CODES: dict[type[OperatorError], int] = {
    RequestError: 2,
    RefusedError: 3,
    ConflictError: 4,
    LedgerError: 5,
    SubjectError: 6,
}
_LISTED_BY = {
    "Lease": "effects list",
    "Proposal": "actions list",
    "Schedule": "schedules list",
    "Snooze": "snooze list",
    "Subject": "connect",
    "Ticket": "tickets list --all",
    "Workflow": "workflows list",
}
"""What is not found, and the command that shows which there are."""
EXIT_CODES_HELP = (
    "Exit codes: 0 done, 1 something is wrong, 2 change the request, 3 a gate is closed, "
    "4 somebody else was first, 5 the ledger needs care, 6 the cluster did not do it, "
    "70 a fault in Operator."
)


def exit_code_of(error: OperatorError) -> int:
    """Return the exit code that tells a script what to do next."""
    codes = (code for kind, code in _EXIT_CODES.items() if isinstance(error, kind))
    return next(codes, EXIT_WRONG)


@contextmanager
def told(*, debug: bool) -> Iterator[None]:
    """Turn errors into one line on stderr and an exit code.

    Args:
        debug: show the traceback of an error as well.
    """
    try:
        yield
    except OperatorError as error:
        _fail(f"Error: {_words_of(error)}", exit_code_of(error), debug=debug)
    except KeyboardInterrupt:
        _fail("Interrupted.", EXIT_INTERRUPTED, debug=debug)
    except typer.BadParameter as error:
        error.message = error.message.removeprefix(_FROM_PYDANTIC)
        raise
    except (typer.Exit, typer.Abort, typer.TyperException, BrokenPipeError):
        raise
    except Exception as error:  # noqa: BLE001 - the last place that can put it into words
        words = words_of_no_output(error) or _words_of_no_means(error)
        if words is None:
            _fault(error, debug=debug)
        _fail(words, EXIT_WRONG, debug=debug)


def words_of_no_output(error: Exception) -> str | None:
    """Return what is said where nothing can be printed; None: this is another error."""
    if not isinstance(error, OSError) or error.errno not in _NO_ROOM or error.filename is not None:
        return None
    return f"Error: the output cannot be written: {error.strerror}."


def _words_of_no_means(error: Exception) -> str | None:
    """Return what is said where this process gets no more; None: this is another error."""
    refused = isinstance(error, OSError) and error.errno in _NO_MEANS
    if not refused and not isinstance(error, MemoryError) and _NO_THREAD not in str(error):
        return None
    return (
        f"Error: this process gets no more memory, threads or files ({_reason_of(error)}). "
        f"{RAISE_LIMITS}"
    )


def _words_of(error: OperatorError) -> str:
    if isinstance(error, NotFoundError) and error.kind in _LISTED_BY:
        command = _LISTED_BY[error.kind]
        return f"{error.kind} {error.key} not found: `operator {command}` shows which there are."
    return str(error)


def _fault(error: Exception, *, debug: bool) -> NoReturn:
    hint = "This is a fault in Operator; `operator --debug ...` shows where."
    _fail(f"Error: {_reason_of(error)} ({hint})", EXIT_FAULT, debug=debug)


def _reason_of(error: Exception) -> str:
    return one_line(f"{type(error).__name__}: {error}").removesuffix(":")


def _fail(message: str, code: int, *, debug: bool) -> NoReturn:
    if debug:
        sys.stderr.write(visible(traceback.format_exc()))
    typer.echo(one_line(message, _MAX_MESSAGE_CHARS), err=True)
    raise typer.Exit(code)

"""How a process of the command line leaves: what others' code has left behind does not keep it.

A call of a subject that hangs in a thread would: the interpreter waits for it, and nobody starts an
Operator again whose process is still there.
"""

import os
import sys
import threading
from collections.abc import Coroutine
from functools import partial

import typer

from operator_core.cli.failures import EXIT_FAULT, EXIT_INTERRUPTED, exit_code_of
from operator_core.errors import OperatorError
from operator_core.visible import visible

LONGEST_SECONDS = 10.0
"""How long a process stays once its work has ended."""


class _Process:
    """Whether this is a process of the command line's own, as `main` says."""

    is_own = False


def is_own_process() -> None:
    """Say that this process is here for one command, and may be ended with it."""
    _Process.is_own = True


async def leaving(work: Coroutine[object, object, None]) -> None:
    """Run a command to its end, and see that its process ends then."""
    from operator_core.contain import said  # noqa: PLC0415 - `--help` needs no event loop

    code, why = 0, ""
    try:
        await work
    except BaseException as error:
        code, why = _code_of(error), said(error)
        raise
    finally:
        if _Process.is_own:
            _end_later(code, why)


def _code_of(error: BaseException) -> int:
    if isinstance(error, OperatorError):
        return exit_code_of(error)
    if isinstance(error, typer.Exit):
        return error.exit_code
    return EXIT_INTERRUPTED if isinstance(error, KeyboardInterrupt) else EXIT_FAULT


def _end_later(code: int, why: str) -> None:
    timer = threading.Timer(LONGEST_SECONDS, partial(_end, code, why))
    timer.daemon = True  # where nothing was left behind, the process is gone before
    timer.start()


def _end(code: int, why: str) -> None:
    names = [one.name for one in threading.enumerate() if not one.daemon]
    left = f"A thread was left behind and is not waited for: {', '.join(names)}."
    sys.stderr.write(visible(f"{left} {why}".rstrip()) + "\n")
    sys.stderr.flush()
    os._exit(code)

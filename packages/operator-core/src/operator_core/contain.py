"""Code of others, kept from ending more than itself."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from operator_core.errors import SubjectError

Found = TypeVar("Found")


async def contained(work: Awaitable[Found]) -> Found:
    """Await code of a subject; what would end or cancel its caller becomes an error of its own.

    A `SystemExit` in a task ends the whole event loop, and a `CancelledError` that nobody asked
    for, as cancel scopes of client libraries leak it, looks like a request to stop. Ctrl-C stays
    what it is.

    Args:
        work: a call of the subject.

    Raises:
        SubjectError: it raised what is no `Exception`, or was cancelled from within.
        Exception: whatever else it raised.
    """
    try:
        return await work
    except asyncio.CancelledError as error:
        if _is_asked_to_stop():
            raise
        raise SubjectError("The subject's code was cancelled from within.") from error
    except (Exception, KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:
        raise SubjectError("The subject's code raised what would end this process.") from error


def said(error: BaseException) -> str:
    """Return what an error says; nothing where its own code fails to, however it does."""
    try:
        return str(error)
    except KeyboardInterrupt:
        raise
    except BaseException:  # noqa: BLE001 - the text of a foreign error may raise anything
        return ""


def _is_asked_to_stop() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0

"""Log lines of the machines: an event and its facts, through the standard library.

A library for logging took as long to load as a fifth of all else that a start loads, and what
embeds Operator handles the standard library's lines already.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

ROOT = "operator"
"""The logger above those of all modules."""

FACTS = "facts"
"""The attribute of a line's record that holds its facts."""

_silenced: ContextVar[bool] = ContextVar("silenced", default=False)


class Logger:
    """A module's logger."""

    def __init__(self, name: str) -> None:
        """Take the module's name."""
        self._logger = logging.getLogger(f"{ROOT}.{name}")

    def debug(self, event: str, **facts: object) -> None:
        """Tell what only helps to find a fault."""
        self._write(logging.DEBUG, event, facts)

    def info(self, event: str, **facts: object) -> None:
        """Tell what is as it should be."""
        self._write(logging.INFO, event, facts)

    def warning(self, event: str, **facts: object) -> None:
        """Tell what somebody may have to look at."""
        self._write(logging.WARNING, event, facts)

    def error(self, event: str, **facts: object) -> None:
        """Tell what went wrong."""
        self._write(logging.ERROR, event, facts)

    def exception(self, event: str, **facts: object) -> None:
        """Tell what went wrong, with the traceback of the error that is being handled."""
        self._write(logging.ERROR, event, facts, traceback=True)

    def critical(self, event: str, **facts: object) -> None:
        """Tell what somebody must look at now."""
        self._write(logging.CRITICAL, event, facts)

    def _write(
        self, level: int, event: str, facts: dict[str, object], *, traceback: bool = False
    ) -> None:
        if self._logger.isEnabledFor(level) and not _silenced.get():
            told = [event, *(f"{name}={value}" for name, value in facts.items())]
            self._logger.log(level, "%s", " ".join(told), exc_info=traceback, extra={FACTS: facts})


def get_logger(name: str) -> Logger:
    """Return the logger of a module."""
    return Logger(name)


@contextmanager
def silenced() -> Iterator[None]:
    """Write no line of what this task, and the tasks that it starts, do meanwhile.

    What is tried on a scratch ledger would read as if it were done to a cluster.
    """
    token = _silenced.set(True)
    try:
        yield
    finally:
        _silenced.reset(token)


def tell_from(level: int) -> None:
    """Let through what is at least as grave as a level of the standard library."""
    logging.getLogger(ROOT).setLevel(level)

"""Where the machines' own log lines go: to stderr, never between the data."""

import logging
import math
import sys
from collections import Counter

from operator_core.agent.redact import redacted
from operator_core.cli.text import one_line
from operator_core.clock import local_now, monotonic_seconds
from operator_core.logs import FACTS, ROOT, tell_from

_MAX_LINE_CHARS = 2_000
_REPEATED_EACH_SECONDS = 60.0
_MAX_REPEATS = 1_000


def configure_logs(*, debug: bool) -> None:
    """Send log lines to stderr: warnings alone and without tracebacks, or everything.

    Args:
        debug: everything.
    """
    logging.getLogger(ROOT).handlers = [_Stderr(tracebacks=debug)]
    tell_from(logging.DEBUG if debug else logging.WARNING)


class _Stderr(logging.Handler):
    """Writes lines to stderr as it is now; a reader that went away stops no action."""

    def __init__(self, *, tracebacks: bool) -> None:
        super().__init__()
        self._tracebacks = tracebacks
        if not tracebacks:
            self.addFilter(_Repeats())

    def emit(self, record: logging.LogRecord) -> None:
        try:
            print(self.format(record), file=sys.stderr, flush=True)  # noqa: T201 - the log's end
        except (OSError, ValueError):
            return  # nobody reads the log any more: what runs goes on, the audit tells the rest

    def format(self, record: logging.LogRecord) -> str:
        facts: dict[str, object] = getattr(record, FACTS, {})
        event = record.getMessage().split(" ", maxsplit=1)[0]
        told = [f"{name}={one_line(value)}" for name, value in facts.items()]
        head = [f"{local_now():%Y-%m-%dT%H:%M:%S.%f}", record.levelname.lower(), event]
        line = one_line(" ".join([*head, *told]), _MAX_LINE_CHARS)
        if not (self._tracebacks and record.exc_info):
            return redacted(line)
        return redacted(f"{line}\n{logging.Formatter().formatException(record.exc_info)}")


class _Repeats(logging.Filter):
    """Lets a line through once a minute, with how often it was held back before.

    A cluster or a ledger that is away for a night is tried again and again, and fails in the same
    words.
    """

    def __init__(self) -> None:
        super().__init__()
        self._told_seconds: dict[str, float] = {}
        self._repeats: Counter[str] = Counter()

    def filter(self, record: logging.LogRecord) -> bool:
        line, now_seconds = record.getMessage(), monotonic_seconds()
        if now_seconds - self._told_seconds.get(line, -math.inf) < _REPEATED_EACH_SECONDS:
            self._repeats[line] += 1
            return False
        if repeats := self._repeats.pop(line, 0):
            record.__dict__[FACTS] = {**getattr(record, FACTS, {}), "repeats": repeats}
        self._remember(line, now_seconds)
        return True

    def _remember(self, line: str, now_seconds: float) -> None:
        self._told_seconds.pop(line, None)  # so that the first is the oldest
        self._told_seconds[line] = now_seconds
        if len(self._told_seconds) > _MAX_REPEATS:
            oldest = next(iter(self._told_seconds))
            del self._told_seconds[oldest]
            self._repeats.pop(oldest, None)

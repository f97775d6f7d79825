"""Where the machines' own log lines go: to stderr, never between the data."""

import logging
import sys

from operator_core.agent.redact import redacted
from operator_core.cli.text import one_line
from operator_core.clock import local_now
from operator_core.logs import ROOT, tell_from

_MAX_LINE_CHARS = 2_000


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

    def emit(self, record: logging.LogRecord) -> None:
        try:
            print(self.format(record), file=sys.stderr, flush=True)  # noqa: T201 - the log's end
        except (OSError, ValueError):
            return  # nobody reads the log any more: what runs goes on, the audit tells the rest

    def format(self, record: logging.LogRecord) -> str:
        facts: dict[str, object] = getattr(record, "facts", {})
        event = record.getMessage().split(" ", maxsplit=1)[0]
        told = [f"{name}={one_line(value)}" for name, value in facts.items()]
        head = [f"{local_now():%Y-%m-%dT%H:%M:%S.%f}", record.levelname.lower(), event]
        line = one_line(" ".join([*head, *told]), _MAX_LINE_CHARS)
        if not (self._tracebacks and record.exc_info):
            return redacted(line)
        return redacted(f"{line}\n{logging.Formatter().formatException(record.exc_info)}")

"""Where the machines' own log lines go: to stderr, never between the data."""

import logging
import sys
from collections.abc import MutableMapping

import structlog

from operator_core.agent.redact import redacted
from operator_core.cli.text import one_line


def configure_logs(*, debug: bool) -> None:
    """Send log lines to stderr: warnings alone and without tracebacks, or everything.

    Args:
        debug: everything.
    """
    traces = [structlog.processors.format_exc_info] if debug else [_without_trace]
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=False),
            *traces,
            _line,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.DEBUG if debug else logging.WARNING
        ),
        logger_factory=_Stderr,
        cache_logger_on_first_use=False,
    )


Event = MutableMapping[str, object]


class _Stderr:
    """Writes lines to stderr as it is now; a reader that went away stops no action."""

    def __init__(self, *_: object) -> None:
        return

    def msg(self, message: str) -> None:
        try:
            print(message, file=sys.stderr, flush=True)  # noqa: T201 - this is the log's end
        except (OSError, ValueError):
            return  # nobody reads the log any more: what runs goes on, the audit tells the rest

    debug = info = warning = warn = error = critical = exception = fatal = msg


def _without_trace(_logger: object, _method: str, event: Event) -> Event:
    event.pop("exc_info", None)
    return event


def _line(_logger: object, _method: str, event: Event) -> str:
    trace = event.pop("exception", None)
    first = [str(event.pop(name, "")) for name in ("timestamp", "level", "event")]
    rest = [f"{name}={one_line(value)}" for name, value in event.items()]
    lines = [one_line(" ".join([*first, *rest]), 2_000), *([str(trace)] if trace else [])]
    return redacted("\n".join(lines))

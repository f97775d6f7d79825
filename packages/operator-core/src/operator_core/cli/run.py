"""`operator up`, `operator monitor run`, `operator agent start`: the loop, in the foreground."""

import json
import math
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from operator_core.cli.context import Session, command, new_app, new_group
from operator_core.cli.keeping import KeepAround, KeepDays, KeepMib, retention
from operator_core.cli.logs import configure_logs
from operator_core.cli.text import local_time
from operator_core.clock import to_text, utc_now
from operator_core.config import (
    DEFAULT_LEASE_SECONDS,
    POLICY_VARIABLE,
    approval_mode,
    policy_file,
)
from operator_core.errors import RequestError
from operator_core.monitor.config import DEFAULT_SOAK_SECONDS
from operator_core.runtime.options import RunOptions
from operator_core.runtime.supervisor import run as run_loop
from operator_core.visible import visible

up_app = new_app()
monitor_app = new_group(
    """The monitor: watches clusters and opens tickets; it never acts.

    Example:
      operator monitor run

    Next: operator tickets list
    """
)
agent_app = new_group(
    """The agent: diagnoses tickets, proposes, and does what is approved.

    Example:
      operator agent start

    Next: operator actions list
    """
)

Interval = Annotated[
    float, typer.Option("--interval-seconds", help="Pause between two looks at a cluster.")
]
Subjects = Annotated[
    list[str] | None,
    typer.Option("--subject", help="Only this cluster; may be given again. All, if not given."),
]
Approval = Annotated[
    bool | None,
    typer.Option(
        "--approval/--no-approval",
        help="Whether a person must approve; if not given, as OPERATOR_APPROVAL_MODE says, "
        "and yes if that is not set.",
        show_default=False,
    ),
]
Lifetime = Annotated[
    float | None, typer.Option("--lifetime-seconds", help="End after so long.", show_default=False)
]
EndsWithParent = Annotated[
    bool,
    typer.Option("--ends-with-parent", hidden=True, help="Stop when its starter is gone."),
]
Lease = Annotated[
    float,
    typer.Option(
        "--lease-seconds",
        help="How long a claim holds without being renewed: after so long another process "
        "takes over the work of one that died.",
    ),
]
PolicyFile = Annotated[
    Path | None,
    typer.Option(
        "--policy",
        help=f"The policy's file ({POLICY_VARIABLE} in the environment); if none is given, the "
        "policy in force stays, and where none is, the shipped one comes into force.",
        show_default=False,
    ),
]
Soak = Annotated[
    float,
    typer.Option(
        "--soak-seconds",
        help="How long a problem must be gone, and nothing else be broken, before its remedy is "
        "verified.",
    ),
]
DEFAULT_INTERVAL_SECONDS = 5.0


@command(up_app, "up", ledger=False)
async def up(  # noqa: PLR0913 - its options
    session: Session,
    *,
    interval_seconds: Interval = DEFAULT_INTERVAL_SECONDS,
    approval: Approval = None,
    policy: PolicyFile = None,
    subject: Subjects = None,
    lease_seconds: Lease = DEFAULT_LEASE_SECONDS,
    keep_mib: KeepMib = None,
    keep_days: KeepDays = None,
    keep_around_minutes: KeepAround = None,
    soak_seconds: Soak = DEFAULT_SOAK_SECONDS,
    lifetime_seconds: Lifetime = None,
    ends_with_parent: EndsWithParent = False,
) -> None:
    """Run monitor, agent and executor in one process, until you stop it.

    Ctrl-C or SIGTERM drains: nothing new starts, and what runs is waited
    for. It acts only in execute mode, see `operator mode`.

    Example:
      operator up
      operator up --no-approval --subject staging

    Next: operator tickets list, in another terminal
    """
    await _run(
        session,
        RunOptions(
            interval_seconds=_seconds(interval_seconds, "--interval-seconds"),
            require_approval=_approval(approval),
            policy=policy or policy_file(),
            subjects=tuple(subject or ()),
            lease_seconds=_seconds(lease_seconds, "--lease-seconds"),
            soak_seconds=_seconds(soak_seconds, "--soak-seconds"),
            ends_with_parent=ends_with_parent,
            retention=retention(keep_mib, keep_days, keep_around_minutes),
            lifetime_seconds=_lifetime(lifetime_seconds),
            on_event=_teller(session),
        ),
    )


@command(monitor_app, "run", ledger=False)
async def run_monitor(
    session: Session,
    *,
    interval_seconds: Interval = DEFAULT_INTERVAL_SECONDS,
    subject: Subjects = None,
    keep_mib: KeepMib = None,
    keep_days: KeepDays = None,
    keep_around_minutes: KeepAround = None,
    soak_seconds: Soak = DEFAULT_SOAK_SECONDS,
    lifetime_seconds: Lifetime = None,
) -> None:
    """Watch clusters, open tickets and resolve those that are gone.

    Example:
      operator monitor run --subject prod --interval-seconds 10

    Next: operator tickets list, in another terminal
    """
    await _run(
        session,
        RunOptions(
            agent=False,
            interval_seconds=_seconds(interval_seconds, "--interval-seconds"),
            soak_seconds=_seconds(soak_seconds, "--soak-seconds"),
            subjects=tuple(subject or ()),
            retention=retention(keep_mib, keep_days, keep_around_minutes),
            lifetime_seconds=_lifetime(lifetime_seconds),
            on_event=_teller(session),
        ),
    )


@command(agent_app, "start", ledger=False)
async def start_agent(
    session: Session,
    *,
    approval: Approval = None,
    policy: PolicyFile = None,
    subject: Subjects = None,
    lease_seconds: Lease = DEFAULT_LEASE_SECONDS,
    lifetime_seconds: Lifetime = None,
) -> None:
    """Diagnose tickets, propose remedies, and do what is approved.

    Example:
      operator agent start

    Next: operator actions list, in another terminal
    """
    await _run(
        session,
        RunOptions(
            monitor=False,
            require_approval=_approval(approval),
            policy=policy or policy_file(),
            subjects=tuple(subject or ()),
            lease_seconds=_seconds(lease_seconds, "--lease-seconds"),
            lifetime_seconds=_lifetime(lifetime_seconds),
            on_event=_teller(session),
        ),
    )


async def _run(session: Session, options: RunOptions) -> None:
    configure_logs(debug=session.debug)
    await run_loop(session.db_path, options)


def _approval(given: bool | None) -> bool:
    """Return whether a person approves: as given, as the environment says, else yes."""
    return approval_mode(otherwise=True) if given is None else given


def _lifetime(seconds: float | None) -> float | None:
    return None if seconds is None else _seconds(seconds, "--lifetime-seconds")


def _seconds(value: float, what: str) -> float:
    if not math.isfinite(value) or value <= 0:
        raise RequestError(f"{what} must be a number of seconds greater than 0, not {value}.")
    return value


def _teller(session: Session) -> Callable[[str], None]:
    """Return what prints an event: a line for people, or one JSON object a line.

    Where that cannot be printed, as on a full disk, the work is worth more than the line.
    """

    def tell(line: str) -> None:
        now = utc_now()
        with suppress(OSError):
            if session.json:
                typer.echo(json.dumps({"at": to_text(now), "event": line}))
            else:
                typer.echo(f"{local_time(now)}  {visible(line)}")

    return tell

"""`operator mode`, `operator kill`, `operator audit`: the switch and the proof."""

from functools import partial
from typing import Annotated

import typer
from rich.console import RenderableType

from operator_core.actions.types import ActionProposal, ActionStatus
from operator_core.cli.context import (
    PAGE,
    After,
    Limit,
    Session,
    command,
    new_app,
    new_group,
    note,
    show,
)
from operator_core.cli.failures import EXIT_WRONG
from operator_core.cli.render import facts, hint, stacked
from operator_core.cli.text import given
from operator_core.cli.views import event_table, proposal_table, said
from operator_core.clock import SYSTEM_CLOCK, monotonic_seconds
from operator_core.db.actions import ActionDB
from operator_core.db.control import ControlDB
from operator_core.db.safety import KillReport, SafetyState
from operator_core.errors import LedgerAwayError
from operator_core.types import RunMode

mode_app = new_app()
kill_app = new_app()
audit_app = new_group(
    """The audit: who did what, when. It cannot be rewritten unseen.

    Example:
      operator audit list --last 20

    Next: operator audit verify
    """
)

_LOOK_SECONDS = 0.05
_IDS = 20
"""How many ids are shown of each kind; `--json` tells all."""


@command(mode_app, "mode", ledger=False)
async def mode(
    session: Session,
    wanted: Annotated[
        RunMode | None,
        typer.Argument(metavar="MODE", help="observe or execute.", show_default=False),
    ] = None,
) -> None:
    """Show whether Operator may act, or set it for all processes at once.

    In observe mode it watches, diagnoses and recommends. In execute mode
    it does what is approved; setting execute also lifts the kill switch.

    Example:
      operator mode
      operator mode execute

    Next: operator up
    """
    if wanted is None and not session.ledger_exists:
        state = SafetyState()
    else:
        async with ControlDB(session.db_path) as db:
            if wanted is not None:
                await db.set_mode(wanted, actor=session.person)
            state = await db.safety_state()
    show(session, state._asdict(), lambda: stacked(_switch(state), hint(_next_of(state))))


def _switch(state: SafetyState) -> RenderableType:
    return facts(
        "Mode",
        {
            "mode": state.mode,
            "set by": state.changed_by or "nobody yet; observe is the default",
            "set at": state.changed_at,
            "kill switch": "on" if state.killed_at else "off",
            "killed by": state.killed_by,
            "killed at": state.killed_at,
            "killed because": state.kill_reason,
        },
    )


def _next_of(state: SafetyState) -> str:
    if state.killed_at is not None:
        return "Everything is stopped. `operator mode execute` lifts the kill switch."
    if state.mode is RunMode.OBSERVE:
        return "Operator looks and recommends. `operator mode execute` lets it act."
    return "Operator acts on what is approved. `operator mode observe` or `operator kill` stop it."


@command(kill_app, "kill")
async def kill(
    session: Session,
    reason: Annotated[str, typer.Option("--reason", "-r", help="Why.")] = "stopped by hand",
    wait: Annotated[
        float, typer.Option("--wait", min=0, max=60, help="Seconds to wait for running calls.")
    ] = 1.0,
    within: Annotated[
        float,
        typer.Option(
            "--within",
            min=0,
            max=86_400,
            help="Seconds to try again while the ledger is away, busy or full.",
        ),
    ] = 600.0,
) -> None:
    """Stop everything: no new action starts, what waits is cancelled.

    Running calls are asked to stop; those that could not be stopped in
    time are listed. The switch holds for all processes, also after a
    restart, until somebody sets the mode to execute.

    While the ledger is away, busy or full it says so, and tries again
    until the switch is on.

    Example:
      operator kill --reason "wrong cluster"

    Next: operator mode
    """
    report = await _pulled(session, given(reason, "--reason"), within)
    async with ActionDB(session.db_path) as db:
        left = await _left_running(db, wait)
    data = {"killed": True, "report": report._asdict(), "not_stopped": left}
    show(session, data, lambda: _killed(report, left))


async def _pulled(session: Session, why: str, within_seconds: float) -> KillReport:
    """Pull the switch, and again while the ledger cannot be written.

    Raises:
        LedgerError: it is not pulled, and waiting does not help or was given up.
    """
    import asyncio  # noqa: PLC0415 - `--help` needs no event loop

    from operator_core.runtime.loops import (  # noqa: PLC0415 - likewise
        end_after,
        ended_by,
        once_usable,
        signals,
    )

    stop = asyncio.Event()
    async with signals(stop), ended_by(stop, [end_after(within_seconds, stop)]):
        report = await once_usable(partial(_pull, session, why), stop, _not_yet)
    if report is None:
        raise LedgerAwayError(
            "The kill switch is not on: the ledger could not be written. To stop an Operator "
            "now, end its process."
        )
    return report


async def _pull(session: Session, why: str) -> KillReport:
    async with ControlDB(session.db_path) as db:
        return await db.kill(actor=session.person, reason=why)


def _not_yet(trouble: str) -> None:
    note(
        f"The kill switch is not on yet; {trouble} Ctrl-C gives up. An Operator that reaches the "
        "ledger works on meanwhile: end its process to stop it now."
    )


async def _left_running(db: ActionDB, wait_seconds: float) -> list[ActionProposal]:
    """Return what still runs, or is in doubt, after waiting for it to stop."""
    end = monotonic_seconds() + wait_seconds
    while True:
        left = await db.list_proposals(ActionStatus.EXECUTING)
        stoppable = [one for one in left if not one.in_doubt]
        if not stoppable or monotonic_seconds() >= end:
            return left
        await SYSTEM_CLOCK.sleep(_LOOK_SECONDS)


def _killed(report: KillReport, left: list[ActionProposal]) -> RenderableType:
    panel = facts(
        "Kill switch is on",
        {
            "actions cancelled": _ids(report.cancelled),
            "retries dropped": _ids(report.retries_dropped),
            "workflows cancelled": _ids(report.workflows_cancelled),
            "asked to stop": _ids(report.running),
            "could not be stopped": _ids(tuple(one.id or 0 for one in left)),
        },
    )
    if not left:
        return stacked(
            panel, hint("Nothing runs. `operator mode execute` lets Operator act again.")
        )
    return stacked(
        panel,
        proposal_table(left, "Not stopped: look at the cluster"),
        hint(
            "Next: operator actions show ID, then operator actions settle ID --done or --not-done"
        ),
    )


def _ids(ids: tuple[int, ...]) -> str:
    more = f", and {len(ids) - _IDS:,} more" if len(ids) > _IDS else ""
    return ", ".join(map(str, ids[:_IDS])) + more or "none"


# --- audit ----------------------------------------------------------------------------


@command(audit_app, "list", reads=True)
async def list_events(
    session: Session,
    *,
    ticket: Annotated[int | None, typer.Option("--ticket", min=1, max=2**63 - 1)] = None,
    action: Annotated[int | None, typer.Option("--action", min=1, max=2**63 - 1)] = None,
    workflow: Annotated[int | None, typer.Option("--workflow", min=1, max=2**63 - 1)] = None,
    event: Annotated[str | None, typer.Option("--event", help="Such as ticket_opened.")] = None,
    last: Annotated[
        int | None, typer.Option("--last", min=1, max=10_000, help="Only the last so many.")
    ] = None,
    limit: Limit = PAGE,
    after: After = 0,
) -> None:
    """List what happened, oldest first.

    Example:
      operator audit list --last 20
      operator audit list --ticket 1 --json

    Next: operator audit verify
    """
    async with ControlDB(session.db_path) as db:
        events = await db.list_events(
            proposal_id=action,
            ticket_id=ticket,
            workflow_id=workflow,
            event_type=event,
            after_id=after,
            limit=last or limit + 1,
            newest=last is not None,
        )
    if last is None and len(events) > limit:
        events = events[:limit]
        note("More follow: use --last, a filter, or a higher --limit.")
    show(session, events, lambda: event_table(events) if events else hint("Nothing happened yet."))


@command(audit_app, "verify", reads=True)
async def verify(session: Session) -> None:
    """Check that no row of the audit was changed, added or taken away.

    Example:
      operator audit verify

    Next: operator doctor
    """
    async with ControlDB(session.db_path) as db:
        broken = await db.first_broken_audit_row()
    sentence = "The audit is whole." if broken is None else "The audit was tampered with."
    show(
        session,
        {"whole": broken is None, "first_broken_row": broken},
        lambda: stacked(
            said(sentence), facts("First broken row", broken) if broken is not None else None
        ),
    )
    if broken is not None:
        raise typer.Exit(EXIT_WRONG)

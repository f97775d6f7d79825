"""`operator guards`: tries the guards of the gate with planted bad actions."""

from functools import partial

import typer
from rich.console import RenderableType

from operator_core.actions.canaries.sighting import Sighting
from operator_core.cli.context import Session, command, new_group, show
from operator_core.cli.failures import EXIT_WRONG
from operator_core.cli.logs import configure_logs
from operator_core.cli.render import hint, stacked, table, word
from operator_core.db.sharing import LedgerUse
from operator_core.runtime.guards import GuardKeeper

app = new_group(
    """Guards: what refuses bad actions, tried with planted ones.

    Example:
      operator guards check

    Next: operator doctor
    """
)


@command(app, "check")
async def check(session: Session) -> None:
    """Plant a bad action for each guard; each must be refused.

    They are planted in a scratch ledger, on a cluster that is none. Where
    one gets through, Operator is set to observe and a critical ticket is
    opened; this exits with 1. `operator up` does it at start and hourly.

    Example:
      operator guards check
      operator guards check --json

    Next: operator doctor
    """
    configure_logs(debug=session.debug)
    async with LedgerUse(session.db_path) as ledger:
        found = await GuardKeeper(ledger).check()
    show(session, [one._asdict() for one in found], partial(_view, found))
    if not all(one.alive for one in found):
        raise typer.Exit(EXIT_WRONG)


def _view(found: list[Sighting]) -> RenderableType:
    rows = ((one.canary, word("ok" if one.alive else "wrong"), one.detail) for one in found)
    return stacked(table("", ("planted", "state", "what became of it"), rows), hint(_told(found)))


def _told(found: list[Sighting]) -> str:
    dead = sum(one.passed for one in found)
    if dead:
        return f"{dead} dead: Operator only looks on. See `operator tickets list`."
    unproven = sum(not one.alive for one in found)
    if unproven:
        return f"{unproven} not proven: a process in which this is so executes nothing."
    return "Every guard is alive."

"""`operator twin`: how right the rehearsals were."""

from typing import Annotated

import typer

from operator_core.actions.rehearsal import calibration
from operator_core.cli.context import Session, command, new_group, show
from operator_core.cli.views_rehearsal import calibration_view
from operator_core.db.rehearsals import RehearsalDB

app = new_group(
    """Twins: the models of clusters on which actions are rehearsed.

    Example:
      operator twin report

    Next: operator actions show 1, which shows the rehearsal of one action
    """
)


@command(app, "report", reads=True)
async def report(
    session: Session,
    subject: Annotated[str | None, typer.Option("--subject", help="Only of this cluster.")] = None,
) -> None:
    """Show how far predictions were from what came, by action.

    Of the newest thousand actions that were rehearsed and done.

    Example:
      operator twin report --subject tikv

    Next: operator actions show 1
    """
    async with RehearsalDB(session.db_path) as db:
        measured = await db.measured(subject)
    found = calibration(
        (action, one.rehearsal, one.measured) for action, one in measured if one.measured
    )
    show(session, [one._asdict() for one in found], lambda: calibration_view(found))

"""`operator actions propose`: an action that a person wants, checked before it is stored."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

import typer

from operator_core.actions.audit import ActionAuditor
from operator_core.actions.executor import ActionExecutor
from operator_core.actions.registry import ActionRegistry
from operator_core.actions.safety import SafetyController
from operator_core.actions.types import ActionProposal
from operator_core.agent.diagnosis import ActionRecommendation
from operator_core.cli.context import Session, show
from operator_core.cli.logs import configure_logs
from operator_core.cli.render import hint, stacked
from operator_core.cli.text import given
from operator_core.cli.values import not_before, parameters
from operator_core.cli.views import proposal_panel
from operator_core.clock import utc_now
from operator_core.db.control import ControlDB
from operator_core.errors import RequestError
from operator_core.runtime.plugins import connect
from operator_core.subject import FullSubject
from operator_core.types import JsonObject


async def propose(  # noqa: PLR0913 - its options
    session: Session,
    name: Annotated[str, typer.Argument(metavar="ACTION", show_default=False)],
    *,
    param: Annotated[
        list[str] | None, typer.Option("--param", "-p", metavar="NAME=VALUE", help="An argument.")
    ] = None,
    params_json: Annotated[
        str | None, typer.Option("--params-json", help="Arguments as a JSON object.")
    ] = None,
    subject: Annotated[
        str | None, typer.Option("--subject", help="The cluster; the only one, if not given.")
    ] = None,
    ticket: Annotated[
        int | None, typer.Option("--ticket", min=1, max=2**63 - 1, help="The ticket it is for.")
    ] = None,
    reason: Annotated[str, typer.Option("--reason", "-r", help="Why.")] = "proposed by hand",
    later: Annotated[
        str | None, typer.Option("--in", metavar="TIME", help="Not before: 90s, 5m, 2h or 1d.")
    ] = None,
    at: Annotated[
        str | None,
        typer.Option("--at", metavar="TIME", help="Not before, such as 2031-05-04T03:00."),
    ] = None,
) -> None:
    """Propose an action of a cluster, or a general one such as wait.

    It is checked at once, and waits for an approval unless the agent runs
    without approvals. Values are read by the types of the parameters. A time
    without a zone is local time.

    Example:
      operator actions propose drain_store -p store_id=4 --subject prod
      operator actions propose log_message -p message="check again" --in 5m
      operator actions propose wait --params-json '{"seconds": 60}'

    Next: operator actions approve 1
    """
    configure_logs(debug=session.debug)
    why, due = given(reason, "--reason"), not_before(later, at, utc_now())
    async with connected(session, subject) as cluster:
        registry = ActionRegistry(cluster)
        definition = registry.require(name)
        recommendation = ActionRecommendation(
            action_name=name,
            parameters=parameters(param or (), params_json, definition.parameters),
            reason=why,
        )
        executor = executor_of(session, registry)
        proposal = await executor.propose_action(
            recommendation, ticket, proposed_by=session.person, scheduled_at=due
        )
    # The agent validates it: done here, a policy that approves by itself would be overruled.
    show(session, proposal, lambda: stacked(proposal_panel(proposal), hint(_next_of(proposal))))


def _next_of(proposal: ActionProposal) -> str:
    return (
        f"Next: operator actions approve {proposal.id}. An agent that runs without approvals "
        "does it by itself."
    )


def executor_of(session: Session, registry: ActionRegistry | None) -> ActionExecutor:
    """Return an executor that approves nothing by itself: a person's word is needed."""
    auditor = ActionAuditor(session.db_path)
    return ActionExecutor(
        session.db_path,
        registry or ActionRegistry(),
        SafetyController(session.db_path, auditor),
        auditor,
        approval_mode=True,
    )


@asynccontextmanager
async def connected(session: Session, name: str | None) -> AsyncIterator[FullSubject | None]:
    """Connect to the cluster that is meant; None: none is connected, so only general tools."""
    record = await _record(session, name)
    subject = await connect(record) if record else None
    try:
        yield subject
    finally:
        if subject is not None:
            await subject.close()


async def _record(session: Session, name: str | None) -> JsonObject | None:
    """Return the connection that is meant; None: there is none, so only general tools."""
    async with ControlDB(session.db_path) as db:
        if name is not None:
            return await db.get_subject(name)
        found = await db.list_subjects()
    if len(found) > 1:
        names = ", ".join(one["name"] for one in found)
        raise RequestError(f"Several clusters are connected: name one with --subject ({names}).")
    return found[0] if found else None

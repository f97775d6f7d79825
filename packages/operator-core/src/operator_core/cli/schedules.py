"""`operator schedules`: actions that are proposed again and again."""

from typing import Annotated

import typer
from rich.console import RenderableType

from operator_core.actions.registry import ActionRegistry
from operator_core.actions.types import MissedPolicy, Schedule
from operator_core.actions.validation import validate_action_params
from operator_core.cli.context import (
    PAGE,
    After,
    Limit,
    Session,
    command,
    new_group,
    page,
    show,
)
from operator_core.cli.logs import configure_logs
from operator_core.cli.propose import connected
from operator_core.cli.render import facts, hint, stacked, table, word
from operator_core.cli.text import given
from operator_core.cli.values import parameters
from operator_core.cli.views import by, parameters_text, said
from operator_core.db.schedules import ScheduleDB

app = new_group(
    """Schedules: actions that are proposed again and again, by the clock.

    Each run is a fresh proposal, which is checked and approved like any other.
    An agent makes it (`operator up`), once however many agents there are. In
    observe mode nothing is proposed: what is due waits, and counts as missed.

    Example:
      operator schedules add nightly wait -p seconds=5 --cron "0 3 * * *"

    Next: operator schedules list
    """
)

ScheduleName = Annotated[str, typer.Argument(metavar="NAME", show_default=False)]


@command(app, "list", reads=True)
async def list_schedules(session: Session, limit: Limit = PAGE, after: After = 0) -> None:
    """List schedules with their next run.

    Example:
      operator schedules list

    Next: operator schedules show nightly
    """
    async with ScheduleDB(session.db_path) as db:
        found = await db.list_schedules(after_id=after, limit=limit + 1)
    schedules = page(found, limit, lambda one: one.id)
    show(session, schedules, lambda: _table(schedules))


@command(app, "show", reads=True)
async def show_schedule(session: Session, name: ScheduleName) -> None:
    """Show a schedule.

    Example:
      operator schedules show nightly

    Next: operator schedules disable nightly
    """
    async with ScheduleDB(session.db_path) as db:
        schedule = await db.get(name)
    show(session, schedule, lambda: stacked(_panel(schedule), hint(_next_of(schedule))))


@command(app, "add")
async def add(  # noqa: PLR0913 - its options
    session: Session,
    name: ScheduleName,
    action: Annotated[str, typer.Argument(metavar="ACTION", show_default=False)],
    *,
    cron: Annotated[
        str, typer.Option("--cron", help="Minute, hour, day, month, day of week; as crontab(5).")
    ],
    zone: Annotated[
        str, typer.Option("--zone", help="Time zone of the times, such as Europe/Berlin.")
    ] = "UTC",
    param: Annotated[
        list[str] | None, typer.Option("--param", "-p", metavar="NAME=VALUE", help="An argument.")
    ] = None,
    params_json: Annotated[
        str | None, typer.Option("--params-json", help="Arguments as a JSON object.")
    ] = None,
    subject: Annotated[
        str | None, typer.Option("--subject", help="The cluster; the only one, if not given.")
    ] = None,
    missed: Annotated[
        MissedPolicy,
        typer.Option("--missed", help="Runs missed: propose one for all, or leave them out."),
    ] = MissedPolicy.RUN_ONCE,
    reason: Annotated[str, typer.Option("--reason", "-r", help="Why.")] = "as scheduled",
) -> None:
    """Add a schedule. Its action and arguments are checked now and at each run.

    Example:
      operator schedules add nightly wait -p seconds=5 --cron "0 3 * * *"

    Next: operator schedules show nightly
    """
    configure_logs(debug=session.debug)
    name, why = given(name, "NAME"), given(reason, "--reason")
    async with connected(session, subject) as cluster:
        registry = ActionRegistry(cluster)
        definition = registry.require(action)
        values = parameters(param or (), params_json, definition.parameters)
        schedule = Schedule(
            subject=registry.subject_name,
            name=name,
            cron=" ".join(cron.split()),
            time_zone=zone.strip(),
            action_name=definition.name,
            action_type=definition.action_type,
            parameters=validate_action_params(definition, values),
            reason=why,
            missed_policy=missed,
        )
    async with ScheduleDB(session.db_path) as db:
        stored = await db.create(schedule, actor=session.person)
    show(session, stored, lambda: stacked(_panel(stored), hint(_next_of(stored))))


@command(app, "enable")
async def enable(session: Session, name: ScheduleName) -> None:
    """Let a schedule propose again, from now on; nothing counts as missed.

    Example:
      operator schedules enable nightly

    Next: operator schedules show nightly
    """
    async with ScheduleDB(session.db_path) as db:
        schedule = await db.enable(name, actor=session.person)
    show(session, schedule, lambda: stacked(_panel(schedule), hint(_next_of(schedule))))


@command(app, "disable")
async def disable(session: Session, name: ScheduleName) -> None:
    """Let a schedule propose nothing; what it has proposed stays.

    Example:
      operator schedules disable nightly

    Next: operator schedules enable nightly
    """
    async with ScheduleDB(session.db_path) as db:
        schedule = await db.disable(name, actor=session.person)
    show(session, schedule, lambda: stacked(_panel(schedule), hint(_next_of(schedule))))


@command(app, "remove")
async def remove(session: Session, name: ScheduleName) -> None:
    """Remove a schedule; what it has proposed stays.

    Example:
      operator schedules remove nightly

    Next: operator schedules list
    """
    async with ScheduleDB(session.db_path) as db:
        schedule = await db.delete(name, actor=session.person)
    show(session, schedule, lambda: said(f"The schedule {schedule.name} is removed."))


def _table(schedules: list[Schedule]) -> RenderableType:
    if not schedules:
        return hint('No schedules. Add one: operator schedules add NAME ACTION --cron "0 3 * * *"')
    rows = (
        (
            one.id,
            _state(one),
            one.name,
            f"{one.cron} {one.time_zone}",
            one.action_name,
            parameters_text(one.parameters),
            one.subject,
            one.next_due_at if one.enabled else None,
        )
        for one in schedules
    )
    names = ("id", "status", "name", "cron", "action", "parameters", "cluster", "when")
    return table("", names, rows)


def _state(schedule: Schedule) -> object:
    return word("ok" if schedule.enabled else "disabled")


def _panel(schedule: Schedule) -> RenderableType:
    last = f"action {schedule.last_proposal_id}" if schedule.last_proposal_id else None
    return facts(
        f"Schedule {schedule.name}",
        {
            "status": "enabled" if schedule.enabled else "disabled",
            "when": f"{schedule.cron} ({schedule.time_zone})",
            "next run": schedule.next_due_at if schedule.enabled else None,
            "action": schedule.action_name,
            "parameters": parameters_text(schedule.parameters) or "none",
            "why": schedule.reason,
            "cluster": schedule.subject,
            "missed runs": schedule.missed_policy,
            "last run": schedule.last_due_at,
            "proposed for it": last,
            "created": by(schedule.created_by, schedule.created_at),
        },
    )


def _next_of(schedule: Schedule) -> str:
    if not schedule.enabled:
        return "Next: operator schedules enable, with this name"
    return "An agent proposes it when it is due, in execute mode: operator up"

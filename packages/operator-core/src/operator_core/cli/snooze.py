"""`operator snooze`: problems that shall open no ticket for a while."""

import difflib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import RenderableType
from typer.core import TyperGroup

from operator_core.cli.context import (
    PAGE,
    After,
    As,
    Db,
    Id,
    Json,
    Limit,
    Session,
    command,
    keep,
    page,
    show,
)
from operator_core.cli.logs import configure_logs
from operator_core.cli.propose import connected
from operator_core.cli.render import hint, stacked, table, word
from operator_core.cli.text import given
from operator_core.cli.values import not_before
from operator_core.cli.views import by, said
from operator_core.clock import utc_now
from operator_core.db.watching import WatchingDB
from operator_core.errors import RequestError
from operator_core.monitor.tuning import BUILT_IN_RULES
from operator_core.monitor.types import Snooze

if TYPE_CHECKING:
    from typer._click import Command, Context

_ADD = "add"
_LIKE_A_RULE = 0.75


class SnoozeGroup(TyperGroup):
    """`operator snooze low_space …` is short for `operator snooze add low_space …`."""

    def resolve_command(
        self, ctx: "Context", args: list[str]
    ) -> "tuple[str | None, Command | None, list[str]]":
        """Take what is no command for what shall be snoozed."""
        is_command = args[0] in self.commands or args[0].startswith("-")
        return super().resolve_command(ctx, args if is_command else [_ADD, *args])


app = typer.Typer(
    cls=SnoozeGroup,
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


@app.callback()
def remember(
    context: typer.Context, db: Db = None, person: As = None, *, as_json: Json = False
) -> None:
    """Snooze a rule or a target: its problems open no ticket until a moment.

    A ticket that is open already stays open and is marked; nobody works on
    it until the snooze is over. It ends by itself.

    Example:
      operator snooze low_space --for 2h --reason "disks arrive at noon"
      operator snooze store-4 --until 2031-05-04T03:00 --reason "new disk"

    Next: operator snooze list
    """
    keep(context, db, person, as_json=as_json)


@command(app, _ADD, ledger=False)
async def add(
    session: Session,
    what: Annotated[str, typer.Argument(metavar="RULE|TARGET|RULE:TARGET", show_default=False)],
    *,
    length: Annotated[
        str | None, typer.Option("--for", metavar="TIME", help="How long: 90s, 5m, 2h or 1d.")
    ] = None,
    until: Annotated[
        str | None,
        typer.Option("--until", metavar="TIME", help="Until when, such as 2031-05-04T03:00."),
    ] = None,
    reason: Annotated[str, typer.Option("--reason", "-r", help="Why; whoever is next sees it.")],
    subject: Annotated[
        str | None, typer.Option("--subject", help="The cluster; the only one, if not given.")
    ] = None,
) -> None:
    """Snooze a rule, a target, or a rule at a target.

    Example:
      operator snooze add low_space:store-4 --for 1d --reason "known"

    Next: operator snooze list
    """
    configure_logs(debug=session.debug)
    now = utc_now()
    end = not_before(length, until, now, options=("--for", "--until"))
    if end is None:
        raise RequestError("A snooze needs an end: give --for or --until.")
    async with connected(session, subject) as cluster:
        rules = [one.name for one in cluster.invariants()] if cluster else []
        name = cluster.name if cluster else None
    rule, target = meaning(given(what, "RULE|TARGET"), [*rules, *BUILT_IN_RULES])
    snooze = Snooze(
        subject=name,
        rule=rule,
        target=target,
        until=end,
        reason=given(reason, "--reason"),
        created_by=session.person,
    )
    async with WatchingDB(session.db_path) as db:
        stored = await db.add_snooze(snooze, actor=session.person)
    show(session, stored, lambda: stacked(_table([stored]), hint("Next: operator snooze list")))


def meaning(what: str, rules: Sequence[str]) -> tuple[str | None, str | None]:
    """Return the rule and the target that a text names; None: any.

    Raises:
        RequestError: it looks like a rule, and there is none of that name.
    """
    if what in rules:
        return what, None
    rule, _, target = what.partition(":")
    if rule in rules and target:
        return rule, target
    near = difflib.get_close_matches(rule, rules, n=1, cutoff=_LIKE_A_RULE)
    if near or target:
        hint_text = f" Did you mean {near[0]}?" if near else ""
        known = ", ".join(sorted(rules))
        raise RequestError(f"There is no rule {rule!r}.{hint_text} Known: {known}.")
    return None, what


@command(app, "list", reads=True)
async def list_snoozes(
    session: Session,
    *,
    every: Annotated[bool, typer.Option("--all", help="Those that are over too.")] = False,
    limit: Limit = PAGE,
    after: After = 0,
) -> None:
    """List what is snoozed, until when and why.

    Example:
      operator snooze list

    Next: operator snooze end 1
    """
    async with WatchingDB(session.db_path) as db:
        if every:
            found = await db.list_snoozes(after_id=after, limit=limit + 1)
        else:
            found = [one for one in await db.active_snoozes() if int(one.id or 0) > after]
    snoozes = page(found, limit, lambda one: one.id)
    show(session, snoozes, lambda: _table(snoozes) if snoozes else hint("Nothing is snoozed."))


@command(app, "end")
async def end(session: Session, snooze_id: Id) -> None:
    """End a snooze now: what is broken still opens its ticket at the next look.

    Example:
      operator snooze end 1

    Next: operator tickets list
    """
    async with WatchingDB(session.db_path) as db:
        snooze = await db.end_snooze(snooze_id, actor=session.person)
    show(session, snooze, lambda: said(f"Snooze {snooze_id} is over."))


def _table(snoozes: Sequence[Snooze]) -> RenderableType:
    now = utc_now()
    rows = (
        (
            one.id,
            word("ok" if one.is_active(now) else "over"),
            one.subject or "every cluster",
            one.rule or "every rule",
            one.target or "every target",
            one.until,
            one.reason,
            by(one.created_by, one.created_at),
        )
        for one in snoozes
    )
    names = ("id", "status", "cluster", "rule", "target", "until", "why", "who")
    return table("", names, rows)

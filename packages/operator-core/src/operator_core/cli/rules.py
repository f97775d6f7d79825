"""`operator rules`: what a cluster is judged by, and its own grace and thresholds."""

import re
from collections.abc import Iterable, Sequence
from typing import Annotated

import typer
from pydantic import ValidationError
from rich.console import RenderableType

from operator_core.cli.context import Session, command, new_group, show
from operator_core.cli.logs import configure_logs
from operator_core.cli.propose import connected
from operator_core.cli.render import hint, stacked, table
from operator_core.cli.views import said
from operator_core.db.watching import WatchingDB
from operator_core.errors import RequestError
from operator_core.monitor.tuning import require_settings, tuned
from operator_core.monitor.types import Invariant, RuleSettings
from operator_core.subject import FullSubject
from operator_core.types import JsonObject

app = new_group(
    """Rules: what must hold at a cluster, with grace and thresholds.

    Example:
      operator rules list

    Next: operator rules set low_space --grace-seconds 300
    """
)

SubjectName = Annotated[
    str | None, typer.Option("--subject", help="The cluster; the only one, if not given.")
]
RuleName = Annotated[str, typer.Argument(metavar="RULE", show_default=False)]


@command(app, "list", reads=True)
async def list_rules(session: Session, subject: SubjectName = None) -> None:
    """List the rules of a cluster, with what it wants otherwise marked.

    Example:
      operator rules list --subject prod

    Next: operator rules set low_space --grace-seconds 300
    """
    configure_logs(debug=session.debug)
    async with connected(session, subject) as cluster:
        known = _required(cluster)
        rules, name = list(known.invariants()), known.name
    async with WatchingDB(session.db_path) as db:
        settings = await db.rule_settings(name)
    own = tuned(rules, settings)
    data = [_shown(rule, is_set=rule.name in settings) for rule in own]
    show(session, data, lambda: _table(data))


@command(app, "set")
async def set_rule(
    session: Session,
    rule: RuleName,
    *,
    grace: Annotated[
        float | None,
        typer.Option("--grace-seconds", help="How long it must be broken before a ticket opens."),
    ] = None,
    clear: Annotated[
        float | None,
        typer.Option("--clear-seconds", help="How long it must hold before the ticket resolves."),
    ] = None,
    threshold: Annotated[
        list[str] | None,
        typer.Option("--threshold", "-t", metavar="NAME=NUMBER", help="One number it goes by."),
    ] = None,
    subject: SubjectName = None,
) -> None:
    """Set what a cluster wants otherwise of a rule; the rest stays as it was set.

    It holds from the monitor's next look on.

    Example:
      operator rules set low_space --threshold least_free_share=0.1
      operator rules set store_disconnected --grace-seconds 60

    Next: operator rules list
    """
    configure_logs(debug=session.debug)
    numbers = dict(_threshold(text) for text in threshold or ())
    if grace is None and clear is None and not numbers:
        raise RequestError("Nothing to set: give --grace-seconds, --clear-seconds or --threshold.")
    async with connected(session, subject) as cluster:
        known = _required(cluster)
        rules, name = list(known.invariants()), known.name
    async with WatchingDB(session.db_path) as db:
        before = (await db.rule_settings(name)).get(rule, RuleSettings())
        wanted = _updated(before, grace, clear, numbers)
        own = require_settings(rules, rule, wanted)
        await db.set_rule(name, rule, wanted, actor=session.person)
    data = _shown(tuned([own], {rule: wanted})[0], is_set=True)
    show(session, data, lambda: stacked(_table([data]), hint("Next: operator rules list")))


@command(app, "reset")
async def reset_rule(session: Session, rule: RuleName, subject: SubjectName = None) -> None:
    """Let a rule be as it comes.

    Example:
      operator rules reset low_space

    Next: operator rules list
    """
    configure_logs(debug=session.debug)
    async with connected(session, subject) as cluster:
        name = _required(cluster).name
    async with WatchingDB(session.db_path) as db:
        await db.reset_rule(name, rule, actor=session.person)
    show(session, {"rule": rule}, lambda: said(f"The rule {rule} is as it comes."))


def _required(cluster: FullSubject | None) -> FullSubject:
    if cluster is None:
        raise RequestError("No cluster is connected, so there are no rules: operator connect")
    return cluster


def _updated(
    before: RuleSettings, grace: float | None, clear: float | None, numbers: dict[str, float]
) -> RuleSettings:
    try:
        return RuleSettings(
            grace_seconds=before.grace_seconds if grace is None else grace,
            clear_seconds=before.clear_seconds if clear is None else clear,
            thresholds={**before.thresholds, **numbers},
        )
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise RequestError(f"{place}: {first['msg']}.") from error


def _threshold(text: str) -> tuple[str, float]:
    name, equals, value = text.partition("=")
    if not equals or not re.fullmatch(r"\s*[0-9]+(\.[0-9]+)?([eE][0-9]{1,2})?\s*", value):
        raise RequestError(f"--threshold {text!r} must be NAME=NUMBER, such as least_share=0.1.")
    return name.strip(), float(value)


def _shown(rule: Invariant, *, is_set: bool) -> JsonObject:
    return {
        "rule": rule.name,
        "description": rule.description,
        "grace_seconds": rule.grace_seconds,
        "clear_seconds": rule.clear_seconds,
        "thresholds": dict(rule.thresholds),
        "set": is_set,
    }


def _table(rules: Sequence[JsonObject]) -> RenderableType:
    rows = (
        (
            one["rule"],
            "here" if one["set"] else None,
            f"{one['grace_seconds']:g} s",
            f"{one['clear_seconds']:g} s",
            _numbers(one["thresholds"].items()),
            one["description"],
        )
        for one in rules
    )
    return table("", ("rule", "set", "grace", "clear", "thresholds", "broken means"), rows)


def _numbers(pairs: Iterable[tuple[str, float]]) -> str:
    return ", ".join(f"{name}={value:g}" for name, value in pairs)

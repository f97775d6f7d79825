"""`operator PLUGIN …`: the commands that a plugin offers. It returns data; this draws it."""

import inspect
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import RenderableType
from rich.markup import escape

from operator_core.actions.types import ActionDefinition, ParamDef
from operator_core.actions.validation import validate_action_params
from operator_core.cli.connect import option_of
from operator_core.cli.context import Handler, Session, command, new_group, show
from operator_core.cli.failures import EXIT_WRONG
from operator_core.cli.logs import configure_logs
from operator_core.cli.render import hint, stacked, table
from operator_core.cli.text import one_line
from operator_core.cli.values import parsed
from operator_core.plugin import (
    CommandPack,
    PluginCommand,
    Report,
    SubjectPlugin,
    commands_of,
)
from operator_core.runtime import plugins
from operator_core.types import JsonObject

if TYPE_CHECKING:
    from typer._click import Command


Offering = SubjectPlugin | CommandPack


def plugin_group(name: str) -> "Command":
    """Return the group of a plugin's own commands.

    Raises:
        ConfigurationError: the plugin cannot be loaded.
    """
    return typer.main.get_command(_app(plugins.load_commands(name)))


def _app(plugin: Offering) -> typer.Typer:
    offered = commands_of(plugin)
    more = "" if offered else " It offers no commands of its own."
    name = escape(one_line(plugin.name))
    summary = escape(one_line(plugin.summary))
    following = f"{name} {offered[0].name}" if _is_pack(plugin) else f"connect {name}"
    app = new_group(
        f"Commands of the plugin {name}.{more}\n\nFor {summary}.\n\n"
        f"Example:\n  operator {following} --help"
    )
    for one in offered:
        command(app, one.name, ledger=False)(_handler(plugin, one))
    return app


def _is_pack(plugin: Offering) -> bool:
    return not hasattr(plugin, "connect")


def _handler(plugin: Offering, own: PluginCommand) -> Handler:
    async def handler(session: Session, **given: object) -> None:
        configure_logs(debug=session.debug)
        report = await own.run(_values(plugin, own, given))
        data = {"title": report.title, "good": report.is_good, **report.data}
        show(session, data, lambda: _view(report))
        if not report.is_good:
            raise typer.Exit(EXIT_WRONG)

    handler.__dict__["__signature__"] = _signature(own)
    example = f"operator {plugin.name} {own.name} {own.example}".strip()
    # The last line stands at the margin: without it the example would lose its indent.
    following = f"Next: operator {plugin.name} --help"
    handler.__doc__ = (
        f"{escape(one_line(own.summary, 1000))}\n\nExample:\n  {escape(example)}\n\n{following}"
    )
    return handler


def _signature(own: PluginCommand) -> inspect.Signature:
    kind = inspect.Parameter.KEYWORD_ONLY
    made = [inspect.Parameter("session", kind)]
    for key, param in own.parameters.items():
        if key == own.argument:
            made.append(_argument(key, param))
        else:
            made.append(
                inspect.Parameter(key, kind, default=None, annotation=option_of(key, param))
            )
    return inspect.Signature(made)


def _argument(key: str, param: ParamDef) -> inspect.Parameter:
    """Return the option that stands without its name; one of many values may stand often."""
    said = typer.Argument(metavar=key.upper(), help=escape(one_line(param.description)))
    kind = inspect.Parameter.KEYWORD_ONLY
    if param.type == "list":
        many = Annotated[list[str] | None, said]
        return inspect.Parameter(key, kind, default=None, annotation=many)
    if not param.required:
        return inspect.Parameter(key, kind, default=None, annotation=Annotated[str | None, said])
    return inspect.Parameter(key, kind, annotation=Annotated[str, said])


def _values(plugin: Offering, own: PluginCommand, given: dict[str, object]) -> JsonObject:
    values = {
        key: parsed(own.parameters[key], value) if isinstance(value, str) else value
        for key, value in given.items()
        if value is not None
    }
    definition = ActionDefinition(
        name=f"{plugin.name} {own.name}", description=own.summary, parameters=dict(own.parameters)
    )
    return validate_action_params(definition, values)


def _view(report: Report) -> RenderableType:
    rows = table(report.title, report.columns, report.rows) if report.rows else None
    return stacked(rows, hint(report.summary or report.title))

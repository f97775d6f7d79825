"""`operator PLUGIN …`: the commands that a plugin offers. It returns data; this draws it."""

import inspect
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import RenderableType
from rich.markup import escape

from operator_core.actions.types import ActionDefinition
from operator_core.actions.validation import validate_action_params
from operator_core.cli.connect import option_of
from operator_core.cli.context import Handler, Session, command, new_group, show
from operator_core.cli.failures import EXIT_WRONG
from operator_core.cli.logs import configure_logs
from operator_core.cli.render import hint, stacked, table
from operator_core.cli.text import one_line
from operator_core.cli.values import parsed
from operator_core.plugin import PluginCommand, Report, SubjectPlugin, commands_of
from operator_core.runtime import plugins
from operator_core.types import JsonObject

if TYPE_CHECKING:
    from typer._click import Command


def plugin_group(name: str) -> "Command":
    """Return the group of a plugin's own commands.

    Raises:
        ConfigurationError: the plugin cannot be loaded.
    """
    return typer.main.get_command(_app(plugins.load_plugin(name)))


def _app(plugin: SubjectPlugin) -> typer.Typer:
    offered = commands_of(plugin)
    more = "" if offered else "\n\nIt offers no commands of its own."
    app = new_group(
        f"Commands of the plugin {escape(one_line(plugin.name))}: "
        f"{escape(one_line(plugin.summary))}.{more}\n\n"
        f"Next: operator connect {escape(one_line(plugin.name))} --help"
    )
    for one in offered:
        command(app, one.name, ledger=False)(_handler(plugin, one))
    return app


def _handler(plugin: SubjectPlugin, own: PluginCommand) -> Handler:
    async def handler(session: Session, **given: object) -> None:
        configure_logs(debug=session.debug)
        report = await own.run(_values(plugin, own, given))
        data = {"title": report.title, "good": report.is_good, **report.data}
        show(session, data, lambda: _view(report))
        if not report.is_good:
            raise typer.Exit(EXIT_WRONG)

    handler.__dict__["__signature__"] = _signature(own)
    example = f"operator {plugin.name} {own.name} {own.example}".strip()
    handler.__doc__ = f"{escape(one_line(own.summary, 1000))}\n\nExample:\n  {escape(example)}"
    return handler


def _signature(own: PluginCommand) -> inspect.Signature:
    kind = inspect.Parameter.KEYWORD_ONLY
    made = [inspect.Parameter("session", kind)]
    for key, param in own.parameters.items():
        if key == own.argument:
            argument = Annotated[
                str, typer.Argument(metavar=key.upper(), help=escape(one_line(param.description)))
            ]
            made.append(inspect.Parameter(key, kind, annotation=argument))
        else:
            made.append(
                inspect.Parameter(key, kind, default=None, annotation=option_of(key, param))
            )
    return inspect.Signature(made)


def _values(plugin: SubjectPlugin, own: PluginCommand, given: dict[str, object]) -> JsonObject:
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

"""`operator connect`: one command a plugin, its options made from the plugin's settings."""

import inspect
from collections.abc import Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import RenderableType
from rich.markup import escape

from operator_core.actions.registry import ActionRegistry
from operator_core.actions.types import ActionDefinition, ParamDef
from operator_core.actions.validation import validate_action_params
from operator_core.cli.context import (
    As,
    Db,
    Json,
    Session,
    command,
    keep,
    new_app,
    run,
    session_of,
    show,
)
from operator_core.cli.lazy import LazyGroup, Offer
from operator_core.cli.logs import configure_logs
from operator_core.cli.looking import brief, connection_view, look
from operator_core.cli.render import hint, stacked, table
from operator_core.cli.text import given, one_line
from operator_core.cli.values import parsed
from operator_core.cli.views import parameters_text
from operator_core.db.control import ControlDB
from operator_core.errors import SubjectUnreachableError
from operator_core.plugin import SubjectPlugin
from operator_core.runtime import plugins
from operator_core.types import JsonObject

if TYPE_CHECKING:
    from typer._click import Command, Context

NAME = "name"
"""The cluster's name; where a plugin has a setting of this name, it is the same."""


class ConnectGroup(LazyGroup):
    """The plugins that are installed; one is loaded when it is called."""

    def offers(self) -> Mapping[str, Offer]:
        """Return the installed plugins."""
        names = plugins.plugin_names()
        return {name: Offer(f"Connect a cluster of {escape(name)}.") for name in names}

    def load(self, name: str) -> "Command":
        """Make the command of a plugin, with its settings as options."""
        return typer.main.get_command(plugin_app(name, plugins.load_plugin(name)))

    def resolve_command(
        self, ctx: "Context", args: list[str]
    ) -> "tuple[str | None, Command | None, list[str]]":
        """Load the plugin that is named; where there is none, say which ones are installed."""
        if args and args[0] not in self.offers():
            names = ", ".join(self.offers()) or "none"
            close = get_close_matches(args[0], self.offers(), 1)
            guess = f" Did you mean {close[0]!r}?" if close else ""
            ctx.fail(f"No plugin {args[0]!r} is installed.{guess} Installed: {names}.")
        return super().resolve_command(ctx, args)


app = typer.Typer(
    cls=ConnectGroup,
    add_completion=False,
    pretty_exceptions_enable=False,
    invoke_without_command=True,
    subcommand_metavar="[PLUGIN [OPTIONS]]",
)


@app.callback()
def connections(
    context: typer.Context, db: Db = None, person: As = None, *, as_json: Json = False
) -> None:
    """Connect a cluster; without a plugin, list the connected ones.

    Connecting only looks, it never changes the cluster.

    Example:
      operator connect etcd --endpoints http://127.0.0.1:2379

    Next: operator up
    """
    options = keep(context, db, person, as_json=as_json)
    if context.invoked_subcommand is None:
        session = session_of(options)
        run(_list(session))


async def _list(session: Session) -> None:
    found: list[JsonObject] = []
    if session.ledger_exists:
        async with ControlDB(session.db_path) as db:
            found = await db.list_subjects()
    names = ", ".join(plugins.plugin_names()) or "none"
    data = {"connected": found, "plugins": plugins.plugin_names()}
    show(
        session,
        data,
        lambda: stacked(
            _connected(found), hint(f"Plugins: {names}. Next: operator connect PLUGIN")
        ),
    )


def _connected(found: list[JsonObject]) -> RenderableType:
    if not found:
        return hint("No cluster is connected.")
    rows = ((one["name"], one["plugin"], parameters_text(one["settings"])) for one in found)
    return table("Connected", ("name", "plugin", "settings"), rows)


# --- one plugin -----------------------------------------------------------------------


def plugin_app(name: str, plugin: SubjectPlugin) -> typer.Typer:
    """Return the command that connects a cluster of a plugin."""

    async def handler(
        session: Session, *, name: str | None, check: bool, **given_settings: object
    ) -> None:
        await _connect(session, plugin, name, given_settings, check=check)

    handler.__dict__["__signature__"] = _signature(plugin)
    example = " ".join(
        f"--{key.replace('_', '-')} ..." for key, one in plugin.settings.items() if one.required
    )
    handler.__doc__ = (
        f"Connect: {escape(one_line(plugin.summary))}.\n\n"
        f"It looks once, says what it sees and may do, and remembers the cluster.\n\n"
        f"Example:\n  operator connect {name} {example}\n\nNext: operator up"
    )
    made = new_app()
    command(made, name, ledger=False)(handler)
    return made


def _signature(plugin: SubjectPlugin) -> inspect.Signature:
    kind = inspect.Parameter.KEYWORD_ONLY
    own = [
        inspect.Parameter(key, kind, default=None, annotation=option_of(key, one))
        for key, one in plugin.settings.items()
        if key != NAME
    ]
    shared = [
        inspect.Parameter("session", kind),
        inspect.Parameter(NAME, kind, default=None, annotation=_NameOption),
        inspect.Parameter("check", kind, default=True, annotation=_CheckOption),
    ]
    return inspect.Signature([*shared, *own])


_NameOption = Annotated[
    str | None,
    typer.Option("--name", help="What tickets call the cluster; the plugin's name, if not given."),
]
_CheckOption = Annotated[
    bool, typer.Option("--check/--no-check", help="Look at the cluster before remembering it.")
]


def option_of(key: str, param: ParamDef) -> object:
    """Return the option of a setting, as Typer wants it annotated."""
    text = escape(one_line(param.description))
    text += " (required)" if param.required else ""
    if param.default is not None and param.default != "":
        text = f"{text.rstrip('.')}. Default: {escape(one_line(param.default))}."
    flag = f"--{key.replace('_', '-')}"
    if param.type == "bool":
        return Annotated[bool | None, typer.Option(f"{flag}/--no-{flag[2:]}", help=text)]
    return Annotated[str | None, typer.Option(flag, metavar=param.type.upper(), help=text)]


async def _connect(
    session: Session,
    plugin: SubjectPlugin,
    name: str | None,
    given_settings: Mapping[str, object],
    *,
    check: bool,
) -> None:
    configure_logs(debug=session.debug)
    called = given(name, "--name") if name is not None else plugin.name
    settings = checked_settings(plugin, given_settings)
    if NAME in plugin.settings:
        settings[NAME] = called
    record = {"name": called, "plugin": plugin.name, "settings": settings}
    subject = await plugins.connect(record)
    try:
        definitions = ActionRegistry(subject).list_definitions()
        observation = await look(subject) if check else None
    finally:
        await subject.close()
    if observation is not None and not any(part.complete for part in observation.parts.values()):
        faults = "; ".join(str(part.error) for part in observation.parts.values())
        raise SubjectUnreachableError(
            f"Nothing of {called} could be read, so it is not remembered ({one_line(faults)}). "
            "Check the address, or use --no-check."
        )
    async with ControlDB(session.db_path) as db:
        await db.connect_subject(called, plugin.name, settings, actor=session.person)
    data = {**record, "observation": brief(observation), "actions": definitions}
    show(session, data, lambda: connection_view(called, observation, definitions))


def checked_settings(plugin: SubjectPlugin, given_settings: Mapping[str, object]) -> JsonObject:
    """Return the settings by their types, with defaults filled in.

    Raises:
        ValidationError: something is missing or does not fit; names every fault.
    """
    params = {key: one for key, one in plugin.settings.items() if key != NAME}
    values = {
        key: parsed(params[key], value) if isinstance(value, str) else value
        for key, value in given_settings.items()
        if value is not None
    }
    definition = ActionDefinition(
        name=f"connect {plugin.name}", description=plugin.summary, parameters=params
    )
    return validate_action_params(definition, values)

"""The `operator` command: its commands by name, and what becomes of errors."""

import os
import sys
from collections.abc import Mapping
from importlib import import_module
from io import TextIOWrapper
from typing import TYPE_CHECKING, Annotated, TextIO

import typer
from typer.core import TyperCommand

from operator_core.cli.context import As, Db, Json, keep, new_app
from operator_core.cli.failures import EXIT_CODES_HELP, EXIT_WRONG, told, words_of_no_output
from operator_core.cli.lazy import LazyGroup, Offer
from operator_core.cli.leaving import is_own_process
from operator_core.config import shut_out_pydantic_plugins

if TYPE_CHECKING:
    from typer._click import Command, Context

_START, _LOOK, _DECIDE, _STOP = "Start", "Look", "Decide", "Stop and check"

COMMANDS: Mapping[str, tuple[str, str, Offer]] = {
    "demo": ("demo", "demo", Offer("Watch Operator repair a cluster: no key, no Docker.", _START)),
    "connect": ("connect", "app", Offer("Connect a cluster, or list those connected.", _START)),
    "up": ("run", "up_app", Offer("Run everything in one process: watch, think, act.", _START)),
    "monitor": ("run", "monitor_app", Offer("Watch clusters and open tickets.", _START)),
    "agent": ("run", "agent_app", Offer("Diagnose tickets and act on what is approved.", _START)),
    "tickets": ("tickets", "app", Offer("Problems: list, show, open, hold, resolve.", _LOOK)),
    "rules": ("rules", "app", Offer("What a cluster is judged by; set grace, thresholds.", _LOOK)),
    "diagnose": ("diagnose", "app", Offer("Show what causes a ticket, and how we know.", _LOOK)),
    "timeline": (
        "incident",
        "timeline_app",
        Offer("Tell an incident moment by moment.", _LOOK),
    ),
    "incident": ("incident", "app", Offer("Incidents as files: export, check.", _LOOK)),
    "replay": (
        "incident",
        "replay_app",
        Offer("Make each decision of an incident again.", _LOOK),
    ),
    "audit": ("control", "audit_app", Offer("Who did what, when; and prove it.", _LOOK)),
    "actions": ("actions", "app", Offer("Proposed actions: show, approve, reject.", _DECIDE)),
    "workflows": ("workflows", "app", Offer("Actions that belong together.", _DECIDE)),
    "schedules": ("schedules", "app", Offer("Actions proposed again and again.", _DECIDE)),
    "policy": ("policy", "app", Offer("What may happen, on whose word; try it.", _DECIDE)),
    "effects": ("effects", "app", Offer("What was put on clusters for a while.", _LOOK)),
    "twin": ("twin", "app", Offer("How right rehearsals on a twin were.", _LOOK)),
    "snooze": (
        "snooze",
        "app",
        Offer("Open no tickets for a rule or target, for a while.", _DECIDE),
    ),
    "mode": ("control", "mode_app", Offer("Show or set whether Operator may act.", _STOP)),
    "kill": ("control", "kill_app", Offer("Stop everything at once.", _STOP)),
    "guards": ("guards", "app", Offer("Try each guard of the gate with a bad action.", _STOP)),
    "ledger": ("ledger", "app", Offer("Check, back up and prune the ledger.", _STOP)),
    "doctor": ("doctor", "app", Offer("Check ledger, audit, clusters and leftovers.", _STOP)),
}
"""Each command: its module, the app (or function) in it, and what the help says."""


class OperatorGroup(LazyGroup):
    """The root: loads a command's module when the command is called."""

    def offers(self) -> Mapping[str, Offer]:
        """Return every command of Operator."""
        return {name: offer for name, (_, _, offer) in COMMANDS.items()}

    def load(self, name: str) -> "Command":
        """Import the module of a command."""
        module, attribute, _ = COMMANDS[name]
        found = getattr(import_module(f"operator_core.cli.{module}"), attribute)
        if isinstance(found, typer.Typer):
            return typer.main.get_command(found)
        alone = new_app()
        alone.command(name)(found)
        return typer.main.get_command(alone)

    def list_commands(self, ctx: "Context") -> list[str]:
        """Return the names of the commands, those of plugins last."""
        return [*super().list_commands(ctx), *self._plugin_commands()]

    def resolve_command(
        self, ctx: "Context", args: list[str]
    ) -> "tuple[str | None, Command | None, list[str]]":
        """Load the command that is called; what is none of ours may be a plugin's name."""
        if args and args[0] not in COMMANDS and args[0] in self._plugin_commands():
            from operator_core.cli.plugin_commands import plugin_group  # noqa: PLC0415 - rare

            self.commands[args[0]] = plugin_group(args[0])
        return super().resolve_command(ctx, args)

    def _plugin_commands(self) -> list[str]:
        from operator_core.runtime.plugins import command_names  # noqa: PLC0415 - rare

        names = [name for name in command_names() if name not in COMMANDS]
        for name in names:
            if name not in self.commands:
                text = f"Commands of the plugin {name}."
                self.commands[name] = TyperCommand(name, help=text, rich_help_panel="Plugins")
        return names

    def invoke(self, ctx: "Context") -> object:
        """Run the command; errors become one line and an exit code."""
        with told(debug=bool(ctx.params.get("debug"))):
            return super().invoke(ctx)


def _show_version(*, wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version  # noqa: PLC0415 - only where it is asked for

        typer.echo(f"operator {version('operator-core')}")
        raise typer.Exit


Debug = Annotated[bool, typer.Option("--debug", hidden=True, help="Show tracebacks.")]
Version = Annotated[
    bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
]

app = typer.Typer(
    cls=OperatorGroup,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    epilog=EXIT_CODES_HELP,
)


@app.callback()
def root(
    context: typer.Context,
    db: Db = None,
    person: As = None,
    *,
    as_json: Json = False,
    debug: Debug = False,
    version: Version = False,
) -> None:
    """Operator, the on-call engineer for replicated data systems.

    It watches a cluster, opens a ticket when something breaks, finds the
    cause with evidence, proposes a remedy, and does it once you let it.

    Example:
      operator demo

    Next: operator connect etcd --endpoints http://127.0.0.1:2379
    """
    del version
    keep(context, db, person, as_json=as_json, debug=debug)


def _output_for_nobody() -> TextIO:
    """Return an output that ends as a pipe does whose reader went away."""
    read, write = os.pipe()
    os.close(read)
    return os.fdopen(write, "w", encoding="utf-8")


def _let_go_of_output() -> None:
    """What could not be printed is not tried once more at the end, which fails differently."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def main() -> None:
    """Run the command line and exit."""
    if sys.stdout is None:  # as `operator >&-` leaves it; what was asked for is done all the same
        sys.stdout = _output_for_nobody()
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # for a terminal that knows few letters
    shut_out_pydantic_plugins()
    is_own_process()
    try:
        app(prog_name="operator")
    except OSError as error:  # of a help text; what commands meet is told where they are invoked
        words = words_of_no_output(error)
        if words is None:
            raise
        typer.echo(words, err=True)
        sys.exit(EXIT_WRONG)
    finally:
        _let_go_of_output()


if __name__ == "__main__":
    main()

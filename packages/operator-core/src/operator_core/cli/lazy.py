"""Groups whose commands are made when they are called, so that `--help` stays quick."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from typer.core import TyperCommand, TyperGroup

if TYPE_CHECKING:
    from typer._click import Command, Context


@dataclass(frozen=True)
class Offer:
    """What the help says of a command that is not loaded yet."""

    summary: str
    panel: str | None = None


class LazyGroup(TyperGroup):
    """A group that knows its commands by name and makes one when it is called."""

    def offers(self) -> Mapping[str, Offer]:
        """Return the commands there are."""
        raise NotImplementedError

    def load(self, name: str) -> "Command":
        """Make a command."""
        raise NotImplementedError

    def list_commands(self, ctx: "Context") -> list[str]:
        """Return the names of the commands, in the order of the help."""
        del ctx
        self._fill()
        return list(self.offers())

    def get_command(self, ctx: "Context", cmd_name: str) -> "Command | None":
        """Return a command as far as it is loaded."""
        self._fill()
        return super().get_command(ctx, cmd_name)

    def resolve_command(
        self, ctx: "Context", args: list[str]
    ) -> "tuple[str | None, Command | None, list[str]]":
        """Load the command that is called."""
        self._fill()
        if args and args[0] in self.offers():
            self.commands[args[0]] = self.load(args[0])
        return super().resolve_command(ctx, args)

    def _fill(self) -> None:
        for name, offer in self.offers().items():
            if name not in self.commands:
                self.commands[name] = TyperCommand(
                    name, help=offer.summary, rich_help_panel=offer.panel
                )

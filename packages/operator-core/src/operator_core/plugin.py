"""The port a package of a subject offers at the entry point ``operator.subjects``.

A plugin returns data; the command line draws it. So core needs no plugin's name.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from pydantic import JsonValue

from operator_core.actions.types import ParamDef
from operator_core.subject import Subject
from operator_core.types import JsonObject


@dataclass(frozen=True)
class Report:
    """What a command of a plugin found; the command line draws it.

    Attributes:
        title: what the table is about.
        columns: names of the columns.
        rows: the cells.
        summary: one line about all of it.
        data: everything, for ``--json``.
        is_good: whether nothing is wrong; else the command exits with 1.
    """

    title: str
    columns: Sequence[str] = ()
    rows: Sequence[Sequence[JsonValue]] = ()
    summary: str = ""
    data: JsonObject = field(default_factory=dict)
    is_good: bool = True


@dataclass(frozen=True)
class PluginCommand:
    """A command of a plugin's own, such as ``operator tikv compare URL``.

    Attributes:
        name: how it is called.
        summary: what it does, in a line.
        parameters: its options by name.
        run: does it, given its options by their types.
        argument: the option that stands without its name.
        example: its arguments as somebody would type them.
    """

    name: str
    summary: str
    parameters: Mapping[str, ParamDef]
    run: Callable[[JsonObject], Awaitable[Report]]
    argument: str | None = None
    example: str = ""


class DemoCluster(Protocol):
    """A cluster for the demo: started, broken on purpose, proven healthy, stopped.

    The cluster runs in processes of its own, so that the agent can die without it.
    """

    async def start(self) -> JsonObject:
        """Start the cluster and return the settings that `SubjectPlugin.connect` takes."""
        ...

    def break_it(self) -> AsyncIterator[str]:
        """Cause the fault, telling each step in a line as it happens."""
        ...

    async def prove_healthy(self) -> str:
        """Do what a client does, and return a line that shows that it works.

        Raises:
            SubjectError: it does not work.
        """
        ...

    async def stop(self) -> None:
        """End the processes and leave nothing behind."""
        ...


class SubjectPlugin(Protocol):
    """What a package of a subject offers."""

    name: str
    summary: str
    settings: Mapping[str, ParamDef]
    """What `connect` needs, such as an address; the CLI makes options of it."""

    async def connect(self, settings: JsonObject) -> Subject:
        """Return a subject for a cluster; does not have to reach it yet.

        Raises:
            ConfigurationError: the settings cannot mean a cluster.
        """
        ...

    def demo(self, folder: Path) -> DemoCluster:
        """Return a cluster for the demo that keeps its files in a folder."""
        ...


class CommandPack(Protocol):
    """What a package that is no subject offers: `operator NAME COMMAND`."""

    name: str
    summary: str
    commands: Sequence[PluginCommand]


def commands_of(plugin: SubjectPlugin | CommandPack) -> Sequence[PluginCommand]:
    """Return a plugin's own commands; one without an attribute ``commands`` has none."""
    found: Sequence[PluginCommand] = getattr(plugin, "commands", ())
    return found

"""The port a package of a subject offers at the entry point ``operator.subjects``.

A plugin returns data; the command line draws it. So core needs no plugin's name.
"""

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Protocol

from operator_core.actions.types import ParamDef
from operator_core.subject import Subject
from operator_core.types import JsonObject

ENTRY_POINT_GROUP = "operator.subjects"


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

"""What all real clusters on this machine have in common: processes found again by their file."""

import signal
from collections.abc import Iterable
from pathlib import Path

from operator_core import local_processes
from operator_core.errors import ConfigurationError
from operator_core.local_processes import ProcessSpec, ProcessState
from operator_core.process_supervisor import ClusterFile, LocalSupervisor, read_cluster_file

CLUSTER_FILE = "cluster.json"


class LocalCluster:
    """The processes of a small cluster on loopback: looked at, broken and restarted by name."""

    def __init__(self, folder: Path, max_lifetime_seconds: int = 3600) -> None:
        """Take the folder for all its files.

        Args:
            folder: holds the data, the logs and the cluster's file.
            max_lifetime_seconds: a process that nobody stops ends by itself after that.
        """
        self.folder = folder.absolute()
        self.max_lifetime_seconds = max_lifetime_seconds

    @property
    def file(self) -> Path:
        """The file that tells other processes of the cluster; there while it exists."""
        return self.folder / CLUSTER_FILE

    @property
    def plan(self) -> ClusterFile:
        """What the file says.

        Raises:
            ConfigurationError: there is no cluster here.
        """
        return read_cluster_file(self.file)

    def spec(self, name: str) -> ProcessSpec:
        """Return how a process is started.

        Raises:
            ConfigurationError: there is none of that name.
        """
        members = self.plan.members
        if name not in members:
            raise ConfigurationError(f"No member {name!r}; there are {', '.join(members)}.")
        return members[name]

    def is_running(self) -> bool:
        """Return whether there is a cluster here and all its processes run."""
        return self.file.exists() and all(
            local_processes.state_of(one) is ProcessState.RUNNING
            for one in self.plan.members.values()
        )

    def runs(self, name: str) -> bool:
        """Return whether a process is there, frozen or not."""
        return local_processes.state_of(self.spec(name)) is not ProcessState.STOPPED

    async def kill(self, name: str) -> None:
        """End a process at once, as a crash does."""
        await local_processes.kill(self.spec(name))

    def freeze(self, name: str) -> None:
        """Stop a process without ending it: it accepts connections, answers nothing."""
        local_processes.send(self.spec(name), signal.SIGSTOP)

    def thaw(self, name: str) -> None:
        """Let a frozen process go on."""
        local_processes.send(self.spec(name), signal.SIGCONT)

    async def restart(self, name: str) -> None:
        """End a process if it runs, and start it again with its data."""
        await LocalSupervisor(self.file).restart(name)


def remove_traces(specs: Iterable[ProcessSpec]) -> None:
    """Remove what processes that have ended leave beside their data."""
    for spec in specs:
        for path in (spec.log_file, spec.pid_file, spec.pid_file.with_suffix(".lock")):
            path.unlink(missing_ok=True)

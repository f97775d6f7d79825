"""The port to whatever keeps the processes of members running, and a local one for demo and tests.

A supervisor for systemd, Kubernetes or a cloud implements the same three names.
"""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from operator_core import local_processes
from operator_core.errors import ActionFailedError, ActionRefusedError, ConfigurationError
from operator_core.local_processes import ProcessSpec, ProcessState


class ProcessStatus(BaseModel):
    """What a supervisor says of one member's process."""

    model_config = ConfigDict(frozen=True)

    state: str = "unknown"
    pid: int | None = None


class ProcessSupervisor(Protocol):
    """What can look at and restart the process of a member."""

    available: bool
    """Whether there is anything behind it."""

    async def status(self, member_name: str) -> ProcessStatus:
        """Say how the member's process is doing."""
        ...

    async def restart(self, member_name: str) -> ProcessStatus:
        """End the member's process if it runs, and start it again with its data.

        Raises:
            ActionRefusedError: it knows no such member.
            ActionFailedError: the process could not be started.
        """
        ...


class NoSupervisor:
    """Nothing supervises: restarts are for a person."""

    available = False

    async def status(self, member_name: str) -> ProcessStatus:
        """Say that nothing is known."""
        del member_name
        return ProcessStatus()

    async def restart(self, member_name: str) -> ProcessStatus:
        """Refuse.

        Raises:
            ActionRefusedError: always.
        """
        raise ActionRefusedError(
            f"No process supervisor is configured, so {member_name!r} cannot be restarted. "
            "Restart it yourself, or give the setting supervisor_file."
        )


class ClusterFile(BaseModel):
    """The file a local cluster writes, so that other processes find it."""

    model_config = ConfigDict(frozen=True)

    version: int = 1
    endpoints: list[str]
    max_lifetime_seconds: int = Field(default=3600, gt=0)
    members: dict[str, ProcessSpec]

    def write(self, path: Path) -> None:
        """Replace the file in one step: a reader never sees half of it."""
        beside = path.with_suffix(".new")
        beside.write_text(self.model_dump_json(indent=2), "utf-8")
        beside.replace(path)


def read_cluster_file(path: Path) -> ClusterFile:
    """Read the file of a local cluster.

    Raises:
        ConfigurationError: it is missing or is no such file.
    """
    try:
        return ClusterFile.model_validate(json.loads(path.read_text("utf-8")))
    except OSError as error:
        reason = error.strerror or "cannot be read"
        raise ConfigurationError(f"Supervisor file {path}: {reason}.") from None
    except (ValidationError, ValueError, RecursionError):
        raise ConfigurationError(f"{path} is not the file of a local cluster.") from None


class LocalSupervisor:
    """Restarts the processes that a file names, on this machine."""

    available = True

    def __init__(self, path: Path) -> None:
        """Take the file that the local cluster wrote; read anew at each call."""
        self.path = path

    async def status(self, member_name: str) -> ProcessStatus:
        """Say what the operating system knows of the member's process."""
        spec = self._cluster().members.get(member_name)
        if spec is None:
            return ProcessStatus()
        return ProcessStatus(state=local_processes.state_of(spec), pid=local_processes.pid_of(spec))

    async def restart(self, member_name: str) -> ProcessStatus:
        """End the member's process if it runs, and start it again with its data."""
        cluster = self._cluster()
        spec = cluster.members.get(member_name)
        if spec is None:
            known = ", ".join(sorted(cluster.members)) or "none"
            raise ActionRefusedError(
                f"{self.path} names no member {member_name!r}; it has {known}."
            )
        with _alone(spec):
            await local_processes.stop(spec)
            if local_processes.state_of(spec) is not ProcessState.STOPPED:
                raise ActionFailedError(f"The process of {member_name} does not end.")
            await local_processes.start(spec, cluster.max_lifetime_seconds)
        return await self.status(member_name)

    def _cluster(self) -> ClusterFile:
        return read_cluster_file(self.path)


@contextmanager
def _alone(spec: ProcessSpec) -> Iterator[None]:
    """Keep a second restart of the same member out, also from another process.

    Raises:
        ActionFailedError: one is under way.
    """
    lock = os.open(spec.pid_file.with_suffix(".lock"), os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise ActionFailedError(f"A restart of {spec.name} is under way.") from None
    finally:
        os.close(lock)

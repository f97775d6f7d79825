"""A real cluster on this machine: PostgreSQL under Patroni. For demo, lab and tests only.

All processes, one etcd among them, run in sessions of their own and outlive whoever started
them. `stop` ends them and removes their data; what nobody stops ends by itself after its
lifetime (its files stay).
"""

import asyncio
import os
import shutil
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import httpx

from operator_core import local_processes
from operator_core.clock import monotonic_seconds
from operator_core.errors import ActionFailedError, ConfigurationError, SubjectError
from operator_core.local_cluster import LocalCluster, remove_traces
from operator_patroni.client import PatroniClient
from operator_patroni.cluster_files import (
    ETCD,
    GUARD,
    ClusterOptions,
    data_of,
    dcs_link,
    plan,
    programs,
    sql_address,
)
from operator_patroni.shapes import Listed, View
from operator_patroni.transport import Timeouts

_START_SECONDS = 120.0
_POLL_SECONDS = 0.1
_ANSWER_SECONDS = 2.0
_END_SECONDS = 10.0
_QUERY_SECONDS = 20.0
_TIMEOUTS = Timeouts(read_seconds=2.0, effect_seconds=10.0, move_seconds=60.0)
_NOT_BEGUN = frozenset({"stopped", "unknown"})


def is_agreed(version: object) -> bool:
    """Return whether etcd's members have agreed on a version: a Patroni that asks before ends.

    Args:
        version: what etcd answers to ``/version``.
    """
    agreed = version.get("etcdcluster") if isinstance(version, dict) else None
    return isinstance(agreed, str) and agreed[:1].isdigit()


class LocalPatroniCluster(LocalCluster):
    """Starts, breaks, repairs and stops a small cluster on loopback."""

    def __init__(
        self,
        folder: Path,
        options: ClusterOptions | None = None,
        max_lifetime_seconds: int = 3600,
    ) -> None:
        """Take the folder for all its files, what kind of cluster it is, and how long it lives."""
        super().__init__(folder, max_lifetime_seconds)
        self.options = options or ClusterOptions()
        self._client: PatroniClient | None = None

    @property
    def names(self) -> list[str]:
        """The names of the members."""
        return self.options.names

    @property
    def endpoints(self) -> list[str]:
        """The addresses of the members' REST APIs."""
        return self.plan.endpoints

    @property
    def client(self) -> PatroniClient:
        """A client of the cluster."""
        if self._client is None:
            self._client = PatroniClient(self.endpoints, _TIMEOUTS)
        return self._client

    def endpoint(self, name: str) -> str:
        """Return the address of a member's REST API."""
        return self.endpoints[self.names.index(name)]

    # --- its life ---------------------------------------------------------------------

    async def start(self) -> None:
        """Start everything, pg1 first so that it leads, and wait until all replicas stream.

        Raises:
            ConfigurationError: a program is missing, or the folder holds a cluster already.
            ActionFailedError: it did not come up in time.
        """
        if self.file.exists():
            raise ConfigurationError(f"{self.folder} holds a cluster already: stop it first.")
        self.folder.mkdir(parents=True, exist_ok=True)
        plan(self.folder, self.options, self.max_lifetime_seconds).write(self.file)
        try:
            await self._start_all()
        except BaseException:
            await self.stop()
            raise

    async def _start_all(self) -> None:
        lifetime_seconds = self.max_lifetime_seconds
        await local_processes.start(self.spec(GUARD), lifetime_seconds * 2)
        await local_processes.start(self.spec(ETCD), lifetime_seconds)
        for name in self.names:
            await local_processes.start(self.spec(dcs_link(name)), lifetime_seconds)
        await until(self._has_dcs, "etcd", _START_SECONDS)
        first, *others = self.names
        await local_processes.start(self.spec(first), lifetime_seconds)
        await until(self._has_begun, first, _START_SECONDS, self.spec(first))
        for name in others:
            await local_processes.start(self.spec(name), lifetime_seconds)
        await until(self.all_stream, f"the cluster of {self.folder}", _START_SECONDS)

    async def _has_dcs(self) -> bool:
        argv = self.spec(ETCD).argv
        address = argv[argv.index("--listen-client-urls") + 1]
        try:
            async with httpx.AsyncClient(timeout=_ANSWER_SECONDS, trust_env=False) as client:
                told = (await client.get(f"{address}/version")).json()
        except (httpx.HTTPError, ValueError):
            return False
        return is_agreed(told)

    async def _has_begun(self) -> bool:
        """Return whether the first member has begun to make the data, so that it will lead.

        Raises:
            ActionFailedError: it has ended; what it wrote last says why.
        """
        first = self.spec(self.names[0])
        if local_processes.state_of(first) is local_processes.ProcessState.STOPPED:
            last = local_processes.last_line_of(first)
            raise ActionFailedError(f"{first.name} ended at its start: {last}")
        try:
            node = await self.client.node(self.endpoints[0])
        except SubjectError:
            return False
        return node.state not in _NOT_BEGUN

    async def stop(self) -> None:
        """End all processes and remove their data. Does nothing where there is no cluster."""
        await self.close()
        if not self.file.exists():
            return
        specs = list(self.plan.members.values())
        await asyncio.gather(*map(local_processes.kill, specs))
        await asyncio.gather(*map(self._end_postgres, self.names))
        remove_traces(specs)
        for name in [*self.names, ETCD]:
            place = data_of(self.folder, name)
            await asyncio.to_thread(shutil.rmtree, place, ignore_errors=True)
            for suffix in (".yml", ".pgpass"):
                place.with_suffix(suffix).unlink(missing_ok=True)
        self.file.unlink(missing_ok=True)

    async def close(self) -> None:
        """Close the connections; the cluster runs on."""
        if self._client:
            await self._client.close()
            self._client = None

    # --- how it is --------------------------------------------------------------------

    async def view(self) -> View:
        """Return the cluster as the first member that can ask the DCS lists it.

        Raises:
            ActionFailedError: none can.
        """
        async for view in self._views():
            return view
        raise ActionFailedError("No member of the cluster can ask the DCS.")

    async def _views(self) -> AsyncIterator[View]:
        for endpoint in self.endpoints:
            try:
                yield await self.client.view(endpoint)
            except SubjectError:
                continue

    async def leader(self) -> Listed:
        """Return the member that leads.

        Raises:
            ActionFailedError: nobody does.
        """
        for one in (await self.view()).members:
            if one.leads:
                return one
        raise ActionFailedError("Nobody leads the cluster.")

    async def all_stream(self) -> bool:
        """Return whether one member leads and all others stream from it."""
        try:
            members = (await self.view()).members
        except SubjectError:
            return False
        states = [one.state for one in members if not one.leads]
        streaming = states.count("streaming") == len(states) == self.options.size - 1
        return streaming and any(one.leads and one.state == "running" for one in members)

    async def query(self, name: str, statement: str) -> str:
        """Run a statement on a member's PostgreSQL and return what it prints.

        Raises:
            ActionFailedError: it was not done, with the reason.
        """
        host, _, port = sql_address(self.folder, name).partition(":")
        command = [str(programs().postgres / "psql"), "-XAtqw", "-h", host, "-p", port]
        command += ["-U", "postgres", "-v", "ON_ERROR_STOP=1", "-c", statement, "postgres"]
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=pipe)
        try:
            out, err = await asyncio.wait_for(process.communicate(), _QUERY_SECONDS)
        except BaseException:
            process.kill()
            await process.wait()
            raise
        if process.returncode:
            raise ActionFailedError(f"{name}: {err.decode('utf-8', 'replace').strip()[:300]}")
        return out.decode().strip()

    # --- faults -----------------------------------------------------------------------

    async def kill_member(self, name: str) -> None:
        """End a member's Patroni and its PostgreSQL, as the loss of a machine does."""
        await self.kill(name)
        self.kill_postgres(name)

    def kill_postgres(self, name: str) -> None:
        """End a member's PostgreSQL at once, as a crash does."""
        pid = self.postmaster(name)
        if pid is not None:
            os.kill(pid, signal.SIGKILL)

    def postmaster(self, name: str) -> int | None:
        """Return the process of a member's PostgreSQL, None where it does not run."""
        data = data_of(self.folder, name)
        try:
            pid = int((data / "postmaster.pid").read_text("ascii").split()[0])
            command = Path(f"/proc/{pid}/cmdline").read_text("utf-8", "replace")
        except (OSError, ValueError, IndexError):
            return None
        return pid if str(data) in command else None

    async def _end_postgres(self, name: str) -> None:
        """End what a killed Patroni left behind, frozen parts of it too."""
        end = monotonic_seconds() + _END_SECONDS
        while (pid := self.postmaster(name)) is not None and monotonic_seconds() < end:
            for part in _children(pid):
                _send(part, signal.SIGCONT)
            _send(pid, signal.SIGQUIT)
            await asyncio.sleep(_POLL_SECONDS)


def _children(pid: int) -> list[int]:
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii")
    except OSError:
        return []
    return [int(word) for word in text.split()]


def _send(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


async def until(
    holds: Callable[[], Awaitable[bool]],
    what: str,
    seconds: float,
    server: local_processes.ProcessSpec | None = None,
) -> None:
    """Wait until something holds.

    Args:
        holds: asked again and again.
        what: is waited for, for the error.
        seconds: how long.
        server: whose log ends with the reason.

    Raises:
        ActionFailedError: it did not come to hold.
    """
    end = monotonic_seconds() + seconds
    while not await holds():
        if monotonic_seconds() > end:
            why = f": {local_processes.last_line_of(server)}" if server else "."
            raise ActionFailedError(f"{what} did not come up in {seconds:.0f} s{why}")
        await asyncio.sleep(_POLL_SECONDS)

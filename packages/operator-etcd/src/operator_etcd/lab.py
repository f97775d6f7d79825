"""What etcd offers the lab: real clusters on loopback, in real time."""

import asyncio
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

from operator_core.clock import SYSTEM_CLOCK, Clock, utc_now
from operator_core.lab import Truth
from operator_core.lab_real import Event, Timeline
from operator_core.process_supervisor import LocalSupervisor
from operator_etcd import lab_faults
from operator_etcd.client import EtcdClient
from operator_etcd.cluster import LocalEtcdCluster, etcd_binary
from operator_etcd.invariants import target_of
from operator_etcd.lab_spec import LabSpec, read_spec
from operator_etcd.lab_truth import Start, truth_of
from operator_etcd.subject import EtcdSubject
from operator_etcd.survey import survey
from operator_etcd.transport import Timeouts

_TIMEOUTS = Timeouts(read_seconds=1.0, effect_seconds=2.0, maintenance_seconds=30.0)
_LOOK_SECONDS = 1.0
"""How long Operator waits for a member's answer: its looks are no more than seconds apart."""
_SPARE_SECONDS = 120
"""How long servers may outlive their scenario where the lab was killed and cannot end them."""
_NOWHERE = "http://127.0.0.1:1"
_MIB = 1024 * 1024


class EtcdLab:
    """Builds real clusters for the lab."""

    scenarios = Path(__file__).parent / "scenarios"
    is_real_time = True

    def build(self, table: Mapping[str, object], seed: int | None) -> "EtcdLabCluster":
        """Return the cluster of a scenario, not started yet.

        Args:
            table: ``cluster``, ``load`` and ``faults`` as `docs/lab.md` tells them.
            seed: of no use: chance here is what real time brings.

        Raises:
            RequestError: something in it is not right.
            ConfigurationError: there is no etcd server.
        """
        del seed
        spec = read_spec(table)
        etcd_binary()
        return EtcdLabCluster(spec)


class EtcdLabCluster:
    """A real cluster with clients that write, and with its faults still to come."""

    def __init__(self, spec: LabSpec) -> None:
        """Take the scenario; starts nothing."""
        self._spec = spec
        self.started_at = utc_now()
        self.fault_seconds = spec.fault_seconds
        self._ends = AsyncExitStack()
        self._cluster: LocalEtcdCluster
        self._client: EtcdClient
        self._start: Start
        self._written: list[bytes] = []
        self._timeline = Timeline()

    async def start(self) -> None:
        """Start the members and the clients; what was started is ended if the rest fails.

        Raises:
            ActionFailedError: etcd does not come up.
        """
        quota_bytes = self._spec.cluster.quota_mib * _MIB
        folder = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="operator-lab-etcd-"))
        self._ends.push_async_callback(asyncio.to_thread, shutil.rmtree, folder)
        lifetime_seconds = int(self._spec.duration) + _SPARE_SECONDS
        self._cluster = LocalEtcdCluster(
            folder, self._spec.cluster.members, quota_bytes, lifetime_seconds
        )
        self._ends.push_async_callback(self._cluster.stop)
        await self._cluster.start()
        self._client = EtcdClient(self._cluster.endpoints, _TIMEOUTS)
        self._ends.push_async_callback(self._client.close)
        members = (await survey(self._client)).members
        self._start = Start({one.id: one.name for one in members.values()}, quota_bytes)
        self._timeline = Timeline(_events(self._spec, self._cluster, self._client))
        self._ends.push_async_callback(self._timeline.end)
        rate = self._spec.load.writes_per_second
        self._timeline.run(lab_faults.write_for_ever(self._client, rate, self._written))
        self.started_at = utc_now()

    async def stop(self) -> None:
        """End clients, faults and members, frozen or not, and remove their data."""
        await self._ends.aclose()

    def subject(self, clock: Clock) -> EtcdSubject:
        """Return what Operator sees, over connections of its own."""
        client = EtcdClient(self._cluster.endpoints, Timeouts(read_seconds=_LOOK_SECONDS))
        return EtcdSubject(client, LocalSupervisor(self._cluster.file), "etcd-lab", clock)

    def catalogue(self) -> EtcdSubject:
        """Return the subject of no cluster, for its names."""
        supervisor = LocalSupervisor(Path("not-started"))
        return EtcdSubject(EtcdClient([_NOWHERE]), supervisor, "etcd-lab", SYSTEM_CLOCK)

    def targets(self) -> frozenset[str]:
        """Return the members, and the cluster."""
        count = self._spec.cluster.members
        return frozenset({"cluster", *(f"n{number}" for number in range(1, count + 1))})

    def advance_to(self, seconds: float) -> None:
        """Begin and end the faults whose time has come.

        Raises:
            OperatorError: one of them could not be made.
        """
        self._timeline.advance_to(seconds)

    @property
    def names(self) -> Mapping[str, str]:
        """The names of the members it was started with, by id."""
        return self._start.names

    async def truth(self) -> Truth:
        """Ask etcd: whether keys are there, writes are accepted, members follow a leader."""
        return await truth_of(self._client, self._start, list(self._written))

    def scenario_key(self, key: str) -> str:
        """Return a problem's key with the member's name: its id is another in every play."""
        rule, _, target = key.partition(":")
        by_target = {target_of(member_id): name for member_id, name in self.names.items()}
        return f"{rule}:{by_target.get(target, target)}"


def _events(spec: LabSpec, cluster: LocalEtcdCluster, client: EtcdClient) -> Iterator[Event]:
    """Yield what happens to a cluster."""
    for one in spec.faults:
        yield Event(one.at, partial(lab_faults.begin, one, cluster, client))
        if one.until is not None:
            yield Event(one.until, partial(lab_faults.end, one, cluster, client))

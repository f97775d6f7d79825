"""What Patroni offers the lab: real clusters on loopback, in real time."""

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
from operator_patroni import lab_faults
from operator_patroni.client import PatroniClient
from operator_patroni.cluster import LocalPatroniCluster
from operator_patroni.cluster_files import programs
from operator_patroni.lab_spec import LabSpec, read_spec
from operator_patroni.lab_truth import truth_of
from operator_patroni.rules import target_of
from operator_patroni.subject import PatroniSubject
from operator_patroni.transport import Timeouts

_TIMEOUTS = Timeouts(read_seconds=2.0)
"""How long Operator waits for a member's answer: its looks are no more than seconds apart."""
_NOWHERE = "http://127.0.0.1:1"
_SPARE_SECONDS = 240
"""How long servers may outlive their scenario where the lab was killed and cannot end them."""


class PatroniLab:
    """Builds real clusters for the lab."""

    scenarios = Path(__file__).parent / "scenarios"
    is_real_time = True

    def build(self, table: Mapping[str, object], seed: int | None) -> "PatroniLabCluster":
        """Return the cluster of a scenario, not started yet.

        Args:
            table: ``cluster``, ``load`` and ``faults`` as `docs/lab.md` tells them.
            seed: of no use: chance here is what real time brings.

        Raises:
            RequestError: something in it is not right.
            ConfigurationError: there is no PostgreSQL, Patroni or etcd.
        """
        del seed
        spec = read_spec(table)
        programs()
        return PatroniLabCluster(spec)


class PatroniLabCluster:
    """A real cluster with clients that write, and with its faults still to come."""

    def __init__(self, spec: LabSpec) -> None:
        """Take the scenario; starts nothing."""
        self._spec = spec
        self.started_at = utc_now()
        self.fault_seconds = spec.fault_seconds
        self._ends = AsyncExitStack()
        self._cluster: LocalPatroniCluster
        self._written: set[int] = set()
        self._timeline = Timeline()

    async def start(self) -> None:
        """Start the members and the clients; what was started is ended if the rest fails.

        Raises:
            ActionFailedError: the cluster does not come up.
        """
        folder = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="operator-lab-patroni-"))
        self._ends.push_async_callback(asyncio.to_thread, shutil.rmtree, folder)
        lifetime_seconds = int(self._spec.duration) + _SPARE_SECONDS
        options = self._spec.cluster.options()
        self._cluster = LocalPatroniCluster(folder, options, lifetime_seconds)
        self._ends.push_async_callback(self._cluster.stop)
        await self._cluster.start()
        await lab_faults.prepare_load(self._cluster)
        self._timeline = Timeline(_events(self._spec, self._cluster))
        self._ends.push_async_callback(self._timeline.end)
        rate = self._spec.load.writes_per_second
        self._timeline.run(lab_faults.write_for_ever(self._cluster, rate, self._written))
        self.started_at = utc_now()

    async def stop(self) -> None:
        """End clients, faults and members, frozen or not, and remove their data."""
        await self._ends.aclose()

    def subject(self, clock: Clock) -> PatroniSubject:
        """Return what Operator sees, over connections of its own."""
        client = PatroniClient(self._cluster.endpoints, _TIMEOUTS)
        supervisor = LocalSupervisor(self._cluster.file)
        return PatroniSubject(client, "patroni-lab", clock, supervisor=supervisor)

    def catalogue(self) -> PatroniSubject:
        """Return the subject of no cluster, for its names."""
        supervisor = LocalSupervisor(Path("not-started"))
        client = PatroniClient([_NOWHERE], _TIMEOUTS)
        return PatroniSubject(client, "patroni-lab", SYSTEM_CLOCK, supervisor=supervisor)

    def targets(self) -> frozenset[str]:
        """Return the members, and the cluster."""
        return frozenset({"cluster", *self._spec.cluster.options().names})

    def advance_to(self, seconds: float) -> None:
        """Begin and end the faults whose time has come.

        Raises:
            OperatorError: one of them could not be made.
        """
        self._timeline.advance_to(seconds)

    async def truth(self) -> Truth:
        """Ask PostgreSQL and Patroni: rows, writes, copies, and what was left over."""
        return await truth_of(self._cluster, frozenset(self._written))

    def scenario_key(self, key: str) -> str:
        """Return a problem's key with the member's name alone."""
        rule, _, target = key.partition(":")
        by_target = {target_of(name): name for name in self._cluster.names}
        return f"{rule}:{by_target.get(target, target)}"


def _events(spec: LabSpec, cluster: LocalPatroniCluster) -> Iterator[Event]:
    """Yield what happens to a cluster."""
    for one in spec.faults:
        yield Event(one.at, partial(lab_faults.begin, one, cluster))
        if one.until is not None:
            yield Event(one.until, partial(lab_faults.end, one, cluster))

"""What TiKV offers the lab: a simulated cluster, as a scenario says, and the truth about it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import httpx

from operator_core.clock import SYSTEM_CLOCK
from operator_core.errors import RequestError
from operator_core.lab import Truth
from operator_tikv.actions.schedulers import GRANT_LEADER, PLAIN_SCHEDULERS
from operator_tikv.pd.api import EVICT_LEADER
from operator_tikv.pd.client import PdClient
from operator_tikv.reads import CHECKERS
from operator_tikv.rules.words import store_target
from operator_tikv.simulator import create_app
from operator_tikv.simulator.api.schedulers import FURTHER
from operator_tikv.simulator.model import MetaState, NodeState
from operator_tikv.simulator.nodes import NodeError
from operator_tikv.simulator.raft import is_led
from operator_tikv.simulator.scenario import Scenario, ScenarioError, build, read_scenario
from operator_tikv.subject import TikvSubject

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from operator_core.clock import Clock
    from operator_tikv.simulator import SimulatedCluster
    from operator_tikv.simulator.model import Region
    from operator_tikv.simulator.world import World

_PD_URL: Final = "http://pd.lab:2379"
_GAIN_STORES: Final = frozenset({"join", "ghost_store", "lost_data"})
_TARGETS: Final = ("cluster", "pd", "regions", "read", "write", "pd/default")


class TikvLab:
    """Builds simulated clusters for the lab."""

    scenarios = Path(__file__).parent / "scenarios"
    is_real_time = False

    def build(self, table: Mapping[str, object], seed: int | None) -> TikvLabCluster:
        """Return the cluster of a scenario at its beginning.

        Args:
            table: ``cluster``, ``load`` and ``faults`` as `docs/simulator.md` tells them.
            seed: of every random choice; None: the scenario's own.

        Raises:
            RequestError: something in it is not right.
        """
        try:
            scenario = read_scenario(_seeded(table, seed))
            cluster = build(scenario)
        except ScenarioError as error:
            raise RequestError(str(error)) from error
        for number, one in enumerate(scenario.faults, 1):
            if one.at_seconds >= scenario.duration:
                end = f"its end, which is at {scenario.duration:g} s"
                raise RequestError(f"fault {number}: {one.name}: comes after {end}.")
        return TikvLabCluster(scenario, cluster)


def _seeded(table: Mapping[str, object], seed: int | None) -> dict[str, Any]:
    part = table.get("cluster", {})
    if seed is None or not isinstance(part, dict):
        return dict(table)
    return {**table, "cluster": {**part, "seed": seed}}


class TikvLabCluster:
    """A simulated cluster with its faults still to come."""

    def __init__(self, scenario: Scenario, cluster: SimulatedCluster) -> None:
        self._cluster = cluster
        self._schedulers = frozenset(cluster.world.pd.schedulers)
        self.started_at = datetime.fromtimestamp(cluster.world.epoch_unix_seconds, UTC)
        moments = {
            at for one in scenario.faults for at in (one.at_seconds, one.until_seconds) if at
        }
        self.fault_seconds = tuple(sorted(moments))
        self._may_gain_stores = any(one.name in _GAIN_STORES for one in scenario.faults)
        told = (*scenario.cluster.config, *(one.fault.model_dump() for one in scenario.faults))
        self._named = frozenset(_names_in(told))

    async def start(self) -> None:
        """Do nothing: a simulation runs no process."""

    async def stop(self) -> None:
        """Do nothing."""

    def subject(self, clock: Clock) -> TikvSubject:
        """Return the subject of the cluster, which it reaches without a network."""
        return TikvSubject(PdClient([_PD_URL], transport=Site(self._cluster)), clock=clock)

    def catalogue(self) -> TikvSubject:
        """Return the subject as it is: it reaches for nothing by itself."""
        return self.subject(SYSTEM_CLOCK)

    def targets(self) -> frozenset[str]:
        """Return stores and PD servers, and what else a rule of TiKV finds broken."""
        pd, stores = self._cluster.world.pd, self._cluster.world.stores
        members = (f"pd-{one.name}" for one in pd.members)
        # A store that joins, or comes back, has a number that PD gives it.
        known = () if self._may_gain_stores else map(store_target, stores)
        schedulers = (*PLAIN_SCHEDULERS, *FURTHER, EVICT_LEADER, GRANT_LEADER, *pd.schedulers)
        return frozenset({*_TARGETS, *CHECKERS, *schedulers, *self._named, *members, *known})

    def advance_to(self, seconds: float) -> None:
        """Let virtual time pass.

        Raises:
            RequestError: a fault could not be made, so that the play shows nothing.
        """
        self._cluster.advance_to(seconds)
        if refused := self._cluster.world.refused_faults:
            raise RequestError(f"A fault could not be made: {refused[0]}.")

    def scenario_key(self, key: str) -> str:
        """Return the key as it is: stores have the same ids in every play."""
        return key

    async def truth(self) -> Truth:
        """Count the regions that nobody serves and those with too few whole replicas."""
        world = self._cluster.world
        regions = list(world.raft)
        return Truth(
            unavailable=sum(not is_led(world, region) for region in regions),
            exposed=sum(_is_exposed(world, region) for region in regions),
            leftovers=tuple(self._leftovers(world)),
        )

    def _leftovers(self, world: World) -> list[str]:
        """Name what is on the cluster now and was not at its beginning, or is gone since."""
        now = frozenset(world.pd.schedulers)
        added = [f"{name} is left" for name in sorted(now - self._schedulers)]
        removed = [f"{name} is gone" for name in sorted(self._schedulers - now)]
        paused = [
            f"{name} is paused"
            for name, one in sorted(world.pd.schedulers.items())
            if one.paused_until_seconds > world.now_seconds
        ]
        leaving = [
            f"store {store.store_id} is leaving"
            for store in world.stores.values()
            if store.node_state is NodeState.REMOVING
        ]
        return [*added, *removed, *paused, *leaving]


def _names_in(values: object) -> Iterator[str]:
    """Yield every text in the parameters of faults: schedulers, checkers and items they name."""
    if isinstance(values, str):
        yield values
    elif isinstance(values, dict):
        yield from _names_in([*values.values()])
    elif isinstance(values, list | tuple):
        for one in values:
            yield from _names_in(one)


def _is_exposed(world: World, region: Region) -> bool:
    whole = [
        peer
        for peer in region.peers
        if peer.may_lead and region.is_healthy(peer) and _serves(world, peer.store_id)
    ]
    return len(whole) < world.pd.config.max_replicas


def _serves(world: World, store_id: int) -> bool:
    store = world.stores.get(store_id)
    return store is not None and store.process.alive and store.meta_state is not MetaState.TOMBSTONE


class Site(httpx.AsyncBaseTransport):
    """The network of a simulated cluster: PD's API, and each process's own page of metrics."""

    def __init__(self, cluster: SimulatedCluster) -> None:
        self._cluster = cluster
        names = [member.name for member in cluster.world.pd.members]
        cluster.world.member_urls.update({name: f"http://{name}.pd:2379" for name in names})
        self._pd = httpx.ASGITransport(app=create_app(cluster))

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer as the process behind the address does."""
        address = f"{request.url.host}:{request.url.port}"
        stores = self._cluster.world.stores.values()
        node = next((one.node for one in stores if one.status_address == address), None)
        if node is None and request.url.path == "/metrics":
            node = self._member_at(address)
        if node is None:
            return await self._pd.handle_async_request(request)
        try:
            return httpx.Response(200, text=self._cluster.metrics_text(node), request=request)
        except NodeError as error:
            raise httpx.ConnectError("refused", request=request) from error

    def _member_at(self, address: str) -> str | None:
        urls = self._cluster.world.member_urls
        return next((name for name, url in urls.items() if url == f"http://{address}"), None)

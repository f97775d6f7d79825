"""A TiKV cluster, seen and changed through PD."""

from collections.abc import Sequence

from operator_core.actions.types import ActionDefinition
from operator_core.clock import SYSTEM_CLOCK, Clock
from operator_core.monitor.types import Invariant, Observation
from operator_core.subject import ActionCall, Hypothesis, ProbeAnswer, SubjectDefaults
from operator_core.types import JsonObject
from operator_tikv import region_actions, store_actions
from operator_tikv.definitions import DEFINITIONS
from operator_tikv.hands import DEFAULT_POLL_SECONDS, Hands
from operator_tikv.hypotheses import HYPOTHESES
from operator_tikv.invariants import hurried
from operator_tikv.observation import observe
from operator_tikv.pd.api import PdApi
from operator_tikv.pd.client import PdClient
from operator_tikv.probe import probe


class TikvSubject(SubjectDefaults):
    """The adapter of one TiKV cluster.

    Args:
        client: the client of the cluster's PD; closed with the subject.
        name: what tickets and observations call the cluster.
        clock: time, for waiting and for the time of observations.
        poll_seconds: how often the cluster is looked at while an action waits.
        time_scale: how many times faster than real time the cluster lives (1 for real ones);
            the patience of the invariants is shortened by it.
    """

    def __init__(
        self,
        client: PdClient,
        *,
        name: str = "tikv",
        clock: Clock = SYSTEM_CLOCK,
        poll_seconds: float = DEFAULT_POLL_SECONDS,
        time_scale: float = 1.0,
    ) -> None:
        self.name = name
        self._api = PdApi(client)
        self._clock = clock
        self._hands = Hands(self._api, clock, poll_seconds)
        self._invariants = hurried(time_scale)

    async def observe(self) -> Observation:
        """Look at the cluster once.

        Raises:
            SubjectUnreachableError: no PD member could be reached.
        """
        return await observe(self._api, self.name, self._clock)

    def get_action_definitions(self) -> list[ActionDefinition]:
        """Return what can be done to a TiKV cluster."""
        return list(DEFINITIONS)

    def invariants(self) -> Sequence[Invariant]:
        """Return what holds on a healthy TiKV cluster."""
        return self._invariants

    def hypotheses(self) -> Sequence[Hypothesis]:
        """Return the causes known for a TiKV cluster."""
        return HYPOTHESES

    async def probe(self, call: ActionCall) -> ProbeAnswer:
        """Say whether an effect that was sent has happened; changes nothing."""
        return await probe(self._api, call)

    async def close(self) -> None:
        """Close the connections to PD."""
        await self._api.client.close()

    async def transfer_leader(self, region_id: int, to_store_id: int) -> JsonObject:
        """Let the replica on a store become its region's leader; see `region_actions`."""
        return await region_actions.transfer_leader(self._hands, region_id, to_store_id)

    async def transfer_peer(
        self, region_id: int, from_store_id: int, to_store_id: int
    ) -> JsonObject:
        """Move a region's replica to another store; see `region_actions`."""
        return await region_actions.transfer_peer(
            self._hands, region_id, from_store_id, to_store_id
        )

    async def drain_store(self, store_id: int) -> JsonObject:
        """Move all leaders off a store and keep them off; see `store_actions`."""
        return await store_actions.drain_store(self._hands, store_id)

    async def undrain_store(self, store_id: int) -> JsonObject:
        """Let a drained store lead regions again; see `store_actions`."""
        return await store_actions.undrain_store(self._hands, store_id)

    async def resume_scheduler(self, name: str) -> JsonObject:
        """Let a paused scheduler of PD run again; see `store_actions`."""
        return await store_actions.resume_scheduler(self._hands, name)

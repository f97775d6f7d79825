"""The etcd subject: what Operator sees of an etcd cluster and can do to it."""

from collections.abc import Sequence

from operator_core.actions.types import ActionDefinition
from operator_core.clock import SYSTEM_CLOCK, Clock
from operator_core.monitor.types import Invariant, Observation
from operator_core.monitor.verification import Capacity
from operator_core.process_supervisor import NoSupervisor, ProcessSupervisor
from operator_core.subject import ActionCall, Hypothesis, ProbeAnswer, SubjectDefaults
from operator_core.twin import Twin
from operator_core.types import JsonObject
from operator_etcd import maintenance, membership, probes
from operator_etcd.client import EtcdClient
from operator_etcd.definitions import DEFINITIONS
from operator_etcd.effects import Hands
from operator_etcd.hypotheses import HYPOTHESES
from operator_etcd.invariants import INVARIANTS
from operator_etcd.observation import observe
from operator_etcd.twin import twin_of


class EtcdSubject(SubjectDefaults):
    """One etcd cluster. Its action methods check, act, wait for the effect and report it."""

    def __init__(
        self,
        client: EtcdClient,
        supervisor: ProcessSupervisor | None = None,
        name: str = "etcd",
        clock: Clock = SYSTEM_CLOCK,
        settle_seconds: float = 20.0,
    ) -> None:
        """Take the client, the port to the processes, and how long to wait for an effect."""
        self.name = name
        self._clock = clock
        self._client = client
        self._supervisor = supervisor or NoSupervisor()
        self._hands = Hands(client, self._supervisor, clock, settle_seconds)

    async def observe(self) -> Observation:
        """Look at the cluster once.

        Raises:
            SubjectUnreachableError: no endpoint answers.
        """
        return await observe(self._client, self._supervisor, self._clock, self.name)

    def get_action_definitions(self) -> list[ActionDefinition]:
        """Return the actions of etcd."""
        return list(DEFINITIONS)

    def invariants(self) -> Sequence[Invariant]:
        """Return what holds on a healthy cluster."""
        return INVARIANTS

    def hypotheses(self) -> Sequence[Hypothesis]:
        """Return the causes that are known."""
        return HYPOTHESES

    def twin(self, observation: Observation) -> Twin | None:
        """Return a model of the cluster as it was observed; None: too little was seen."""
        return twin_of(observation)

    def capacity(self, observation: Observation) -> Capacity | None:
        """Return the members; None: nobody could list them."""
        if not observation.sees(("members",)):
            return None
        names = sorted(observation.data("members")["members"])
        return Capacity(members={"members": tuple(names)})

    async def probe(self, call: ActionCall) -> ProbeAnswer:
        """Say whether an effect that was sent has happened."""
        return await probes.probe(self._hands, call)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def move_leader(self, target_member_id: str) -> JsonObject:
        """Hand the leadership to another voter."""
        return await maintenance.move_leader(self._hands, target_member_id)

    async def compact(self, revision: int | None = None, keep_revisions: int = 0) -> JsonObject:
        """Drop the history before a revision."""
        return await maintenance.compact(self._hands, revision, keep_revisions)

    async def defragment(self, member_id: str) -> JsonObject:
        """Rewrite one member's database."""
        return await maintenance.defragment(self._hands, member_id)

    async def disarm_alarm(self, member_id: str, alarm: str = "NOSPACE") -> JsonObject:
        """Disarm the alarm that one member raised."""
        return await maintenance.disarm_alarm(self._hands, member_id, alarm)

    async def add_learner(self, peer_url: str) -> JsonObject:
        """Add a member without a vote."""
        return await membership.add_learner(self._hands, peer_url)

    async def promote_member(self, member_id: str) -> JsonObject:
        """Give a learner its vote."""
        return await membership.promote_member(self._hands, member_id)

    async def remove_member(self, member_id: str) -> JsonObject:
        """Take a member out of the cluster for good."""
        return await membership.remove_member(self._hands, member_id)

    async def restart_member(self, member_name: str, *, only_if_down: bool = False) -> JsonObject:
        """Restart a member's process."""
        return await membership.restart_member(self._hands, member_name, only_if_down=only_if_down)

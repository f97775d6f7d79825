"""The Patroni subject: what Operator sees of a cluster of PostgreSQL and can do to it."""

from collections.abc import Sequence

from operator_core.actions.types import ActionDefinition
from operator_core.clock import SYSTEM_CLOCK, Clock
from operator_core.monitor.types import Invariant, Observation
from operator_core.monitor.verification import Capacity
from operator_core.process_supervisor import NoSupervisor, ProcessSupervisor
from operator_core.subject import ActionCall, Hypothesis, ProbeAnswer, SubjectDefaults
from operator_core.twin import Twin
from operator_core.types import JsonObject
from operator_patroni import actions, probes
from operator_patroni.actions import Hands
from operator_patroni.client import PatroniClient
from operator_patroni.definitions import DEFINITIONS, PAUSE
from operator_patroni.hypotheses import HYPOTHESES
from operator_patroni.invariants import INVARIANTS
from operator_patroni.observation import members_of, observe
from operator_patroni.twin import twin_of


class PatroniSubject(SubjectDefaults):
    """One cluster. Its action methods check, act, wait for the effect and report it."""

    def __init__(
        self,
        client: PatroniClient,
        name: str = "patroni",
        clock: Clock = SYSTEM_CLOCK,
        settle_seconds: float = 60.0,
        supervisor: ProcessSupervisor | None = None,
    ) -> None:
        """Take the client, how long to wait for an effect, and the port to the processes."""
        self.name = name
        self._clock = clock
        self._client = client
        self._supervisor = supervisor or NoSupervisor()
        self._hands = Hands(client, clock, settle_seconds, supervisor=self._supervisor)

    async def observe(self) -> Observation:
        """Look at the cluster once.

        Raises:
            SubjectUnreachableError: no member answers.
        """
        return await observe(self._client, self._clock, self.name, self._supervisor)

    def get_action_definitions(self) -> list[ActionDefinition]:
        """Return the actions of Patroni."""
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

    def temporary_effects(self, observation: Observation) -> list[str] | None:
        """Return the pause, where there is one; None: the DCS was not read."""
        if not observation.sees(("members",)):
            return None
        return [PAUSE] if observation.data("members")["paused"] else []

    def capacity(self, observation: Observation) -> Capacity | None:
        """Return the members; None: nobody could list them."""
        if not observation.sees(("members",)):
            return None
        return Capacity(members={"members": tuple(sorted(members_of(observation)))})

    async def probe(self, call: ActionCall) -> ProbeAnswer:
        """Say whether an effect that was sent has happened."""
        return await probes.probe(self._hands, call)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def switchover(self, candidate: str) -> JsonObject:
        """Let the leader hand over to another member."""
        return await actions.switchover(self._hands, candidate)

    async def failover(self, candidate: str) -> JsonObject:
        """Let a member take over where nobody leads."""
        return await actions.failover(self._hands, candidate)

    async def restart_member(
        self, member_name: str, *, only_if_down: bool = False, only_if_pending: bool = False
    ) -> JsonObject:
        """Restart a member's PostgreSQL."""
        return await actions.restart_member(
            self._hands, member_name, only_if_down=only_if_down, only_if_pending=only_if_pending
        )

    async def restart_patroni(self, member_name: str) -> JsonObject:
        """Start a member's Patroni that does not answer."""
        return await actions.restart_patroni(self._hands, member_name)

    async def reinitialize_member(self, member_name: str) -> JsonObject:
        """Copy a replica's data anew."""
        return await actions.reinitialize_member(self._hands, member_name)

    async def reload_member(self, member_name: str) -> JsonObject:
        """Let a member read its configuration again."""
        return await actions.reload_member(self._hands, member_name)

    async def pause_cluster(self) -> JsonObject:
        """Begin the maintenance mode."""
        return await actions.set_pause(self._hands, paused=True)

    async def resume_cluster(self) -> JsonObject:
        """End the maintenance mode."""
        return await actions.set_pause(self._hands, paused=False)

    async def set_config(self, key: str, value: int) -> JsonObject:
        """Change one number of the dynamic configuration."""
        return await actions.set_config(self._hands, key, value)

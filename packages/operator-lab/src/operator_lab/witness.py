"""A subject under watch: what reaches the cluster is counted outside the engine."""

import json
from collections.abc import Collection, Sequence

from operator_core.actions.types import ActionDefinition
from operator_core.lab import LabCluster
from operator_core.monitor.types import Invariant, Observation
from operator_core.monitor.verification import Capacity
from operator_core.subject import (
    ActionCall,
    FullSubject,
    Hypothesis,
    ProbeAnswer,
    SubjectDefaults,
)
from operator_core.twin import Twin
from operator_lab.clock import VirtualClock
from operator_lab.words import Deed


class Witness(SubjectDefaults):
    """Hands everything on to a subject and writes down each call.

    Args:
        subject: what is watched.
        cluster: the truth behind it.
        clock: the time of the play.
    """

    def __init__(self, subject: FullSubject, cluster: LabCluster, clock: VirtualClock) -> None:
        self.name = subject.name
        self.clock = clock
        self.cluster = cluster
        self.deeds: list[Deed] = []
        self.looked: list[float] = []
        self.asked = False
        self.behind = subject

    async def observe(self) -> Observation:
        """Look at the cluster once, and write down when."""
        self.looked.append(self.clock.seconds)
        return await self.behind.observe()

    def get_action_definitions(self) -> list[ActionDefinition]:
        """Return what the subject can do."""
        return self.behind.get_action_definitions()

    def invariants(self) -> Sequence[Invariant]:
        """Return the subject's rules."""
        return self.behind.invariants()

    def hypotheses(self) -> Sequence[Hypothesis]:
        """Return the causes that the subject knows."""
        return self.behind.hypotheses()

    def twin(self, observation: Observation) -> Twin | None:
        """Return the subject's twin."""
        return self.behind.twin(observation)

    def capacity(self, observation: Observation) -> Capacity | None:
        """Return what the cluster has."""
        return self.behind.capacity(observation)

    def temporary_effects(self, observation: Observation) -> Collection[str] | None:
        """Return the temporary effects that the subject sees."""
        return self.behind.temporary_effects(observation)

    async def probe(self, call: ActionCall) -> ProbeAnswer:
        """Ask the subject whether an effect has happened."""
        return await self.behind.probe(call)

    async def close(self) -> None:
        """Let go of connections."""
        await self.behind.close()

    async def perform(self, call: ActionCall) -> object:
        """Let the subject do it, and write down what came of it."""
        began, served_before = self.clock.seconds, (await self.cluster.truth()).unavailable
        error = ""
        try:
            return await self.behind.perform(call)
        except BaseException as raised:
            error = f"{type(raised).__name__}: {raised}"
            raise
        finally:
            await self._note(call, began, served_before, error)

    async def _note(self, call: ActionCall, began: float, unavailable: int, error: str) -> None:
        ended = self.clock.seconds
        meanwhile = any(began <= at <= ended for at in self.cluster.fault_seconds)
        worse = (await self.cluster.truth()).unavailable > unavailable
        deed = Deed(
            action=call.action_name,
            parameters=json.dumps(call.parameters, sort_keys=True, default=str),
            began=began,
            ended=ended,
            error=error,
            did_harm=worse and not meanwhile,
            asked=self.asked,
        )
        self.deeds.append(deed)

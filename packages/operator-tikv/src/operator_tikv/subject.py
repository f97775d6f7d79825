"""A TiKV cluster, seen and changed through PD."""

import inspect
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

from operator_core.actions.types import ActionDefinition
from operator_core.clock import SYSTEM_CLOCK, Clock
from operator_core.errors import ActionRefusedError, UnknownActionError
from operator_core.monitor.types import Invariant, Observation
from operator_core.monitor.verification import Capacity
from operator_core.subject import ActionCall, Hypothesis, ProbeAnswer, SubjectDefaults
from operator_core.twin import Twin
from operator_core.types import JsonObject
from operator_tikv.actions.change import AnyChange
from operator_tikv.actions.perform import carry_out, probe
from operator_tikv.actions.table import CHANGES, DEFINITIONS
from operator_tikv.capacity import capacity_of
from operator_tikv.effects import temporary_effects
from operator_tikv.hands import DEFAULT_POLL_SECONDS, Hands
from operator_tikv.hypotheses import HYPOTHESES
from operator_tikv.invariants import hurried
from operator_tikv.metrics.sight import MetricsSettings
from operator_tikv.observation import Eyes
from operator_tikv.pd.api import PdApi
from operator_tikv.pd.client import PdClient
from operator_tikv.twin.twin import twin_of


class TikvSubject(SubjectDefaults):
    """The adapter of one TiKV cluster.

    Args:
        client: the client of the cluster's PD; closed with the subject.
        name: what tickets and observations call the cluster.
        clock: time, for waiting and for the time of observations.
        poll_seconds: how often the cluster is looked at while an action waits.
        time_scale: how many times faster than real time the cluster lives (1 for real ones);
            the patience of the invariants is shortened by it.
        metrics: how metrics are read; None: from each process.
    """

    def __init__(
        self,
        client: PdClient,
        *,
        name: str = "tikv",
        clock: Clock = SYSTEM_CLOCK,
        poll_seconds: float = DEFAULT_POLL_SECONDS,
        time_scale: float = 1.0,
        metrics: MetricsSettings | None = None,
    ) -> None:
        self.name = name
        self._api = PdApi(client)
        self._clock = clock
        self._eyes = Eyes(self._api, clock, metrics)
        self._hands = Hands(self._api, clock, poll_seconds)
        self._invariants = hurried(time_scale)

    async def observe(self) -> Observation:
        """Look at the cluster once.

        Raises:
            SubjectUnreachableError: no PD member could be reached.
        """
        return await self._eyes.look(self.name)

    def get_action_definitions(self) -> list[ActionDefinition]:
        """Return what can be done to a TiKV cluster."""
        return list(DEFINITIONS)

    def invariants(self) -> Sequence[Invariant]:
        """Return what holds on a healthy TiKV cluster."""
        return self._invariants

    def hypotheses(self) -> Sequence[Hypothesis]:
        """Return the causes known for a TiKV cluster."""
        return HYPOTHESES

    def twin(self, observation: Observation) -> Twin | None:
        """Return a model of the cluster as it was observed; None: too little was seen."""
        return twin_of(observation)

    def capacity(self, observation: Observation) -> Capacity | None:
        """Return stores, PD members and replicas; None: one of them was not read."""
        return capacity_of(observation)

    def temporary_effects(self, observation: Observation) -> list[str] | None:
        """Return evictions, grants, pauses and passing schedulers; None: PD was not read."""
        return temporary_effects(observation)

    async def perform(self, call: ActionCall) -> JsonObject:
        """Carry out one action, all the way to its effect; see `actions.perform`.

        Raises:
            UnknownActionError: there is no such action.
        """
        return await carry_out(
            self._hands, _change(call.action_name, call.parameters), call.progress
        )

    async def probe(self, call: ActionCall) -> ProbeAnswer:
        """Say whether an effect that was sent has happened; changes nothing."""
        if call.action_name not in CHANGES:
            return ProbeAnswer.UNKNOWN
        return await probe(self._api, _change(call.action_name, call.parameters))

    async def close(self) -> None:
        """Close the connections."""
        await self._eyes.close()
        await self._api.client.close()

    if TYPE_CHECKING:  # checkers do not see the methods that are made below

        def __getattr__(self: "TikvSubject", name: str) -> Callable[..., Awaitable[JsonObject]]:
            """Each action is also a coroutine method of its name, called by keyword."""


def _change(name: str, parameters: JsonObject) -> AnyChange:
    cls = CHANGES.get(name)
    if cls is None:
        raise UnknownActionError(name, CHANGES)
    try:
        return cls(**parameters)
    except TypeError as error:
        raise ActionRefusedError(f"{name} does not take {sorted(parameters)}: {error}") from error


def _method(change: type[AnyChange]) -> Callable[..., Awaitable[JsonObject]]:
    """Return the coroutine method of an action, with its parameters as its signature."""
    definition = change.definition

    async def method(self: TikvSubject, **parameters: object) -> JsonObject:
        return await self.perform(ActionCall(definition.name, parameters, idempotency_key=""))

    own = inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    taken = inspect.signature(change).parameters.values()
    method.__dict__["__signature__"] = inspect.Signature([own, *taken])
    method.__name__, method.__doc__ = definition.name, definition.description
    return method


for _one in CHANGES.values():
    setattr(TikvSubject, _one.definition.name, _method(_one))

"""The port a cluster adapter implements.

A subject needs only ``observe``, ``get_action_definitions`` and one coroutine method an
action, named like the action and called by keyword. What a deeper subject knows besides
(invariants, probes, hypotheses) it says by overriding the defaults of `SubjectDefaults`.

What an action method raises tells the engine what became of the effect:

* `ActionFailedError`: surely not done, trying again may help;
* `ActionRefusedError`: surely not done, trying again cannot help;
* `OutcomeUnknownError`, or any time-out: it was sent and nobody knows;
* any other exception: the method failed before its effect, as its author promises.
"""

import inspect
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol, cast, runtime_checkable

from operator_core.actions.types import ActionDefinition
from operator_core.errors import UnknownActionError
from operator_core.monitor.types import Invariant, Observation, Violation
from operator_core.monitor.verification import Capacity
from operator_core.twin import Twin
from operator_core.types import JsonObject

if TYPE_CHECKING:
    from operator_core.agent.diagnosis import Assessment

PROTOCOL_NAMES = frozenset(
    {
        "capacity",
        "close",
        "get_action_definitions",
        "hypotheses",
        "invariants",
        "observe",
        "perform",
        "probe",
        "temporary_effects",
        "twin",
    }
)
"""The methods of the port: no action has such a name."""


def _tell_nobody(text: str) -> None:
    del text


@dataclass(frozen=True)
class ActionCall:
    """One call of an action as the subject receives it.

    Attributes:
        action_name: the registered action.
        parameters: its validated arguments.
        idempotency_key: the same for each sending of one effect.
        time_limit_seconds: after that the call is stopped.
        progress: takes one line for people on how far the effect has come; may be called often.
    """

    action_name: str
    parameters: JsonObject
    idempotency_key: str
    time_limit_seconds: float = 60.0
    progress: Callable[[str], None] = field(default=_tell_nobody, compare=False, repr=False)


class ProbeAnswer(StrEnum):
    """The answer to "did the effect happen?"."""

    HAPPENED = "happened"
    NOT_HAPPENED = "not_happened"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Hypothesis:
    """One possible cause from a subject's catalogue.

    Attributes:
        name: short name, stable over releases.
        explains: names of the invariants whose violation it can explain.
        assess: what the cause would look like for this violation in this observation; pure.
            None where the cause makes no sense for this violation.
        prior: how likely it is before anybody looks.
        brings: names of the invariants that break as its consequence.
        is_cluster_wide: its consequences show anywhere, and not only at its own components.
    """

    name: str
    explains: frozenset[str]
    assess: "Callable[[Violation, Observation], Assessment | None]"
    prior: float = field(default=0.5)
    brings: frozenset[str] = frozenset()
    is_cluster_wide: bool = False


@runtime_checkable
class Subject(Protocol):
    """The least a cluster adapter must offer, besides its action methods."""

    async def observe(self) -> Observation:
        """Look at the cluster once; never changes it."""
        ...

    def get_action_definitions(self) -> list[ActionDefinition]:
        """Return the actions that this subject can do."""
        ...


class SubjectDefaults:
    """What a subject does where its author says nothing; deeper subjects override it."""

    name: str = "subject"

    def invariants(self) -> Sequence[Invariant]:
        """Return the rules that hold on a healthy cluster."""
        return ()

    def hypotheses(self) -> Sequence[Hypothesis]:
        """Return the causes that this subject knows."""
        return ()

    def twin(self, observation: Observation) -> Twin | None:
        """Return a model of the cluster as it was observed; None: there is none.

        Without one nobody knows how much an action would touch, so a person always approves.
        """
        del observation
        return None

    def temporary_effects(self, observation: Observation) -> Collection[str] | None:
        """Return the temporary effects to be seen in an observation, by name; pure.

        The names are those of `ActionDefinition.temporary_effect`, whoever made the effects.
        None: they cannot be seen in it.
        """
        del observation
        return None

    def capacity(self, observation: Observation) -> Capacity | None:
        """Return what the cluster has that a remedy must not cost it; pure.

        None: this observation does not tell, so that nothing is proven by it.
        """
        del observation
        return Capacity()

    async def perform(self, call: ActionCall) -> object:
        """Call the method that is named like the action, with the parameters by keyword.

        The engine asks for registered actions only. A method that has a parameter named
        ``idempotency_key`` gets the call's key.
        """
        return await call_method(self, call)

    async def probe(self, call: ActionCall) -> ProbeAnswer:
        """Say whether an effect that was sent has happened; changes nothing."""
        del call
        return ProbeAnswer.UNKNOWN

    async def close(self) -> None:
        """Let go of connections."""


async def call_method(target: object, call: ActionCall) -> object:
    """Call the coroutine method named like the action.

    Raises:
        UnknownActionError: there is no such method.
    """
    method = getattr(target, call.action_name, None)
    if call.action_name.startswith("_") or not callable(method):
        raise UnknownActionError(call.action_name, [])
    arguments = dict(call.parameters)
    if _takes_key(getattr(method, "__func__", method)):
        arguments["idempotency_key"] = call.idempotency_key
    result: object = method(**arguments)
    return await result if inspect.isawaitable(result) else result


@lru_cache(maxsize=1024)
def _takes_key(function: Callable[..., object]) -> bool:
    return "idempotency_key" in inspect.signature(function).parameters


class _Completed(SubjectDefaults):
    """A plain subject: what it does not say itself is as the defaults are."""

    def __init__(self, plain: Subject) -> None:
        self.behind = plain
        self.name = getattr(plain, "name", type(plain).__name__)
        for said in _said_by(type(plain)):
            setattr(self, said, getattr(plain, said))

    async def observe(self) -> Observation:
        return await self.behind.observe()

    def get_action_definitions(self) -> list[ActionDefinition]:
        return self.behind.get_action_definitions()

    async def perform(self, call: ActionCall) -> object:
        return await call_method(self.behind, call)


@lru_cache(maxsize=1024)
def _said_by(kind: type) -> tuple[str, ...]:
    """Return the methods of the port that a plain class has, each of the port's own kind."""
    is_async = inspect.iscoroutinefunction
    found = {name: getattr(kind, name, None) for name in PROTOCOL_NAMES}
    return tuple(
        name
        for name, own in found.items()
        if callable(own) and is_async(own) is is_async(getattr(_Completed, name))
    )


class FullSubject(Subject, Protocol):
    """A subject as the engine uses it: the least, with the defaults filled in."""

    name: str

    def invariants(self) -> Sequence[Invariant]:
        """Return the rules that hold on a healthy cluster."""
        ...

    def hypotheses(self) -> Sequence[Hypothesis]:
        """Return the causes that this subject knows."""
        ...

    def twin(self, observation: Observation) -> Twin | None:
        """Return a model of the cluster as it was observed; None: there is none."""
        ...

    def temporary_effects(self, observation: Observation) -> Collection[str] | None:
        """Return the temporary effects to be seen, by name; None: they cannot be seen."""
        ...

    def capacity(self, observation: Observation) -> Capacity | None:
        """Return what the cluster has that a remedy must not cost it; None: not to be told."""
        ...

    async def perform(self, call: ActionCall) -> object:
        """Carry out one registered action."""
        ...

    async def probe(self, call: ActionCall) -> ProbeAnswer:
        """Say whether an effect that was sent has happened."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...


def has_twin(subject: Subject) -> bool:
    """Return whether a subject has models of its own, so that a look for one is worth it."""
    return _overrides(subject, "twin")


def sees_effects(subject: Subject) -> bool:
    """Return whether a subject can list temporary effects at all."""
    return _overrides(subject, "temporary_effects")


def _overrides(subject: Subject, name: str) -> bool:
    """Return whether a subject says something itself where there is a default.

    One that hands everything on to another names it ``behind``: what that one says counts.
    """
    behind = getattr(subject, "behind", None)
    if behind is not None:
        return _overrides(behind, name)
    default: object = getattr(SubjectDefaults, name)
    return getattr(type(subject), name, default) is not default


def complete(subject: Subject) -> FullSubject:
    """Return the subject with the defaults filled in where it says nothing itself."""
    if isinstance(subject, SubjectDefaults):
        return cast("FullSubject", subject)
    return _Completed(subject)

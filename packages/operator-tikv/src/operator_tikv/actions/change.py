"""One change to a cluster: what to look at, whether it may be, how to ask, when it is done.

A change is written down once and serves four times: its definition for the registry, its
preflight and call and verification for the executor, its probe for an attempt in doubt, and
what restores the former state. `perform` puts the steps in order.
"""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar, Final, Generic, NoReturn, TypeVar, get_type_hints

from operator_core.actions.types import ActionDefinition, ParamDef
from operator_core.errors import OutcomeUnknownError
from operator_core.subject import ProbeAnswer
from operator_core.types import JsonObject, RiskLevel
from operator_tikv.actions.binding import BINDINGS
from operator_tikv.effects import EFFECT_SECONDS, EFFECTS
from operator_tikv.pd.api import PdApi
from operator_tikv.view import View

if TYPE_CHECKING:
    from operator_tikv.hands import Hands

MARGIN_SECONDS: Final = 60.0
"""What the engine's time limit leaves for looking before and after the wait."""

Seen = TypeVar("Seen")
_Class = TypeVar("_Class", bound="type[AnyChange]")


@dataclass(frozen=True)
class Change(ABC, Generic[Seen]):
    """One change; its fields are the parameters of the action. `Seen` is what it looks at."""

    definition: ClassVar[ActionDefinition]
    wait_seconds: ClassVar[float]
    stall_seconds: ClassVar[float | None]
    watch_seconds: ClassVar[float]

    def check_arguments(self) -> None:
        """Raise `ActionRefusedError` for arguments that make no sense on any cluster."""

    @abstractmethod
    async def read(self, api: PdApi) -> Seen:
        """Look at what the change is about.

        Raises:
            ActionRefusedError: there is no such thing.
            SubjectError: it cannot be read.
        """

    def check(self, view: View, now: Seen) -> None:
        """Raise where the change must not be, or cannot be, now; the default knows no reason."""

    @abstractmethod
    async def send(self, api: PdApi) -> None:
        """Ask PD for it; see `PdClient.send` for what is raised."""

    @abstractmethod
    def holds(self, now: Seen) -> bool:
        """Return whether everything is as the change wants it, so that nothing is to be done."""

    def is_done(self, before: Seen, now: Seen) -> bool:
        """Return whether the effect is there."""
        del before
        return self.holds(now)

    def ended(self, now: Seen) -> str:
        """Return why PD gave up without the effect; empty while it has not."""
        del now
        return ""

    @abstractmethod
    def shown(self, now: Seen) -> JsonObject:
        """Return what the record keeps of the state before and after."""

    def progress(self, before: Seen, now: Seen) -> str:
        """Return one line on how far the effect has come."""
        del before, now
        return f"waiting for the effect of {self.definition.name}"

    def undo(self, before: Seen, after: Seen) -> JsonObject | None:
        """Return the arguments with which `restored_by` or `inverse` brings the former state."""
        del before, after
        return None

    async def give_up(self, api: PdApi, before: Seen, why: str) -> NoReturn:
        """Say what it means that the effect does not come; may take back what was begun."""
        del api, before
        raise OutcomeUnknownError(
            f"PD took {self.definition.name}, but {why} its effect is not to be seen."
        )

    async def afterwards(self, hands: "Hands", view: View, before: Seen) -> JsonObject:
        """Do what belongs to the change once its effect is there, and say what came of it."""
        del hands, view, before
        return {}

    async def probe(self, api: PdApi) -> ProbeAnswer:
        """Say whether an effect that was sent has happened; changes nothing."""
        happened = self.holds(await self.read(api))
        return ProbeAnswer.HAPPENED if happened else ProbeAnswer.NOT_HAPPENED


AnyChange = Change[Any]


def action(  # noqa: PLR0913 - these are the facts that the engine must know of an action
    name: str,
    *,
    risk: RiskLevel,
    tags: tuple[str, ...],
    wait_seconds: float = 60.0,
    stall_seconds: float | None = None,
    watch_seconds: float = 0.0,
    requires_approval: bool = True,
    idempotent: bool = False,
    disruptive: bool = False,
    inverse: str | None = None,
    restored_by: str | None = None,
    shrinks: tuple[str, ...] = (),
) -> Callable[[_Class], _Class]:
    """Give a change its definition; its docstring is the description.

    Args:
        name: the name under which it is registered.
        risk: how much harm it can do at the wrong moment.
        tags: what kinds of change it is, for policies.
        wait_seconds: how long its effect may take.
        stall_seconds: how long it may come no further; None: as long as it may take.
        watch_seconds: how long it is looked at afterwards, to see whether PD leaves it so.
        requires_approval: the advice that a person look first; the policy alone decides.
        idempotent: whether sending it twice does no more than once.
        disruptive: whether nothing disruptive may run beside it.
        inverse: the action that undoes it with the same arguments.
        restored_by: the action that undoes it with the arguments in its result's `undo`.
        shrinks: what of the cluster's capacity it takes, see `ActionDefinition`.
    """
    bound = BINDINGS[name]

    def describe(cls: _Class) -> _Class:
        cls.wait_seconds, cls.stall_seconds = wait_seconds, stall_seconds
        cls.watch_seconds = watch_seconds
        cls.definition = ActionDefinition(
            name=name,
            description=" ".join((inspect.getdoc(cls) or name).split()),
            parameters=_parameters(cls),
            risk_level=risk,
            requires_approval=requires_approval,
            idempotent=idempotent,
            disruptive=disruptive,
            time_limit_seconds=wait_seconds + watch_seconds + MARGIN_SECONDS,
            inverse=inverse,
            tags=tags,
            restored_by=restored_by,
            shrinks=shrinks,
            target_parameters=bound.target,
            needs_sources=bound.needs,
            facts=bound.facts,
            changes=bound.changes,
            temporary_effect=EFFECTS.get(name),
            effect_seconds=EFFECT_SECONDS,
        )
        return cls

    return describe


def _parameters(cls: type[AnyChange]) -> dict[str, ParamDef]:
    """Read the parameters from the annotations of the fields; a default makes one optional."""
    hints = get_type_hints(cls, include_extras=True)
    found: dict[str, ParamDef] = {}
    for field in fields(cls):
        (param,) = (item for item in hints[field.name].__metadata__ if isinstance(item, ParamDef))
        default: dict[str, object] = {}
        if field.default is not MISSING:
            plain = list(field.default) if isinstance(field.default, tuple) else field.default
            default = {"required": False, "default": plain}
        found[field.name] = param.model_copy(update=default)
    return found

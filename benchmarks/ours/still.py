"""A subject that does nothing, apart from the engine: whose start is measured loads no more."""

from collections.abc import Callable

from operator_core.actions.types import ActionDefinition, ParamDef
from operator_core.monitor.types import Observation
from operator_core.subject import SubjectDefaults

ACTION = "touch"
SUBJECT = "bench"


class Still(SubjectDefaults):
    """A subject with one action that does nothing but say that it was called."""

    name = SUBJECT

    def __init__(self, on_effect: Callable[[int], None] | None = None) -> None:
        """Take who is told of each effect."""
        self.effects = 0
        self._on_effect = on_effect

    async def observe(self) -> Observation:
        """Return an observation without parts."""
        return Observation(subject=self.name)

    def get_action_definitions(self) -> list[ActionDefinition]:
        """Return the one action."""
        value = {"value": ParamDef(type="int", description="Any number")}
        return [
            ActionDefinition(
                name=ACTION, description="Do nothing", parameters=value, idempotent=True
            )
        ]

    async def touch(self, value: int) -> None:
        """Do nothing."""
        self.effects += 1
        if self._on_effect is not None:
            self._on_effect(value)

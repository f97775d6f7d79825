"""The registered actions: what the subject offers and the general tools. Nothing else runs."""

import inspect
from collections.abc import Iterable

from operator_core.actions.tools import TOOL_DEFINITIONS
from operator_core.actions.types import ActionDefinition, ActionType, ParamDef
from operator_core.actions.validation import definition_faults
from operator_core.errors import ConfigurationError, UnknownActionError
from operator_core.subject import PROTOCOL_NAMES, Subject

__all__ = ["ActionDefinition", "ActionRegistry", "ParamDef"]


class ActionRegistry:
    """The actions that may be called, by name.

    Args:
        subject: whose actions to register; without one there are only the general tools.

    Raises:
        ConfigurationError: the subject's definitions cannot be used; names every fault.
    """

    def __init__(self, subject: Subject | None = None) -> None:
        self._subject = subject
        self._definitions: dict[str, ActionDefinition] = {}
        self.looks_first = False
        """Whether the cluster must be looked at right before any of them."""
        self.refresh()

    def refresh(self) -> None:
        """Read the subject's definitions again; on an error the old ones stay.

        Raises:
            ConfigurationError: the subject's definitions cannot be used.
        """
        offered = [] if self._subject is None else _offered(self._subject)
        faults = [] if self._subject is None else _faults(offered)
        if faults:
            kind = type(self._subject).__name__
            raise ConfigurationError(f"Actions of subject {kind}: " + "; ".join(faults))
        every = [*offered, *TOOL_DEFINITIONS]
        self._definitions = {one.name: one for one in sorted(every, key=lambda one: one.name)}
        self.looks_first = any(one.looks_first for one in every)

    @property
    def subject_name(self) -> str | None:
        """The name of the subject whose actions these are, where it has one."""
        name = getattr(self._subject, "name", None)
        return name if isinstance(name, str) else None

    def get_definition(self, name: str) -> ActionDefinition | None:
        """Return the definition of an action, None where no such action is registered."""
        return self._definitions.get(name)

    def require(self, name: str) -> ActionDefinition:
        """Return the definition of an action.

        Raises:
            UnknownActionError: no such action is registered.
        """
        definition = self.get_definition(name)
        if definition is None:
            raise UnknownActionError(name, self._definitions)
        return definition

    def resendable(self) -> list[str]:
        """Return the names of the actions that do no more when they are done twice."""
        tool = ActionType.TOOL
        every = self._definitions.values()
        return [one.name for one in every if one.idempotent or one.action_type is tool]

    def list_action_names(self) -> list[str]:
        """Return the names of all registered actions, sorted."""
        return list(self._definitions)

    def list_definitions(self) -> list[ActionDefinition]:
        """Return all registered definitions, sorted by name."""
        return list(self._definitions.values())


def _offered(subject: Subject) -> list[ActionDefinition]:
    offered: object = subject.get_action_definitions()
    if inspect.iscoroutine(offered):
        offered.close()
        raise ConfigurationError("get_action_definitions must be a plain method, not async")
    if not isinstance(offered, Iterable):
        raise ConfigurationError(
            f"get_action_definitions must return a list, not {type(offered).__name__}"
        )
    definitions = list(offered)
    strangers = {type(one).__name__ for one in definitions if not isinstance(one, ActionDefinition)}
    if strangers:
        raise ConfigurationError(
            "get_action_definitions must return ActionDefinition objects, not "
            + ", ".join(sorted(strangers))
        )
    return definitions


def _faults(offered: list[ActionDefinition]) -> list[str]:
    names = [definition.name for definition in offered]
    duplicates = sorted({name for name in names if names.count(name) > 1})
    faults = [f"{name!r} is defined more than once" for name in duplicates]
    known = {*names, *(tool.name for tool in TOOL_DEFINITIONS)}
    for definition in offered:
        own = [*_name_faults(definition.name), *definition_faults(definition)]
        if definition.action_type is not ActionType.SUBJECT:
            own.append(f"its type must be subject, not {definition.action_type.value}")
        if definition.inverse is not None and definition.inverse not in known:
            own.append(f"its inverse {definition.inverse!r} is no action")
        faults += [f"{definition.name!r}: {fault}" for fault in own]
    return faults


def _name_faults(name: str) -> list[str]:
    if name.startswith("_"):
        return ["a name must not start with an underscore"]
    if name in PROTOCOL_NAMES:
        return ["the name belongs to the subject protocol"]
    if any(name == tool.name for tool in TOOL_DEFINITIONS):
        return ["the name belongs to a general tool"]
    return []

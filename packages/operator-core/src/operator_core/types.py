"""Ground words shared by every layer: JSON values, severities, risk and subject names."""

from enum import StrEnum
from typing import Any

JsonObject = dict[str, Any]
"""A JSON object as Python sees it. Its values are checked where they enter the program."""

ENTRY_POINT_GROUP = "operator.subjects"
"""Where a package of a subject offers its plugin, see `operator_core.plugin`."""

COMMANDS_GROUP = "operator.commands"
"""Where a package that is no subject offers commands, see `operator_core.plugin.CommandPack`."""

DEFAULT_PAGE_SIZE = 100
"""How many rows a list shows when nobody asks for another number."""


class Severity(StrEnum):
    """How bad a broken invariant is, from the point of view of the person on call."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """How bad as a number, the worst last."""
        return tuple(Severity).index(self)


class RiskLevel(StrEnum):
    """How much harm an action can do when it is used at the wrong moment."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


class RunMode(StrEnum):
    """Whether effects may happen: the ledger's one switch, shared by all processes."""

    OBSERVE = "observe"
    EXECUTE = "execute"

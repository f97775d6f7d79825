"""Diagnosis and the agent that acts on it."""

from typing import TYPE_CHECKING

from operator_core.late import late

if TYPE_CHECKING:
    from operator_core.agent.grouper import GroupStage
    from operator_core.agent.investigate import InvestigateStage
    from operator_core.agent.janitor import Janitor
    from operator_core.agent.reconsider import ReconsiderStage
    from operator_core.agent.remedies import Remedies

_LAZY = {
    "GroupStage": "operator_core.agent.grouper",
    "InvestigateStage": "operator_core.agent.investigate",
    "Janitor": "operator_core.agent.janitor",
    "ReconsiderStage": "operator_core.agent.reconsider",
    "Remedies": "operator_core.agent.remedies",
}

__all__ = ["GroupStage", "InvestigateStage", "Janitor", "ReconsiderStage", "Remedies"]

__getattr__ = late(__name__, _LAZY)

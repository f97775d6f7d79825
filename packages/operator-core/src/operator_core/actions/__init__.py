"""The action engine: words at once, machines on first use.

Machines are loaded lazily because they stand above `operator_core.db`, which itself needs the
words of this package: loading them here would be a circular import.
"""

from typing import TYPE_CHECKING

from operator_core.actions.retry import RetryConfig
from operator_core.actions.types import (
    ActionDefinition,
    ActionProposal,
    ActionRecord,
    ActionStatus,
    ActionType,
    AuditEvent,
    Outcome,
    ParamDef,
    SafetyMode,
    WorkflowProposal,
    WorkflowStatus,
)
from operator_core.errors import (
    ApprovalRequiredError,
    ObserveOnlyError,
    UnknownActionError,
    ValidationError,
)
from operator_core.late import late

if TYPE_CHECKING:
    from operator_core.actions.audit import ActionAuditor
    from operator_core.actions.executor import ActionExecutor
    from operator_core.actions.registry import ActionRegistry
    from operator_core.actions.safety import SafetyController
    from operator_core.actions.validation import validate_action_params
    from operator_core.agent.diagnosis import ActionRecommendation, WorkflowRecommendation

_LAZY = {
    "ActionRecommendation": "operator_core.agent.diagnosis",
    "WorkflowRecommendation": "operator_core.agent.diagnosis",
    "ActionAuditor": "operator_core.actions.audit",
    "ActionExecutor": "operator_core.actions.executor",
    "ActionRegistry": "operator_core.actions.registry",
    "SafetyController": "operator_core.actions.safety",
    "validate_action_params": "operator_core.actions.validation",
}

__all__ = [
    "ActionAuditor",
    "ActionDefinition",
    "ActionExecutor",
    "ActionProposal",
    "ActionRecommendation",
    "ActionRecord",
    "ActionRegistry",
    "ActionStatus",
    "ActionType",
    "ApprovalRequiredError",
    "AuditEvent",
    "ObserveOnlyError",
    "Outcome",
    "ParamDef",
    "RetryConfig",
    "SafetyController",
    "SafetyMode",
    "UnknownActionError",
    "ValidationError",
    "WorkflowProposal",
    "WorkflowRecommendation",
    "WorkflowStatus",
    "validate_action_params",
]

__getattr__ = late(__name__, _LAZY)

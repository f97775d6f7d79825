"""What an approval covers; pure.

Whoever approves a workflow approves the calls that it has at that moment. A step that comes
later, or whose action or arguments have changed since, is not among them.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping

from operator_core.actions.types import ActionProposal
from operator_core.types import JsonObject


def call_digest(action_name: str, parameters: JsonObject) -> str:
    """Return what identifies a call: equal for equal calls, whatever the order of arguments."""
    text = json.dumps([action_name, parameters], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def approved_steps(steps: Iterable[ActionProposal]) -> dict[str, str]:
    """Return what an approval of these steps covers, by the steps' ids."""
    return {str(step.id): call_digest(step.action_name, step.parameters) for step in steps}


def covers(approved: Mapping[str, str] | None, step: ActionProposal) -> bool:
    """Return whether a step is, unchanged, among those that were approved."""
    digest = (approved or {}).get(str(step.id))
    return digest is not None and digest == call_digest(step.action_name, step.parameters)

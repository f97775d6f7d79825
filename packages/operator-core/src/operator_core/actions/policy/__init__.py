"""Policy as a file: what may happen, on whose word, how often; pure.

`load` reads a policy's text, `decide` rules on a request by it. The file itself is read by
`operator_core.runtime.policy_file`, and what was decided lies in the ledger.
"""

from typing import TYPE_CHECKING

from operator_core.actions.policy.decide import decide
from operator_core.actions.policy.effect import Effect
from operator_core.actions.policy.request import BlastRadius, Decision, PolicyRequest
from operator_core.late import late

if TYPE_CHECKING:
    from operator_core.actions.policy.loading import (
        MAX_POLICY_CHARS,
        LoadedPolicy,
        PolicyError,
        load,
        shipped_policy,
    )
    from operator_core.actions.policy.words import Demand

_LAZY = {
    "Demand": "operator_core.actions.policy.words",
    "LoadedPolicy": "operator_core.actions.policy.loading",
    "MAX_POLICY_CHARS": "operator_core.actions.policy.loading",
    "PolicyError": "operator_core.actions.policy.loading",
    "load": "operator_core.actions.policy.loading",
    "shipped_policy": "operator_core.actions.policy.loading",
}

__all__ = [
    "MAX_POLICY_CHARS",
    "BlastRadius",
    "Decision",
    "Demand",
    "Effect",
    "LoadedPolicy",
    "PolicyError",
    "PolicyRequest",
    "decide",
    "load",
    "shipped_policy",
]

__getattr__ = late(__name__, _LAZY)

"""Policy as a file: what may happen, on whose word, how often; pure.

`load` reads a policy's text, `decide` rules on a request by it. The file itself is read by
`operator_core.runtime.policy_file`, and what was decided lies in the ledger.
"""

from operator_core.actions.policy.decide import decide
from operator_core.actions.policy.loading import LoadedPolicy, PolicyError, load, shipped_policy
from operator_core.actions.policy.request import (
    BlastRadius,
    Decision,
    Demand,
    PolicyRequest,
)
from operator_core.actions.policy.words import Effect

__all__ = [
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

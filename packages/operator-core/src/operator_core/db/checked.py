"""What a check of a proposal's call says, for the transaction that marks it valid."""

from typing import NamedTuple

from operator_core.actions.policy.request import BlastRadius
from operator_core.actions.types import ActionDefinition
from operator_core.types import JsonObject


class CheckedCall(NamedTuple):
    """A proposal's call as the registry knows it.

    Attributes:
        parameters: the canonical ones.
        disruptive: whether it runs alone on its subject.
        definition: of its action, for the policy; None: not known, which counts as the worst.
        blast: how much a twin says is touched, where it was rehearsed.
    """

    parameters: JsonObject
    disruptive: bool
    definition: ActionDefinition | None = None
    blast: BlastRadius | None = None

"""What a check of a proposal's call says, for the transaction that marks it valid."""

from dataclasses import dataclass

from operator_core.types import JsonObject


@dataclass(frozen=True)
class CheckedCall:
    """A proposal's call as the registry knows it: canonical parameters, and if it runs alone."""

    parameters: JsonObject
    disruptive: bool

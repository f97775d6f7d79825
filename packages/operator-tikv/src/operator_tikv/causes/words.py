"""How causes are written down: claims, steps, and the store a problem is about."""

from dataclasses import dataclass
from typing import Final

from pydantic import JsonValue

from operator_core.agent.diagnosis import (
    ActionRecommendation,
    Claim,
    Predicate,
    WorkflowRecommendation,
)
from operator_core.monitor.types import Observation, Violation
from operator_core.types import JsonObject
from operator_tikv.rules.words import store_id_of

SETTLE_SECONDS: Final = 5
"""How long a workflow lets the cluster settle before its last look."""


@dataclass(frozen=True)
class StoreCase:
    """A problem at one store.

    Attributes:
        store_id: the store, as the observation's key.
        store: what the observation says of it.
        others: the other stores, by id.
        observation: the whole observation.
    """

    store_id: str
    store: JsonObject
    others: JsonObject
    observation: Observation

    @property
    def name(self) -> str:
        """The store for people."""
        return f"store {self.store_id} ({self.store['address']})"

    def says(
        self,
        statement: str,
        key: str,
        predicate: Predicate,
        value: JsonValue = None,
        weight: float = 1.0,
    ) -> Claim:
        """Claim something of the store itself."""
        return claim(statement, f"stores/{self.store_id}/{key}", predicate, value, weight)


def store_case(violation: Violation, observation: Observation) -> StoreCase | None:
    """Return the store that a problem is about; None where it is about none that is seen."""
    store_id, stores = store_id_of(violation.target), observation.data("stores")
    if store_id not in stores:
        return None
    others = {key: store for key, store in stores.items() if key != store_id}
    return StoreCase(store_id, stores[store_id], others, observation)


def claim(
    statement: str, path: str, predicate: Predicate, value: JsonValue = None, weight: float = 1.0
) -> Claim:
    """Write down one statement of fact."""
    return Claim(statement=statement, path=path, predicate=predicate, value=value, weight=weight)


def step(
    action: str,
    reason: str,
    expected: str = "",
    risks: tuple[str, ...] = (),
    **parameters: JsonValue,
) -> ActionRecommendation:
    """Recommend one action."""
    return ActionRecommendation(
        action_name=action,
        parameters=parameters,
        reason=reason,
        expected_outcome=expected,
        risks=list(risks),
    )


def wait(seconds: int, reason: str) -> ActionRecommendation:
    """Let some time pass between two steps."""
    return step("wait", reason, seconds=seconds)


def note(message: str) -> ActionRecommendation:
    """Leave a line for the people who read the log."""
    return step("log_message", "For whoever reads the log.", message=message, level="info")


def workflow(name: str, description: str, *steps: ActionRecommendation) -> WorkflowRecommendation:
    """Recommend steps under one approval."""
    return WorkflowRecommendation(name=name, description=description, actions=list(steps))

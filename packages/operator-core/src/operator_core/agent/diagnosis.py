"""What a diagnosis says: cause, claims bound to an observation, alternatives, recommendations."""

import math
from enum import StrEnum
from typing import Annotated

from pydantic import BeforeValidator, ConfigDict, Field, JsonValue

from operator_core.actions.types import ActionRequest, Moment, Name
from operator_core.deferred import Deferred
from operator_core.monitor.types import Violation

# A default list is copied by pydantic. Where `list` itself is the factory, its signature is looked
# at, which compiles Python's tokenizer: a fortieth of the time that a start takes.

UNKNOWN_CAUSE = "unknown"
"""The honest answer when no hypothesis is supported by what was seen."""


class Predicate(StrEnum):
    """How a claim compares what stands at its path with its value."""

    EQ = "eq"
    NE = "ne"
    LT = "lt"
    LE = "le"
    GT = "gt"
    GE = "ge"
    CONTAINS = "contains"
    EXISTS = "exists"
    ABSENT = "absent"


def _storable(value: object) -> object:
    """Return a value as JSON keeps it: a number that JSON cannot tell would come back as null."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, list):
        return [_storable(one) for one in value]
    if isinstance(value, dict):
        return {key: _storable(one) for key, one in value.items()}
    return value


class Claim(Deferred):
    """One statement of fact that anybody can check again, offline, on the observation.

    ``path`` goes from a part's name to a value, its segments parted by slashes:
    ``stores/4/state_name``; a slash or tilde inside a segment is written as in a JSON
    pointer (``~1``, ``~0``). List elements are named by their index.
    """

    model_config = ConfigDict(frozen=True)

    statement: str = Field(description="The claim in words, for people")
    path: str
    predicate: Predicate
    value: Annotated[JsonValue, BeforeValidator(_storable)] = None
    observation_id: int | None = None
    weight: float = Field(
        default=1.0, gt=0, allow_inf_nan=False, description="How much it says for its cause"
    )


class ActionRecommendation(ActionRequest):
    """One action that a diagnosis recommends."""

    reason: str
    urgency: str = "medium"
    expected_outcome: str = ""
    risks: list[str] = Field(default=[])
    compensation: ActionRequest | None = Field(
        default=None,
        description="What undoes it where a later step of its workflow fails; the action's "
        "inverse if not given",
    )


class WorkflowRecommendation(Deferred):
    """Actions that belong together, in order, under one approval."""

    name: Name
    description: str
    actions: list[ActionRecommendation] = Field(min_length=1)


class Assessment(Deferred):
    """What one hypothesis says of one problem, before anybody weighed it."""

    cause: str = Field(description="The cause in words, for people")
    supports: list[Claim] = Field(default=[], description="True if this is the cause")
    contradicts: list[Claim] = Field(
        default=[], description="Claims that rule this cause out when they hold"
    )
    components: list[str] = Field(default=[])
    actions: list[ActionRecommendation] = Field(default=[])
    workflows: list[WorkflowRecommendation] = Field(default=[])
    risks: list[str] = Field(default=[])
    escalate: bool = Field(default=False, description="A person must decide what to do")


class Finding(Deferred):
    """What a claim met with when it was evaluated.

    ``seen`` is what stood at its path, as short text; None where nothing did.
    """

    model_config = ConfigDict(frozen=True)

    claim: Claim
    holds: bool
    seen: str | None = None
    why: str = Field(default="", description="Why it could not be evaluated as it was meant")


class Alternative(Deferred):
    """A cause that was considered and rejected: what would have to be seen, and what was."""

    cause: str
    hypothesis: str
    confidence: float = Field(ge=0, le=1)
    rejected_because: str
    expected: list[Finding] = Field(default=[])
    ruled_out_by: list[Finding] = Field(default=[])


class TimelineEntry(Deferred):
    """One moment of the incident."""

    at: Moment
    what: str


class PastFailure(Deferred):
    """Where, when and why a remedy failed before."""

    model_config = ConfigDict(frozen=True)

    ticket_id: int
    at: Moment
    why: str


class RemedyOutcomes(Deferred):
    """How often a remedy was proven to help before, and how often it did not."""

    model_config = ConfigDict(frozen=True)

    remedy: str = Field(description="The workflow's name, or the action's")
    verified: int = 0
    failed: int = 0
    rolled_back: int = Field(default=0, description="How many of those that failed")
    last_failure: PastFailure | None = None


class PastIncidents(Deferred):
    """Earlier incidents of a cause with the same signs, as a diagnosis took them into account."""

    model_config = ConfigDict(frozen=True)

    hypothesis: str
    signature: str = Field(description="Digest of the rule, the cause and the claims that held")
    seen: int = Field(description="How many tickets with it were resolved")
    ticket_ids: list[int] = Field(default=[], description="Which, the latest first")
    remedies: list[RemedyOutcomes] = Field(default=[])
    weight: float = Field(default=0.0, description="What they added when causes were put in order")


class Diagnosis(Deferred):
    """The structured answer to "what is wrong, how do we know, what should be done"."""

    id: int | None = None
    ticket_id: int | None = None
    subject: str | None = None
    observation_id: int | None = None
    diagnoser: str = Field(default="rules", description="Who answered: rules, or a model's name")
    violation: Violation | None = Field(default=None, description="What was to be explained")
    hypothesis: str = UNKNOWN_CAUSE
    cause: str
    confidence: float = Field(ge=0, le=1)
    evidence: list[Claim] = Field(default=[])
    struck: list[Finding] = Field(default=[], description="Claims that were made and did not hold")
    alternatives: list[Alternative] = Field(default=[])
    timeline: list[TimelineEntry] = Field(default=[])
    components: list[str] = Field(default=[])
    actions: list[ActionRecommendation] = Field(default=[])
    workflows: list[WorkflowRecommendation] = Field(default=[])
    risks: list[str] = Field(default=[])
    past: list[PastIncidents] = Field(
        default=[], description="Earlier incidents that it took into account"
    )
    escalate: bool = False
    cost_usd: float = 0.0
    created_at: Moment | None = None
    supersedes: int | None = Field(default=None, description="The diagnosis that it replaced")
    superseded_because: str = Field(default="", description="Why that one did not stand")

    @property
    def is_unknown(self) -> bool:
        """Whether no cause was found."""
        return self.hypothesis == UNKNOWN_CAUSE

"""The words of the action engine: proposals, workflows, records, definitions, audit events."""

import math
import re
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    JsonValue,
    StringConstraints,
    model_validator,
)

from operator_core.clock import as_utc, utc_now
from operator_core.deferred import Deferred
from operator_core.types import JsonObject, RiskLevel, RunMode

Moment = Annotated[datetime, AfterValidator(as_utc)]
"""A time in a model: naive input is local time, what is kept is aware UTC."""

Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
"""A name that is really there: no empty or blank text."""

SafetyMode = RunMode
"""The seeds' word for the run mode."""


class Positional(Deferred):
    """A model that also takes its fields by position, in the order in which they stand."""

    if not TYPE_CHECKING:  # checkers see the signature that pydantic makes of the fields

        def __init__(self: "Positional", *values: object, **named: object) -> None:
            """Take fields by position or by name."""
            if values:
                names = list(type(self).model_fields)
                if len(values) > len(names):
                    raise TypeError(f"{type(self).__name__} takes at most {len(names)} values")
                super().__init__(**dict(zip(names, values, strict=False)), **named)
            else:
                super().__init__(**named)


class ActionStatus(StrEnum):
    """The six states of a proposal."""

    PROPOSED = "proposed"
    VALIDATED = "validated"
    EXECUTING = "executing"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class ActionType(StrEnum):
    """Where an action comes from."""

    SUBJECT = "subject"
    TOOL = "tool"
    WORKFLOW = "workflow"


class WorkflowStatus(StrEnum):
    """The five states of a workflow."""

    PENDING = "pending"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Outcome(StrEnum):
    """What is known of an attempt's effect once it has ended."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    """Surely not done."""
    UNKNOWN = "unknown"
    """Sent, and no answer came: in doubt until a probe or a person settles it."""


KNOWN_TAGS = frozenset(
    {
        "config",
        "data-loss",
        "disruptive",
        "idempotent",
        "membership",
        "movement",
        "read-only",
        "restores-sight",
        "takes-back",
        "temporary",
        "tool",
    }
)
"""The words a policy can rely on; a subject may have others of its own."""

WHOLE_SUBJECT = ("*",)
"""As target parameters: the action acts on the subject as a whole, whatever its arguments."""

ParamType = Literal["int", "float", "str", "bool", "list", "object"]


class ParamDef(Positional):
    """One parameter of an action: its type and the values it allows."""

    model_config = ConfigDict(frozen=True)

    type: ParamType
    description: str = ""
    required: bool = True
    default: JsonValue = None
    enum: list[JsonValue] | None = None
    minimum: float | None = None
    maximum: float | None = None
    pattern: str | None = None

    @model_validator(mode="after")
    def _bounds_make_sense(self) -> "ParamDef":
        if self.pattern is not None:
            re.compile(self.pattern)
        bounds = [bound for bound in (self.minimum, self.maximum) if bound is not None]
        if not all(math.isfinite(bound) for bound in bounds) or bounds != sorted(bounds):
            raise ValueError("minimum and maximum must be finite and in order")
        return self


class ActionDefinition(Positional):
    """What a subject or tool can do: name, parameters and what the engine must know of it."""

    model_config = ConfigDict(frozen=True)

    name: Name
    description: str
    parameters: dict[str, ParamDef] = Field(default_factory=dict)
    action_type: ActionType = ActionType.SUBJECT
    risk_level: RiskLevel = RiskLevel.MEDIUM
    requires_approval: bool = Field(
        default=False,
        description="Its author's advice that a person look first; it decides nothing. "
        "The policy does: the shipped one asks a person for all but looking and taking back",
    )
    idempotent: bool = Field(
        default=False, description="Sending it twice does no more than sending it once"
    )
    disruptive: bool = Field(
        default=False, description="No other disruptive action of its subject runs beside it"
    )
    restores_sight: bool = Field(
        default=False, description="Allowed although the source of truth cannot be seen"
    )
    time_limit_seconds: float = Field(default=60.0, gt=0)
    inverse: str | None = Field(default=None, description="The action that undoes this one")
    version: int = 1
    tags: tuple[str, ...] = Field(default=(), description="What kind it is, see `KNOWN_TAGS`")
    target_parameters: tuple[str, ...] = Field(
        default=(),
        description="The parameters that say what it acts on; all, if none is named; "
        "`WHOLE_SUBJECT`: none of them does",
    )
    facts: tuple[str, ...] = Field(
        default=(),
        description="Paths in the observation that an approval is bound to, see `Claim`; "
        "{name} stands for a parameter",
    )
    changes: tuple[str, ...] = Field(
        default=(), description="Paths that it changes; in a workflow they are no drift after it"
    )
    shrinks: tuple[str, ...] = Field(
        default=(),
        description="What of the cluster's capacity it takes on purpose, see `Capacity`: "
        "kind/name of a member or the name of an amount; {name} stands for a parameter",
    )
    needs_sources: tuple[str, ...] = Field(
        default=(), description="Parts of the observation that must be seen whole, fresh, agreeing"
    )
    max_age_seconds: float = Field(
        default=60.0, gt=0, description="How old what it needs to see may be"
    )
    restored_by: str | None = Field(
        default=None,
        description="The action that undoes this one with the arguments in its result's `undo`",
    )
    temporary_effect: str | None = Field(
        default=None,
        description="What names the temporary effect that it leaves on the cluster, such as "
        "evict-leader/store-{store_id}; {name} stands for a parameter",
    )
    effect_seconds: float = Field(
        default=86_400.0, gt=0, description="How long that effect may stay at most"
    )

    @property
    def looks_first(self) -> bool:
        """Whether the cluster must be looked at right before it."""
        return bool(self.facts or self.needs_sources or self.temporary_effect)

    def effect_of(self, parameters: JsonObject) -> str | None:
        """Return the name of the temporary effect of a call; None: it has none."""
        template = self.temporary_effect
        return None if template is None else template.format_map(parameters)


class ActionRequest(Positional):
    """An action by its name, with its arguments."""

    action_name: Name
    parameters: JsonObject = Field(default_factory=dict)


class Compensation(ActionRequest):
    """The action that undoes a completed step, checked when the step was proposed."""

    action_type: ActionType = ActionType.SUBJECT
    disruptive: bool = False


class ActionProposal(Deferred):
    """One action that somebody wants done, and where it stands."""

    id: int | None = Field(default=None, description="Ledger id, None before insert")
    subject: str | None = Field(default=None, description="The subject it belongs to")
    ticket_id: int | None = Field(default=None, description="The ticket it is to resolve")
    action_name: Name = Field(description="Name of the registered action")
    action_type: ActionType = Field(default=ActionType.SUBJECT, description="Where it comes from")
    parameters: JsonObject = Field(default_factory=dict, description="Arguments of the action")
    reason: str = Field(description="Why it is proposed")
    status: ActionStatus = Field(default=ActionStatus.PROPOSED, description="Life-cycle state")
    proposed_at: Moment = Field(default_factory=utc_now, description="When it was proposed")
    proposed_by: str = Field(default="agent", description="Who proposed it")
    validated_at: Moment | None = Field(default=None, description="When it was found valid")
    cancelled_at: Moment | None = Field(default=None, description="When it was cancelled")

    approved_at: Moment | None = Field(default=None, description="When it was approved")
    approved_by: str | None = Field(default=None, description="Who approved it")
    rejected_at: Moment | None = Field(default=None, description="When it was rejected")
    rejected_by: str | None = Field(default=None, description="Who rejected it")
    rejection_reason: str | None = Field(default=None, description="Why it was rejected")

    workflow_id: int | None = Field(default=None, description="The workflow it is a step of")
    execution_order: int = Field(default=0, description="Place in the workflow, from 0")
    depends_on_proposal_id: int | None = Field(
        default=None, description="Proposal that must be completed before this one runs"
    )
    compensation: Compensation | None = Field(
        default=None, description="What undoes it where its workflow fails after it"
    )
    compensates_proposal_id: int | None = Field(
        default=None, description="The completed step that this one undoes"
    )

    scheduled_at: Moment | None = Field(default=None, description="Not before (None: at once)")
    schedule_id: int | None = Field(default=None, description="The schedule it was made by")
    schedule_due_at: Moment | None = Field(default=None, description="The run that it stands for")

    retry_count: int = Field(default=0, ge=0, description="Failures so far")
    max_retries: int = Field(default=3, ge=0, description="Tries stop at this many failures")
    next_retry_at: Moment | None = Field(default=None, description="When to try again")
    last_error: str | None = Field(default=None, description="Error of the last failed try")

    disruptive: bool = Field(default=False, description="Runs alone on its subject")
    owner: str | None = Field(default=None, description="Process that executes it")
    lease_expires_at: Moment | None = Field(default=None, description="End of the owner's lease")
    fence: int = Field(default=0, description="Fencing number: grows with each claim")
    effect: int = Field(default=1, description="Number of the effect in the idempotency key")
    in_doubt: bool = Field(default=False, description="Sent, and nobody knows if it happened")
    held: bool = Field(default=False, description="Restored: waits for a person's approval anew")

    @property
    def is_approved(self) -> bool:
        """Whether the proposal itself carries an approval that still stands."""
        return self.approved_at is not None and self.rejected_at is None and not self.held

    @property
    def awaits_resend(self) -> bool:
        """Whether it was sent, nobody knows what came of it, and it is to be sent again.

        Until `lease_expires_at` it belongs to nobody; then whoever is first claims it.
        """
        return (
            self.lease_expires_at is not None  # first, as most have none
            and self.owner is None
            and not self.in_doubt
            and self.status is ActionStatus.EXECUTING
        )


class WorkflowProposal(Deferred):
    """Actions that run one after the other under one approval."""

    id: int | None = Field(default=None, description="Ledger id, None before insert")
    subject: str | None = Field(default=None, description="The subject it belongs to")
    name: Name = Field(description="Name, such as drain_and_verify")
    description: str = Field(description="What it accomplishes")
    ticket_id: int | None = Field(default=None, description="The ticket it is to resolve")
    status: WorkflowStatus = Field(default=WorkflowStatus.PENDING, description="Life-cycle state")
    created_at: Moment = Field(default_factory=utc_now, description="When it was created")
    approved_at: Moment | None = Field(default=None, description="When it was approved")
    approved_by: str | None = Field(default=None, description="Who approved it")
    approved_steps: dict[str, str] | None = Field(
        default=None, description="What was approved: each step's id and the digest of its call"
    )
    paused_at: Moment | None = Field(default=None, description="No step starts since then")
    paused_by: str | None = Field(default=None, description="Who paused it")
    in_doubt: bool = Field(
        default=False, description="As it was read: nobody knows if one of its effects happened"
    )


class MissedPolicy(StrEnum):
    """What becomes of runs of a schedule that were missed."""

    RUN_ONCE = "run_once"
    """One proposal stands for all that were missed."""
    SKIP = "skip"
    """What is more than a minute late is left out."""


class Schedule(Deferred):
    """An action that is proposed again and again."""

    id: int | None = Field(default=None, description="Ledger id, None before insert")
    subject: str | None = Field(default=None, description="The subject it belongs to")
    name: Name = Field(description="Its name, of which there is one")
    cron: str = Field(description="When: minute, hour, day of month, month, day of week")
    time_zone: str = Field(default="UTC", description="IANA name of the zone of the times")
    action_name: Name = Field(description="Name of the registered action")
    action_type: ActionType = Field(default=ActionType.SUBJECT, description="Where it comes from")
    parameters: JsonObject = Field(default_factory=dict, description="Arguments of the action")
    reason: str = Field(description="Why it is done")
    missed_policy: MissedPolicy = Field(
        default=MissedPolicy.RUN_ONCE, description="What becomes of missed runs"
    )
    enabled: bool = Field(default=True, description="Whether it proposes anything")
    next_due_at: Moment | None = Field(default=None, description="The next run")
    last_due_at: Moment | None = Field(default=None, description="The last run proposed")
    last_proposal_id: int | None = Field(default=None, description="What was proposed for it")
    created_at: Moment | None = Field(default=None, description="When it was made")
    created_by: str | None = Field(default=None, description="Who made it")


class ActionRecord(Deferred):
    """One attempt to execute a proposal, and what came of it."""

    id: int | None = Field(default=None, description="Ledger id, None before insert")
    proposal_id: int = Field(description="The proposal that was attempted")
    started_at: Moment | None = Field(default=None, description="When the attempt began")
    completed_at: Moment | None = Field(default=None, description="When it ended")
    success: bool | None = Field(default=None, description="None while running or in doubt")
    error_message: str | None = Field(default=None, description="What went wrong")
    result_data: JsonObject | None = Field(default=None, description="What the action returned")
    outcome: Outcome | None = Field(default=None, description="None while running")
    idempotency_key: str | None = Field(default=None, description="Key sent with the effect")
    owner: str | None = Field(default=None, description="Process that made the attempt")
    fence: int | None = Field(default=None, description="Fencing number of the attempt")


class AuditEvent(Positional):
    """One line of the audit: what happened, to what, by whom, when."""

    model_config = ConfigDict(frozen=True)

    proposal_id: int | None = None
    event_type: Name
    event_data: JsonObject = Field(default_factory=dict)
    actor: str = "system"
    timestamp: Moment = Field(default_factory=utc_now)
    workflow_id: int | None = None
    ticket_id: int | None = None
    subject: str | None = None

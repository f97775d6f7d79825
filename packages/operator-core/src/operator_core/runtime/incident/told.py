"""What the audit's events say that a replay goes by, and what a policy was asked; pure.

An archive may come from anybody, so each is read once by what it must be.
"""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from operator_core.actions.types import Moment
from operator_core.db.engine import Row
from operator_core.db.exports import RULE_RESET, RULE_SET, SNOOZE_ENDED, SNOOZED
from operator_core.monitor.types import RuleSettings
from operator_core.monitor.verification import Verification
from operator_core.types import JsonObject, RiskLevel, RunMode, Severity

MAX_BACKOFF_SECONDS = 1e9
"""The longest wait that an archive is believed: some thirty years."""


class _Told(BaseModel):
    """What an event says; more than that is not read."""

    model_config = ConfigDict(strict=True, extra="ignore", defer_build=True, allow_inf_nan=False)


class _Diagnosed(_Told):
    digest: str = ""
    looks: dict[str, str] = Field(default_factory=dict)


class _Superseded(_Told):
    superseded: int
    diagnosis: int
    turn: str
    reason: str


class _Grouped(_Told):
    root_ticket_id: int | None = None
    ticket_id: int | None = None
    reason: str | None = None


class _Approved(_Told):
    policy: str = ""
    approved_by: str | None = None


class _Backoff(_Told):
    model_config = ConfigDict(extra="forbid")

    max_attempts: int = Field(ge=0)
    min_wait_seconds: float = Field(ge=0)
    max_wait_seconds: float = Field(ge=0, le=MAX_BACKOFF_SECONDS)
    exponential_base: float = Field(ge=1)
    jitter_fraction: float = Field(ge=0)


class _Retried(_Told):
    retry_count: int = Field(ge=0)
    next_retry_at: Moment | None = None
    backoff: _Backoff | None = None


class _TakenOver(_Told):
    lease_expires_at: Moment | None = None


class _Lease(_Told):
    lease_id: int | None = None
    effect: str | None = None
    until: Moment | None = None


class _Mode(_Told):
    to: RunMode
    kill_lifted: bool = False


class _Snoozed(_Told):
    snooze_id: int
    rule: str | None
    target: str | None
    until: Moment
    reason: str


class _SnoozeEnded(_Told):
    snooze_id: int


class _RuleReset(_Told):
    rule: str


class _RuleSet(_RuleReset):
    settings: RuleSettings


class _Verified(Verification):
    """The proof of a remedy; the ticket is told by the event's own column."""

    model_config = ConfigDict(extra="ignore")

    ticket_id: int = 0
    looks: int = Field(default=0, ge=0)


class _Blast(_Told):
    model_config = ConfigDict(extra="allow")


class _Request(_Told):
    """What a policy was asked, as `PolicyRequest.to_json` writes it down."""

    action: str
    now: Moment
    subject: str | None
    target: str
    tags: list[str]
    risk: RiskLevel
    proposer: str
    parameters: JsonObject
    severity: Severity | None
    confidence: float | None
    blast: _Blast | None
    suspects: list[str] = Field(default_factory=list)


class _Prediction(_Told):
    """What a twin foretold, as `Rehearsal.to_json` writes it down."""

    seconds: float | None
    changes: list[list[Any]]
    better: list[str]
    worse: list[str]
    blast: _Blast | None
    undo: list[str] = Field(default_factory=list)


class _Binds(_Told):
    """What a decision rests on."""

    version: int
    facts: list[str]
    changes: list[str]
    seen: JsonObject | None = None
    look_id: int | None = None


class _Counted(_Told):
    """What a claim's limits went by."""

    to: int = 0
    last_at: Moment | None = None
    helped: list[bool] = Field(default_factory=list)
    suspected_at: Moment | None = None


class _Source(_Told):
    """How a source was seen."""

    observed_at: Moment
    complete: bool
    error: str | None = None
    agrees: bool


class _Revisions(_Told):
    counted: _Counted | None = None
    sources: dict[str, _Source] | None = None


_APPROVAL: dict[str, TypeAdapter[Any]] = {
    "calls": TypeAdapter(dict[str, str]),
    "facts": TypeAdapter(dict[str, JsonObject]),
}
"""What a word is bound to, by step."""


_EVENTS: dict[str, type[BaseModel]] = {
    RULE_RESET: _RuleReset,
    RULE_SET: _RuleSet,
    SNOOZED: _Snoozed,
    SNOOZE_ENDED: _SnoozeEnded,
    "diagnosis_superseded": _Superseded,
    "execution_taken_over": _TakenOver,
    "mode_changed": _Mode,
    "proposal_approved": _Approved,
    "remedy_not_verified": _Verified,
    "remedy_verified": _Verified,
    "remedy_watched": _Verified,
    "retry_exhausted": _Retried,
    "retry_scheduled": _Retried,
    "ticket_diagnosed": _Diagnosed,
    "ticket_grouped": _Grouped,
    "ticket_took_in": _Grouped,
    "workflow_approved": _Approved,
}
"""What the events say whose content a replay goes by."""


def require_told(event: Row) -> None:
    """See that an event of the audit says what its kind says.

    Args:
        event: the event's row.

    Raises:
        ValueError: it does not.
    """
    kind = _EVENTS.get(event["event_type"])
    if kind is None and event["event_type"].startswith("effect_"):
        kind = _Lease
    if kind is not None:
        kind.model_validate_json(event["event_data"])


def require_request(text: str) -> None:
    """See that a text is what a policy was asked.

    Args:
        text: as JSON.

    Raises:
        ValueError: it is not.
    """
    _Request.model_validate_json(text)


def require_grounds(decision: Row) -> None:
    """See that a decision says what it rests on.

    Args:
        decision: its row.

    Raises:
        ValueError: it does not.
    """
    _Binds.model_validate_json(decision["binds"])
    _Revisions.model_validate_json(decision["revisions"])


def require_prediction(rehearsal: Row) -> None:
    """See that a rehearsal says what a twin foretold.

    Args:
        rehearsal: its row.

    Raises:
        ValueError: it does not.
    """
    _Prediction.model_validate_json(rehearsal["prediction"])


def require_bound(approval: Row) -> None:
    """See that an approval says what it is bound to.

    Args:
        approval: its row.

    Raises:
        ValueError: it does not.
    """
    for name in ("calls", "facts"):
        _APPROVAL[name].validate_json(approval[name])

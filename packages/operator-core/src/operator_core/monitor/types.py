"""The words of watching: observations, invariants, violations, tickets."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

from pydantic import ConfigDict, Field

from operator_core.actions.types import Moment, Name
from operator_core.clock import utc_now
from operator_core.deferred import Deferred
from operator_core.types import JsonObject, Severity

MAX_PATIENCE_SECONDS: Final = 30 * 86_400.0
"""The longest grace or clear time that a cluster can be given."""


class Part(Deferred):
    """What one source said, when, and whether it could say all of it."""

    model_config = ConfigDict(frozen=True)

    source: str = Field(description="Where it was read, such as a URL")
    observed_at: Moment
    complete: bool = True
    error: str | None = Field(default=None, description="Why it is not complete")
    agrees: bool = Field(
        default=True, description="False: sources contradict each other, or a minority speaks"
    )
    told_by: str | None = Field(
        default=None,
        description="The rule that tells why it is not complete, or not to be trusted: while that "
        "one is broken, the source is no problem of its own",
    )
    data: JsonObject = Field(default_factory=dict)


class Observation(Deferred):
    """One look at a cluster: named parts, each with its source, time and completeness."""

    model_config = ConfigDict(frozen=True)

    id: int | None = None
    subject: str | None = None
    observed_at: Moment = Field(default_factory=utc_now)
    parts: dict[str, Part] = Field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Whether every part could be read whole."""
        return bool(self.parts) and all(part.complete for part in self.parts.values())

    def sees(self, names: Iterable[str]) -> bool:
        """Return whether all the named parts were read whole."""
        return all(name in self.parts and self.parts[name].complete for name in names)

    def data(self, name: str) -> JsonObject:
        """Return what a part says; nothing where the part is missing."""
        part = self.parts.get(name)
        return part.data if part else {}


class OwnEffect(Deferred):
    """An action of Operator's own that leaves a cluster as a violation describes it.

    Attributes:
        action_name: the action.
        parameters: with exactly these.
        within_seconds: how long after it what it left is still meant.
    """

    model_config = ConfigDict(frozen=True)

    action_name: Name
    parameters: JsonObject
    within_seconds: float


class Violation(Deferred):
    """A broken invariant at one target."""

    model_config = ConfigDict(frozen=True)

    invariant: Name
    target: str = Field(default="", description="What it is broken at, such as store-4")
    message: str
    severity: Severity = Severity.WARNING
    metrics: JsonObject = Field(default_factory=dict, description="The readings behind it")
    meant_after: OwnEffect | None = Field(
        default=None, description="What Operator itself may have done, so that it is no problem"
    )

    @property
    def key(self) -> str:
        """The problem's identity: one open ticket a key."""
        return f"{self.invariant}:{self.target}"


Check = Callable[[Observation], Iterable[Violation]]
"""Returns the violations that an observation shows; reads only its argument."""


@dataclass(frozen=True)
class Invariant:
    """A rule that holds on a healthy cluster, as a pure function of an observation.

    Attributes:
        name: the name that tickets carry.
        description: what it means when it is broken, for people.
        check: finds the violations.
        needs: parts of the observation without which the rule cannot be judged. While one of
            them is missing or incomplete, nothing is opened or resolved by this rule.
        grace_seconds: how long a violation must last before a ticket opens.
        clear_seconds: how long it must be gone before the ticket resolves.
        thresholds: the numbers that ``check`` goes by, each named with its unit; a cluster may
            have others.
        build: makes the check for other thresholds; where it is missing there are none.
        unseen: names the targets that this observation says nothing about although its parts
            are whole; a ticket about one of them is neither opened nor resolved.
        is_setting: whether it reads what somebody set, which is so or is not, and does not flicker
            as what is measured does: a remedy that came out as rehearsed is then proven sooner.
        relapse_seconds: how soon after a remedy the problem would be seen again if it came back;
            a longer soak proves no more. None: nobody can say.
    """

    name: str
    description: str
    check: Check
    needs: tuple[str, ...] = ()
    grace_seconds: float = 0.0
    clear_seconds: float = 0.0
    thresholds: Mapping[str, float] = field(default_factory=dict)
    build: Callable[[Mapping[str, float]], Check] | None = None
    unseen: Callable[[Observation], Iterable[str]] | None = None
    is_setting: bool = False
    relapse_seconds: float | None = None


class RuleSettings(Deferred):
    """What one cluster wants otherwise of one rule; None: as the rule's author says."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    grace_seconds: float | None = Field(default=None, ge=0, le=MAX_PATIENCE_SECONDS)
    clear_seconds: float | None = Field(default=None, ge=0, le=MAX_PATIENCE_SECONDS)
    thresholds: dict[str, float] = Field(default_factory=dict)


class Snooze(Deferred):
    """Problems that open no ticket until a moment, because a person said so.

    Attributes:
        subject: the cluster; None: every cluster.
        rule: only problems of this rule; None: of every rule.
        target: only problems at this target; None: at every target.
        until: from then on it means nothing.
        ended_at: when somebody ended it before.
    """

    id: int | None = None
    subject: str | None = None
    rule: str | None = None
    target: str | None = None
    until: Moment
    reason: str
    created_at: Moment = Field(default_factory=utc_now)
    created_by: str
    ended_at: Moment | None = None
    ended_by: str | None = None

    def is_active(self, now: datetime) -> bool:
        """Return whether it still means something."""
        return self.ended_at is None and now < self.until

    def covers(self, rule: str, target: str, subject: str | None = None) -> bool:
        """Return whether it is about a problem, were it active."""
        wanted = ((self.rule, rule), (self.target, target), (self.subject, subject))
        return all(mine is None or mine == theirs for mine, theirs in wanted)

    def covers_ticket(self, ticket: "Ticket") -> bool:
        """Return whether it is about the problem of a ticket, were it active."""
        return self.covers(ticket.invariant_name, ticket.target, ticket.subject)


class TicketStatus(StrEnum):
    """The states of a ticket."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    DIAGNOSED = "diagnosed"
    RESOLVED = "resolved"


class TicketPhase(StrEnum):
    """What is being done about a ticket that is not resolved."""

    ACTING = "acting"
    VERIFYING = "verifying"
    ESCALATED = "escalated"


class Ticket(Deferred):
    """One problem of one cluster, from its first sighting to its proven end."""

    id: int | None = None
    subject: str | None = None
    violation_key: Name
    invariant_name: Name
    target: str = ""
    message: str
    severity: Severity = Severity.WARNING
    status: TicketStatus = TicketStatus.OPEN
    phase: TicketPhase | None = None
    phase_since: Moment | None = None
    held: bool = False
    held_by: str | None = None
    hold_reason: str | None = None
    occurrence_count: int = 1
    flap_count: int = 0
    metric_snapshot: JsonObject | None = None
    first_seen_at: Moment = Field(default_factory=utc_now)
    last_seen_at: Moment = Field(default_factory=utc_now)
    acknowledged_at: Moment | None = None
    acknowledged_by: str | None = None
    diagnosed_at: Moment | None = None
    resolved_at: Moment | None = None
    resolved_by: str | None = None
    resolution: str | None = None
    root_ticket_id: int | None = Field(
        default=None, description="The ticket whose cause brings this one"
    )

    @property
    def violation(self) -> Violation:
        """The violation it tells of, as it was last seen."""
        return Violation(
            invariant=self.invariant_name,
            target=self.target,
            message=self.message,
            severity=self.severity,
            metrics=self.metric_snapshot or {},
        )


@dataclass
class Sighting:
    """What the monitor remembers of one problem between two looks (kept in the ledger)."""

    violation: Violation
    first_seen_at: datetime
    last_seen_at: datetime
    clear_since: datetime | None = field(default=None)

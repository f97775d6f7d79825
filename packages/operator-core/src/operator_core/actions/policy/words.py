"""What stands in a policy file, as models: a key that is not known here is refused."""

import re
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

from operator_core.actions.policy.effect import DAY_SECONDS, Effect
from operator_core.deferred import Deferred
from operator_core.types import RiskLevel, Severity

LONGEST_SECONDS = 10 * 366 * DAY_SECONDS
"""Longer than that nothing of the past counts; a larger number is a slip."""


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("characters that cannot be seen are not allowed in it")
    return text


def _written(text: str) -> str:
    _printable("".join(text.split()))  # lines may be broken, and nothing else be hidden
    return text


def _no_bool(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("a number is meant here, not true or false")  # noqa: TRY004 - a fault
    return value


_SHORT = StringConstraints(strip_whitespace=True, min_length=1, max_length=200)
Word = Annotated[str, _SHORT, AfterValidator(_printable)]
Condition = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=1000),
    AfterValidator(_written),
]
Number = BeforeValidator(_no_bool)
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False), Number]
Seconds = Annotated[float, Field(gt=0, le=LONGEST_SECONDS, allow_inf_nan=False), Number]
Count = Annotated[int, Number]


def _listed(value: object) -> object:
    return (value,) if isinstance(value, str) else value


def _time_of_day(text: str) -> str:
    if not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d|24:00", text):
        raise ValueError(f"{text!r} is no time of day; write it as 09:30")
    return text


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"{name!r} is no time zone; write it as Europe/Berlin") from None
    return name


Words = Annotated[tuple[Word, ...], BeforeValidator(_listed)]
Risks = Annotated[tuple[RiskLevel, ...], BeforeValidator(_listed)]
Severities = Annotated[tuple[Severity, ...], BeforeValidator(_listed)]
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
Days = Annotated[tuple[Day, ...], BeforeValidator(_listed)]
TimeOfDay = Annotated[str, AfterValidator(_time_of_day)]


class Strict(Deferred):
    """A table of the file."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Named(Strict):
    """A table with a name, by which audits and messages call it."""

    name: Word


class Hours(Strict):
    """A window of time that comes again: days of the week, hours of the day, in a zone."""

    days: Days = Field(default=(), description="All days, if none is named")
    start: TimeOfDay = Field(default="00:00", alias="from")
    end: TimeOfDay = Field(default="24:00", alias="until", description="May lie past midnight")
    zone: Annotated[str, AfterValidator(_zone)] = "UTC"

    @model_validator(mode="after")
    def _has_a_length(self) -> "Hours":
        if self.start == self.end:
            raise ValueError("a window of time must not end when it begins")
        return self


class Match(Strict):
    """What a request must be like; what is not named is not looked at.

    Names take the wild cards ``*`` and ``?``. What is not known counts as the worst: a share
    as everything, a confidence as none.
    """

    action: Words = ()
    subject: Words = ()
    target: Words = ()
    proposer: Words = ()
    tags: Words = Field(default=(), description="Has at least one of them")
    tags_all: Words = Field(default=(), description="Has each of them")
    tags_none: Words = Field(default=(), description="Has none of them")
    risk: Risks = ()
    severity: Severities = ()
    data_share_above: Share | None = None
    data_share_at_most: Share | None = None
    leader_share_above: Share | None = None
    leader_share_at_most: Share | None = None
    client_share_above: Share | None = None
    client_share_at_most: Share | None = None
    quorum_share_above: Share | None = None
    quorum_share_at_most: Share | None = None
    confidence_at_least: Share | None = None
    confidence_below: Share | None = None
    time: Hours | None = None


class Demand(Strict):
    """So many people of a role."""

    role: Word
    count: Count = Field(default=1, ge=1, le=100)

    def of(self, count: int) -> "Demand":
        """Return the demand for another number of the same people."""
        return self.model_copy(update={"count": count})


class Rule(Named):
    """One rule; the first that matches decides."""

    match: Match = Field(default_factory=Match)
    when: Condition | None = Field(default=None, description="A condition in CEL")
    effect: Effect
    approvals: tuple[Demand, ...] = ()
    distinct: bool = Field(default=True, description="Nobody stands for two roles")
    proposer_may_approve: bool = False
    expires_seconds: Seconds = Field(default=DAY_SECONDS, le=366 * DAY_SECONDS)
    reason: Annotated[str, AfterValidator(_written)] = ""

    @model_validator(mode="after")
    def _approvals_fit(self) -> "Rule":
        if (self.effect is Effect.APPROVE) != bool(self.approvals):
            raise ValueError(
                'approvals = [{role = …, count = …}] belongs to effect = "approve", and to no other'
            )
        roles = [demand.role for demand in self.approvals]
        if len(set(roles)) != len(roles):
            raise ValueError("a role stands twice in approvals; raise its count instead")
        return self


class Limit(Named):
    """At most so many attempts in so long."""

    match: Match = Field(default_factory=Match)
    count: Count = Field(ge=0, description="0: none at all")
    per_seconds: Seconds
    per: Literal["target", "subject", "ledger"] = "subject"


class Cooldown(Named):
    """The same action leaves the same target alone for so long."""

    match: Match = Field(default_factory=Match)
    seconds: Seconds


class Breaker(Named):
    """A remedy that did not help so often in a row is not tried on that target again."""

    match: Match = Field(default_factory=Match)
    tries: Count = Field(ge=1, le=100)
    within_seconds: Seconds = DAY_SECONDS


class Suspects(Named):
    """With more than so many suspects of one kind at a time, nobody knows which one it is."""

    match: Match = Field(default_factory=Match)
    at_most: Count = Field(default=1, ge=1, le=100, description="So many are clear enough")
    within_seconds: Seconds = 3600.0
    effect: Literal["approve", "deny"] = Field(
        default="approve", description="What becomes of what would have been done without a person"
    )


def _several_suspects() -> tuple[Suspects, ...]:
    match = Match(tags=("disruptive", "membership"))
    return (Suspects(name="several suspects", match=match),)


class Freeze(Named):
    """A time in which nothing that matches starts; tickets go on, and resolve."""

    match: Match = Field(default_factory=Match)
    starts: AwareDatetime | None = None
    ends: AwareDatetime | None = None
    hours: Hours | None = None

    @model_validator(mode="after")
    def _says_when(self) -> "Freeze":
        span = (self.starts, self.ends)
        if (self.hours is None) == (None in span) or (self.hours and span != (None, None)):
            raise ValueError("say either starts and ends (with a zone), or hours")
        if self.starts and self.ends and self.starts >= self.ends:
            raise ValueError("starts must lie before ends")
        return self


class Policy(Strict):
    """A whole policy file."""

    version: Literal[1] = 1
    roles: dict[Word, Words] = Field(default_factory=dict)
    disruptive_at_once: Count = Field(
        default=1, ge=0, le=1, description="Disruptive actions at a time on one subject"
    )
    unknown_blast: Literal["approve", "as ruled"] = Field(
        default="approve", description="What becomes of `auto` where no twin knows the harm"
    )
    rule: tuple[Rule, ...] = ()
    limit: tuple[Limit, ...] = ()
    cooldown: tuple[Cooldown, ...] = ()
    breaker: tuple[Breaker, ...] = ()
    suspects: tuple[Suspects, ...] = Field(
        default_factory=_several_suspects, description="The first that matches counts; [] for none"
    )
    freeze: tuple[Freeze, ...] = ()

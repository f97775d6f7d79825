"""Tables of requests and what a policy must say of them, as TOML beside the policy; pure."""

import tomllib
from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic import AwareDatetime, Field
from pydantic import ValidationError as ModelError

from operator_core.actions.policy.decide import decide
from operator_core.actions.policy.effect import Effect
from operator_core.actions.policy.loading import LoadedPolicy, PolicyError, model_faults
from operator_core.actions.policy.request import BlastRadius, Decision, PolicyRequest
from operator_core.actions.policy.words import Share, Strict, Words
from operator_core.types import JsonObject, RiskLevel, Severity

_SOME_DAY = datetime(2026, 1, 1, tzinfo=UTC)


class CaseBlast(Strict):
    """How much is touched."""

    data_share: Share | None = None
    leader_share: Share | None = None
    client_share: Share | None = None
    quorum_share: Share | None = None


class CaseRequest(Strict):
    """A request; what is left out is not known."""

    action: str
    subject: str | None = None
    target: str = ""
    tags: Words = ()
    risk: RiskLevel = RiskLevel.MEDIUM
    proposer: str = "agent"
    parameters: JsonObject = Field(default_factory=dict)
    severity: Severity | None = None
    confidence: Share | None = None
    blast: CaseBlast | None = None
    suspects: Words = Field(default=(), description="Who else is suspected of the same")
    now: AwareDatetime = _SOME_DAY

    def request(self) -> PolicyRequest:
        """Return it as the gate would ask it."""
        own = self.model_dump(exclude={"blast", "tags"})
        blast = BlastRadius(**self.blast.model_dump()) if self.blast else None
        return PolicyRequest(**own, tags=frozenset(self.tags), blast=blast)


class Expected(Strict):
    """What the policy must say; what is left out is not looked at."""

    effect: Effect
    rule: str | None = None
    approvals: int | None = Field(default=None, ge=0, description="How many people in all")


class Case(Strict):
    """One line of the table."""

    name: str
    request: CaseRequest
    expect: Expected


class Cases(Strict):
    """The whole table."""

    case: tuple[Case, ...] = Field(min_length=1)


@dataclass(frozen=True)
class CaseResult:
    """What came of one case: what was wrong, if anything."""

    name: str
    wrong: str
    decision: Decision


def load_cases(text: str) -> tuple[Case, ...]:
    """Return the cases of a text.

    Raises:
        PolicyError: it cannot be used; names every fault.
    """
    try:
        return Cases.model_validate(tomllib.loads(text)).case
    except tomllib.TOMLDecodeError as error:
        raise PolicyError((f"the cases are no TOML: {error}",)) from error
    except ModelError as error:
        raise PolicyError(tuple(model_faults(error))) from error


def try_case(loaded: LoadedPolicy, case: Case) -> CaseResult:
    """Return whether a policy says of a case what it must."""
    decision = decide(loaded, case.request.request())
    people = sum(demand.count for demand in decision.approvals)
    pairs = [
        ("effect", case.expect.effect.value, decision.effect.value),
        ("rule", case.expect.rule, decision.rule),
        ("approvals", case.expect.approvals, people),
    ]
    wrong = "; ".join(
        f"{name} is {found!r}, not {wanted!r}"
        for name, wanted, found in pairs
        if wanted is not None and wanted != found
    )
    return CaseResult(case.name, wrong, decision)

"""The offline diagnoser: weighs a subject's hypotheses by what was seen. No key, no network.

``confidence = share * (0.5 + prior / 2)``: the share of a hypothesis's evidence (by weight)
that holds, times how likely the cause is before one looks. So confidence never exceeds the
share; full evidence gives 0.5 for the most unlikely cause and 1 for one that is always it;
a cause of prior 0.5 needs two thirds of its evidence to be believed.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from operator_core.actions.outcomes import error_text
from operator_core.agent.diagnosis import (
    UNKNOWN_CAUSE,
    Alternative,
    Assessment,
    Claim,
    Diagnosis,
    Finding,
    Predicate,
    TimelineEntry,
)
from operator_core.agent.evidence import (
    bind,
    finding,
    holds,
    part_name,
    resolve,
    share_held,
    shown,
)
from operator_core.agent.recommend import remedy_of
from operator_core.monitor.types import Observation, Violation
from operator_core.subject import Hypothesis

MIN_CONFIDENCE = 0.5
"""Below it a hypothesis is no answer; the cause is then unknown."""

TIE_MARGIN = 0.05
"""Two causes no further apart than this are equally likely."""


@dataclass(frozen=True)
class _Weighed:
    """A hypothesis after it was weighed."""

    hypothesis: Hypothesis
    assessment: Assessment
    held: tuple[Claim, ...]
    ruled_out_by: tuple[Claim, ...]
    confidence: float


def diagnose(
    violation: Violation,
    observation: Observation,
    hypotheses: Iterable[Hypothesis],
    *,
    timeline: Sequence[TimelineEntry] = (),
    now: datetime,
) -> Diagnosis:
    """Return the best supported cause of a violation, or that it is unknown.

    Where two causes with different remedies are equally likely, the first is answered and a
    person is asked to decide.

    Args:
        violation: what is to be explained.
        observation: the evidence; every claim is evaluated on it.
        hypotheses: the subject's catalogue; those that do not explain this are left out.
        timeline: what happened before, passed through.
        now: when the diagnosis is made.
    """
    weighed, failed = _weigh_all(violation, observation, hypotheses)
    best = weighed[0] if weighed and weighed[0].confidence >= MIN_CONFIDENCE else None
    rejected = [one for one in weighed if one is not best]
    alternatives = [_rejected(one, best, observation) for one in rejected] + failed
    answer = _answer(best, observation) if best else _unknown()
    return answer.model_copy(
        update={
            "subject": observation.subject,
            "violation": violation,
            "observation_id": observation.id,
            "alternatives": alternatives,
            "timeline": list(timeline),
            "escalate": answer.escalate or any(_is_tie(best, one) for one in rejected),
            "created_at": now,
        }
    )


# --- weighing -------------------------------------------------------------------------


def _weigh_all(
    violation: Violation, observation: Observation, hypotheses: Iterable[Hypothesis]
) -> tuple[list[_Weighed], list[Alternative]]:
    """Return the hypotheses that fit the violation, the likeliest first, and broken ones."""
    weighed: list[_Weighed] = []
    failed: list[Alternative] = []
    for hypothesis in hypotheses:
        if violation.invariant not in hypothesis.explains:
            continue
        try:
            one = _weigh(hypothesis, violation, observation)
        except Exception as error:  # noqa: BLE001 - a subject's code: anything may come
            failed.append(_failed(hypothesis, error))
        else:
            weighed += [one] if one else []
    return sorted(weighed, key=lambda one: (-one.confidence, one.hypothesis.name)), failed


def _weigh(
    hypothesis: Hypothesis, violation: Violation, observation: Observation
) -> _Weighed | None:
    assessment: object = hypothesis.assess(violation, observation)
    if assessment is None:
        return None
    if not isinstance(assessment, Assessment):
        raise TypeError(f"assess returned {type(assessment).__name__}, not Assessment")
    ruled_out_by = tuple(claim for claim in assessment.contradicts if holds(claim, observation))
    share = share_held(assessment.supports, observation)
    return _Weighed(
        hypothesis,
        assessment,
        held=tuple(claim for claim in assessment.supports if holds(claim, observation)),
        ruled_out_by=ruled_out_by,
        confidence=0.0 if ruled_out_by else _confidence(hypothesis.prior, share),
    )


def _confidence(prior: float, share: float) -> float:
    # Not min(max()): a prior that is no number must count as unlikely.
    likely = prior if 0.0 <= prior <= 1.0 else float(prior > 1.0)
    return round(share * (0.5 + likely / 2), 6)


def _is_tie(best: _Weighed | None, other: _Weighed) -> bool:
    if best is None or other.confidence < MIN_CONFIDENCE:
        return False
    near = best.confidence - other.confidence <= TIE_MARGIN + 1e-9
    return near and remedy_of(best.assessment) != remedy_of(other.assessment)


# --- wording --------------------------------------------------------------------------


def _answer(best: _Weighed, observation: Observation) -> Diagnosis:
    assessment = best.assessment
    return Diagnosis(
        hypothesis=best.hypothesis.name,
        cause=assessment.cause,
        confidence=best.confidence,
        evidence=bind(best.held, observation.id),
        components=assessment.components,
        actions=assessment.actions,
        workflows=assessment.workflows,
        risks=assessment.risks,
        escalate=assessment.escalate,
    )


def _unknown() -> Diagnosis:
    return Diagnosis(hypothesis=UNKNOWN_CAUSE, cause=UNKNOWN_CAUSE, confidence=0.0, escalate=True)


def _failed(hypothesis: Hypothesis, error: Exception) -> Alternative:
    return Alternative(
        cause=hypothesis.name,
        hypothesis=hypothesis.name,
        confidence=0.0,
        rejected_because=f"It failed and could not be judged: {error_text(error)}",
    )


def _rejected(one: _Weighed, best: _Weighed | None, observation: Observation) -> Alternative:
    return Alternative(
        cause=one.assessment.cause,
        hypothesis=one.hypothesis.name,
        confidence=one.confidence,
        rejected_because=_why_rejected(one, best, observation),
        expected=_findings(one.assessment.supports, observation),
        ruled_out_by=_findings(one.ruled_out_by, observation),
    )


def _findings(claims: Iterable[Claim], observation: Observation) -> list[Finding]:
    return [finding(claim, observation) for claim in bind(claims, observation.id)]


def _why_rejected(one: _Weighed, best: _Weighed | None, observation: Observation) -> str:
    if one.ruled_out_by:
        return "; ".join(claim.statement for claim in one.ruled_out_by)
    struck = [claim for claim in one.assessment.supports if claim not in one.held]
    if struck:
        return "It would have to hold, and does not: " + "; ".join(
            f"{claim.statement} ({_seen_instead(claim, observation)})" for claim in struck
        )
    if not one.assessment.supports:
        return "Nothing that was seen speaks for it."
    if best is None:
        return f"Its confidence {one.confidence:.2f} is under {MIN_CONFIDENCE:.2f}."
    return (
        f"All its evidence holds, but {best.hypothesis.name} is at least as likely "
        f"({best.confidence:.2f} against {one.confidence:.2f})."
    )


def _seen_instead(claim: Claim, observation: Observation) -> str:
    found, value = resolve(observation, claim.path)
    if not found:
        part_read = observation.sees([part_name(claim.path)])
        return f"{claim.path} is not there" if part_read else f"{claim.path} could not be read"
    wanted = "" if claim.predicate is Predicate.ABSENT else f" {shown(claim.value)}"
    return f"{claim.path} is {shown(value)}, not {claim.predicate.value}{wanted}"

"""The offline diagnoser: weighs a subject's hypotheses by what was seen. No key, no network.

``confidence = share * (0.5 + prior / 2)``: the share of a hypothesis's evidence (by weight)
that holds, times how likely the cause is before one looks. So confidence never exceeds the
share; full evidence gives 0.5 for the most unlikely cause and 1 for one that is always it;
a cause of prior 0.5 needs two thirds of its evidence to be believed.

Earlier incidents with the same signs change no confidence. They only order causes that are equally
likely by what was seen, and of those with different remedies a person decides.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from operator_core.actions.outcomes import error_text
from operator_core.agent.diagnosis import (
    UNKNOWN_CAUSE,
    Alternative,
    Assessment,
    Claim,
    Diagnosis,
    Finding,
    PastIncidents,
    Predicate,
    TimelineEntry,
)
from operator_core.agent.evidence import bind, finding, holds, share_held, shown
from operator_core.agent.past import PAST_BOUND, signature, warnings
from operator_core.agent.past import weighed as with_weight
from operator_core.agent.paths import part_name, resolve
from operator_core.agent.recommend import plans_of
from operator_core.monitor.types import Observation, Violation
from operator_core.subject import Hypothesis

MIN_CONFIDENCE = 0.5
"""Below it a hypothesis is no answer; the cause is then unknown."""

TIE_MARGIN = PAST_BOUND
"""Two causes no further apart than this are equally likely; no further does history reach."""


@dataclass(frozen=True)
class _Weighed:
    """A hypothesis after it was weighed."""

    hypothesis: Hypothesis
    assessment: Assessment
    held: tuple[Claim, ...]
    ruled_out_by: tuple[Claim, ...]
    confidence: float
    past: PastIncidents | None = None

    @property
    def place(self) -> tuple[bool, float, str]:
        """Where it comes among others: what was seen decides who can be the answer at all."""
        moved = self.past.weight if self.past and self.confidence else 0.0
        return self.confidence < MIN_CONFIDENCE, -(self.confidence + moved), self.hypothesis.name


def signatures(
    violation: Violation, observation: Observation, hypotheses: Iterable[Hypothesis]
) -> list[str]:
    """Return the signatures by which earlier incidents of the possible causes are found.

    Args:
        violation: what is to be explained.
        observation: the evidence.
        hypotheses: the subject's catalogue.
    """
    weighed, _ = _weigh_all(violation, observation, hypotheses)
    possible = [one for one in weighed if one.confidence]
    return [signature(violation, one.hypothesis.name, one.held) for one in possible]


def diagnose(
    violation: Violation,
    observation: Observation,
    hypotheses: Iterable[Hypothesis],
    *,
    timeline: Sequence[TimelineEntry] = (),
    past: Iterable[PastIncidents] = (),
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
        past: earlier incidents; those whose signature fits no cause here mean nothing.
        now: when the diagnosis is made.
    """
    weighed, failed = _weigh_all(violation, observation, hypotheses, past)
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
            "past": [one.past for one in weighed if one.past],
            "escalate": answer.escalate or _is_undecided(weighed),
            "created_at": now,
        }
    )


# --- weighing -------------------------------------------------------------------------


def _weigh_all(
    violation: Violation,
    observation: Observation,
    hypotheses: Iterable[Hypothesis],
    past: Iterable[PastIncidents] = (),
) -> tuple[list[_Weighed], list[Alternative]]:
    """Return the hypotheses that fit the violation, the likeliest first, and broken ones."""
    known = {one.signature: one for one in past}
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
            weighed += [_with_past(one, violation, known)] if one else []
    return sorted(weighed, key=lambda one: one.place), failed


def _with_past(one: _Weighed, violation: Violation, known: Mapping[str, PastIncidents]) -> _Weighed:
    found = known.get(signature(violation, one.hypothesis.name, one.held)) if known else None
    return replace(one, past=with_weight(found)) if found else one


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


def _is_undecided(weighed: Sequence[_Weighed]) -> bool:
    """Return whether a person must decide, by what was seen alone: history has no say in it."""
    likely = [one for one in weighed if one.confidence >= MIN_CONFIDENCE]
    if not likely:
        return False
    top = min(likely, key=lambda one: (-one.confidence, one.hypothesis.name))
    near = [one for one in likely if top.confidence - one.confidence <= TIE_MARGIN + 1e-9]
    remedy = plans_of(top.assessment)
    return top.assessment.escalate or any(plans_of(one.assessment) != remedy for one in near)


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
        risks=[*assessment.risks, *warnings(best.past, assessment)],
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
    if one.confidence > best.confidence:
        return (
            f"As likely by what was seen ({one.confidence:.2f} against {best.confidence:.2f}), but "
            f"similar incidents speak for {best.hypothesis.name}."
        )
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

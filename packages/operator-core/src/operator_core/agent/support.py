"""What a diagnosis may say: each claim is evaluated on the look it names; pure.

That is done before it is stored, and as often as anybody likes afterwards.
"""

from collections.abc import Mapping, Sequence

from operator_core.agent.diagnosis import (
    UNKNOWN_CAUSE,
    Alternative,
    Claim,
    Diagnosis,
    Finding,
)
from operator_core.agent.evidence import finding, share
from operator_core.monitor.types import Observation
from operator_core.types import JsonObject

UNSUPPORTED = "No claim that was made for it holds."


def looks_named_by(diagnosis: Diagnosis) -> set[int]:
    """Return the ids of the observations that a diagnosis is bound to."""
    named = {claim.observation_id for claim in _claims(diagnosis)} | {diagnosis.observation_id}
    return {one for one in named if one is not None}


def _claims(diagnosis: Diagnosis) -> list[Claim]:
    return [*diagnosis.evidence, *(one.claim for one in diagnosis.struck)]


def supported(diagnosis: Diagnosis, looks: Mapping[int, Observation]) -> Diagnosis:
    """Return what is left of a diagnosis when each of its claims was evaluated.

    Claims that do not hold are struck, and say why. Confidence is at most the share (by weight)
    of all claims that hold. A cause for which nothing holds is a mere hypothesis: the answer is
    then that the cause is unknown, nothing is recommended, and a person is asked.

    Args:
        diagnosis: what was said, by the rules or by a model.
        looks: the observations it names, by id; a claim about one that is missing is struck.
    """
    return _judged(diagnosis, _findings(diagnosis, looks))


def _findings(diagnosis: Diagnosis, looks: Mapping[int, Observation]) -> list[Finding]:
    return [_evaluated(claim, diagnosis, looks) for claim in _claims(diagnosis)]


def _judged(diagnosis: Diagnosis, found: Sequence[Finding]) -> Diagnosis:
    held = [one.claim for one in found if one.holds]
    judged = diagnosis.model_copy(
        update={
            "evidence": held,
            "struck": [one for one in found if not one.holds],
            "confidence": min(
                diagnosis.confidence, share([(one.claim.weight, one.holds) for one in found])
            ),
        }
    )
    return judged if held or diagnosis.is_unknown else _as_hypothesis(judged)


def recheck_report(diagnosis: Diagnosis, looks: Mapping[int, Observation]) -> JsonObject:
    """Return what each claim of a diagnosis meets with today: the same on every machine.

    Args:
        diagnosis: as it was stored.
        looks: the observations it names, by id.
    """
    found = _findings(diagnosis, looks)
    now = _judged(diagnosis, found)
    return {
        "diagnosis_id": diagnosis.id,
        "ticket_id": diagnosis.ticket_id,
        "hypothesis": diagnosis.hypothesis,
        "hypothesis_now": now.hypothesis,
        "confidence_before": diagnosis.confidence,
        "confidence": now.confidence,
        "held": [_told(one) for one in found if one.holds],
        "struck": [_told(one) for one in found if not one.holds],
        "missing_observations": sorted(looks_named_by(diagnosis) - looks.keys()),
        "is_unchanged": _says(now) == _says(diagnosis),
    }


def _says(diagnosis: Diagnosis) -> tuple[str, float, list[Claim]]:
    return diagnosis.hypothesis, diagnosis.confidence, diagnosis.evidence


def _told(found: Finding) -> JsonObject:
    told: JsonObject = found.model_dump(mode="json")
    return told


def _evaluated(claim: Claim, diagnosis: Diagnosis, looks: Mapping[int, Observation]) -> Finding:
    """Evaluate a claim on the look that it names, and on no other."""
    look_id = claim.observation_id
    look = None if look_id is None else looks.get(look_id)
    why = ""
    if look is None:
        why = (
            "it names no observation" if look_id is None else f"observation {look_id} is not there"
        )
    elif None not in {diagnosis.subject, look.subject} and diagnosis.subject != look.subject:
        why = f"observation {look_id} is of another cluster"
    elif _is_later(look, diagnosis):
        why = f"observation {look_id} was made after the diagnosis"
    if look is None or why:
        return Finding(claim=claim, holds=False, why=why)
    return finding(claim, look)


def _is_later(look: Observation, diagnosis: Diagnosis) -> bool:
    """Return whether nobody can have gone by a look: a number was guessed that came later.

    The clocks of two machines may differ, so a look before the diagnosis's own is never later.
    """
    if diagnosis.created_at is None or look.observed_at <= diagnosis.created_at:
        return False
    own = diagnosis.observation_id
    return own is None or look.id is None or look.id > own


def _as_hypothesis(diagnosis: Diagnosis) -> Diagnosis:
    former = Alternative(
        cause=diagnosis.cause,
        hypothesis=diagnosis.hypothesis,
        confidence=0.0,
        rejected_because=UNSUPPORTED,
        expected=diagnosis.struck,
    )
    return diagnosis.model_copy(
        update={
            "hypothesis": UNKNOWN_CAUSE,
            "cause": UNKNOWN_CAUSE,
            "confidence": 0.0,
            "alternatives": [former, *diagnosis.alternatives],
            "actions": [],
            "workflows": [],
            "escalate": True,
        }
    )

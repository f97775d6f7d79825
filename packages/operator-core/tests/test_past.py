"""Earlier incidents: the same signs are found, and history orders only what is equally likely."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operator_core.agent.diagnosis import (
    Assessment,
    Claim,
    Diagnosis,
    PastIncidents,
    Predicate,
    RemedyOutcomes,
    WorkflowRecommendation,
)
from operator_core.agent.past import PAST_BOUND, signature, told, warnings, weight
from operator_core.agent.rules import MIN_CONFIDENCE, diagnose, signatures
from operator_core.subject import Hypothesis
from test_rules import DOWN, FULL, LOOK, NOW, VIOLATION, action, assessment, says, suspect

MANY = 10**9
TWO_OF_THREE = assessment(DOWN, FULL, says("x", "stores/4/x", 1))


def past(cause: str, *claims: Claim, **outcomes: tuple[int, int]) -> PastIncidents:
    """Return incidents of a cause: by remedy, how often it was verified and how often it failed."""
    remedies = [
        RemedyOutcomes(remedy=name, verified=good, failed=bad)
        for name, (good, bad) in outcomes.items()
    ]
    return PastIncidents(
        hypothesis=cause,
        signature=signature(VIOLATION, cause, claims or (DOWN,)),
        seen=3,
        ticket_ids=[9, 4, 1],
        remedies=remedies,
    )


def answer(causes: list[Hypothesis], *known: PastIncidents) -> Diagnosis:
    return diagnose(VIOLATION, LOOK, causes, past=known, now=NOW)


def crash(
    name: str,
    prior: float,
    remedy: str = "restart",
    *,
    escalate: bool = False,
    ruled_out: bool = False,
) -> Hypothesis:
    against = [DOWN] if ruled_out else []
    said = assessment(DOWN, actions=[action(remedy)], escalate=escalate, contradicts=against)
    return suspect(name, said, prior)


# --- the same signs -------------------------------------------------------------------


def test_ids_and_values_make_no_difference_to_the_signs() -> None:
    four = says("4 is down", "stores/4/state", "Down")
    other = says("17 is away", "stores/17/state", "Offline", 3.0)
    assert signature(VIOLATION, "crash", [four]) == signature(VIOLATION, "crash", [other, four])


@pytest.mark.parametrize(
    "other",
    [
        signature(VIOLATION, "another", [DOWN]),
        signature(VIOLATION.model_copy(update={"invariant": "x"}), "crash", [DOWN]),
        signature(VIOLATION, "crash", [DOWN, FULL]),
        signature(VIOLATION, "crash", [DOWN.model_copy(update={"predicate": Predicate.NE})]),
        signature(VIOLATION, "crash", [DOWN.model_copy(update={"path": "stores/4/other"})]),
    ],
)
def test_other_signs_are_another_signature(other: str) -> None:
    assert signature(VIOLATION, "crash", [DOWN]) != other


def test_only_what_is_possible_is_looked_up() -> None:
    causes = [
        crash("a", 0.5),
        suspect("b", assessment(DOWN, contradicts=[DOWN])),
        suspect("c", None),
    ]
    assert signatures(VIOLATION, LOOK, causes) == [signature(VIOLATION, "a", [DOWN])]


# --- what they say --------------------------------------------------------------------


def test_they_are_kept_with_the_weight_that_they_had() -> None:
    made = answer([crash("a", 0.5)], past("a", restart=(2, 1)))
    (kept,) = made.past
    assert kept.weight == PAST_BOUND / 2 / 4
    assert made.confidence == 0.75, "confidence is what was seen, and nothing else"
    assert told(kept) == "3 times (tickets 9, 4, 1); restart verified 2 times, failed once"


def test_a_remedy_that_failed_before_is_said() -> None:
    made = answer([crash("a", 0.5)], past("a", restart=(2, 1), other=(0, 5)))
    assert made.risks == ["restart failed once of 3 before, where the signs were the same."]
    plan = [WorkflowRecommendation(name="drain", description="", actions=[action("x")])]
    said = Assessment(cause="c", workflows=plan)
    assert len(warnings(past("a", drain=(0, 2)), said)) == 1
    assert warnings(past("a", x=(0, 2)), said) == []
    several = Assessment(cause="c", actions=[action("x"), action("y")])
    assert len(warnings(past("a", remedy=(0, 2)), several)) == 1


def test_incidents_with_other_signs_mean_nothing() -> None:
    causes = [crash("a", 0.5)]
    assert answer(causes, past("a", FULL, restart=(0, 9))) == answer(causes)


def test_of_equally_likely_causes_the_one_that_was_proven_before_comes_first() -> None:
    causes = [crash("a", 0.5), crash("b", 0.48)]
    assert answer(causes).hypothesis == "a"
    assert answer(causes, past("b", restart=(3, 0))).hypothesis == "b"
    assert answer(causes, past("a", restart=(0, 9))).hypothesis == "b"
    (other,) = answer(causes, past("b", restart=(3, 0))).alternatives
    assert "similar incidents speak for b" in other.rejected_because


def test_history_makes_no_answer_of_what_is_too_unsure_nor_takes_one_away() -> None:
    unsure = suspect("b", TWO_OF_THREE, 0.47)
    made = answer([crash("a", 0.02), unsure], past("b", DOWN, FULL, restart=(MANY, 0)))
    assert (made.hypothesis, made.confidence) == ("a", 0.51)
    assert made.alternatives[0].confidence == 0.49
    assert answer([unsure], past("b", DOWN, FULL, restart=(MANY, 0))).is_unknown


def test_history_silences_no_call_for_a_person() -> None:
    careful = [crash("a", 0.5, escalate=True), crash("b", 0.48)]
    assert answer(careful, past("b", restart=(MANY, 0))).escalate
    two = [crash("a", 0.5), crash("b", 0.48, "drain")]
    assert answer(two, past("a", restart=(MANY, 0)), past("b", drain=(0, MANY))).escalate


# --- poisoned history -----------------------------------------------------------------

COUNTS = st.integers(0, MANY)


@given(COUNTS, COUNTS, COUNTS, COUNTS)
def test_no_number_of_outcomes_weighs_more_than_the_bound(a: int, b: int, c: int, d: int) -> None:
    assert abs(weight(past("x", one=(a, b), two=(c, d)))) <= PAST_BOUND / 2


NAMES = "abcd"
SUSPECTS = st.fixed_dictionaries(
    {
        "prior": st.sampled_from([0.5, 0.52, 0.55, 0.58, 0.6, 0.66]) | st.floats(0, 1),
        "remedy": st.sampled_from(["restart", "drain"]),
        "escalate": st.booleans(),
        "ruled_out": st.sampled_from([False, False, False, True]),
    }
)
OUTCOMES = st.lists(st.tuples(COUNTS, COUNTS), min_size=len(NAMES), max_size=len(NAMES))


@given(st.lists(SUSPECTS, min_size=1, max_size=len(NAMES)), st.floats(0, 1), OUTCOMES)
def test_poisoned_history_changes_nothing_beyond_the_bound(
    drawn: list[dict[str, Any]], prior: float, outcomes: list[tuple[int, int]]
) -> None:
    causes = [crash(name, **one) for name, one in zip(NAMES, drawn, strict=False)]
    causes.append(suspect("unsure", TWO_OF_THREE, prior))
    made_up = [
        past(name, *claims, restart=counts)
        for name, counts in zip((*NAMES, "unsure"), (*outcomes, outcomes[0]), strict=True)
        for claims in ([DOWN], [DOWN, FULL])
    ]
    clean, poisoned = answer(causes), answer(causes, *made_up)
    assert _confidences(clean) == _confidences(poisoned)
    assert clean.is_unknown == poisoned.is_unknown
    assert poisoned.escalate or not clean.escalate, "it silences no call for a person"
    assert clean.confidence - PAST_BOUND - 1e-9 <= poisoned.confidence <= clean.confidence
    assert poisoned.is_unknown or poisoned.confidence >= MIN_CONFIDENCE
    if not poisoned.escalate:
        assert poisoned.actions == clean.actions


def _confidences(diagnosis: Diagnosis) -> dict[str, float]:
    others = {one.hypothesis: one.confidence for one in diagnosis.alternatives}
    return others | {diagnosis.hypothesis: diagnosis.confidence}

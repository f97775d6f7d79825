"""The offline diagnoser: a cause with evidence that can be checked again, or an honest unknown."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue

from operator_core.agent.diagnosis import (
    UNKNOWN_CAUSE,
    ActionRecommendation,
    Assessment,
    Claim,
    Diagnosis,
    Predicate,
    TimelineEntry,
    WorkflowRecommendation,
)
from operator_core.agent.evidence import bind, holds, share_held
from operator_core.agent.rules import MIN_CONFIDENCE, TIE_MARGIN, diagnose
from operator_core.agent.support import supported
from operator_core.monitor.types import Observation, Part, Violation
from operator_core.subject import Hypothesis

NOW = datetime(2025, 1, 1, tzinfo=UTC)
VIOLATION = Violation(invariant="store_down", target="4", message="store 4 is down")
LOOK = Observation(
    id=12,
    subject="tikv",
    parts={
        "stores": Part(source="pd", observed_at=NOW, data={"4": {"state": "Down", "free": 0}}),
        "metrics": Part(source="prom", observed_at=NOW, complete=False, data={"up": 0}),
    },
)


def says(statement: str, path: str, value: JsonValue, weight: float = 1.0) -> Claim:
    return Claim(statement=statement, path=path, predicate=Predicate.EQ, value=value, weight=weight)


DOWN = says("the store is down", "stores/4/state", "Down")
FULL = says("the disk is full", "stores/4/free", 0)
UP = says("the store is up", "stores/4/state", "Up")
ODD = says("the store is paused", "stores/4/paused", value=True)
UNREAD = says("its clock is off", "metrics/skew", 5)


def action(name: str, **parameters: object) -> ActionRecommendation:
    return ActionRecommendation(action_name=name, parameters=parameters, reason="")


def assessment(*supports: Claim, cause: str = "the cause", **more: object) -> Assessment:
    return Assessment.model_validate({"cause": cause, "supports": list(supports), **more})


def suspect(name: str, answer: Assessment | None, prior: float = 0.5) -> Hypothesis:
    return Hypothesis(name, frozenset({"store_down"}), lambda _violation, _look: answer, prior)


def answer(*hypotheses: Hypothesis, look: Observation = LOOK) -> Diagnosis:
    return diagnose(VIOLATION, look, hypotheses, now=NOW)


def reasons(diagnosis: Diagnosis) -> dict[str, str]:
    return {one.hypothesis: one.rejected_because for one in diagnosis.alternatives}


# --- an answer ------------------------------------------------------------------------


def test_a_supported_hypothesis_is_the_answer() -> None:
    remedy = action("restart", store_id=4)
    workflow = WorkflowRecommendation(name="drain", description="", actions=[remedy])
    full = assessment(
        DOWN,
        cause="store 4 has crashed",
        components=["store-4"],
        actions=[remedy],
        workflows=[workflow],
        risks=["leaders move"],
    )
    timeline = [TimelineEntry(at=NOW, what="store 4 went down")]
    diagnosis = diagnose(VIOLATION, LOOK, [suspect("crash", full)], timeline=timeline, now=NOW)
    assert diagnosis == Diagnosis(
        subject="tikv",
        violation=VIOLATION,
        observation_id=12,
        diagnoser="rules",
        hypothesis="crash",
        cause="store 4 has crashed",
        confidence=0.75,
        evidence=[DOWN.model_copy(update={"observation_id": 12})],
        timeline=timeline,
        components=["store-4"],
        actions=[remedy],
        workflows=[workflow],
        risks=["leaders move"],
        escalate=False,
        created_at=NOW,
    )


def test_the_author_may_ask_for_a_person() -> None:
    assert answer(suspect("crash", assessment(DOWN, escalate=True))).escalate


def test_a_claim_that_does_not_hold_is_struck_from_the_evidence() -> None:
    diagnosis = answer(suspect("crash", assessment(DOWN, FULL, ODD)))
    assert [claim.statement for claim in diagnosis.evidence] == [
        "the store is down",
        "the disk is full",
    ]
    assert diagnosis.confidence == pytest.approx(2 / 3 * 0.75)


@pytest.mark.parametrize(
    ("prior", "supports", "confidence"),
    [
        (0.5, [DOWN], 0.75),
        (0.0, [DOWN], 0.5),
        (1.0, [DOWN], 1.0),
        (1.0, [DOWN, ODD], 0.5),
        (1.0, [DOWN.model_copy(update={"weight": 4.0}), ODD], 0.8),
        (7.0, [DOWN], 1.0),
        (-1.0, [DOWN], 0.5),
        (float("nan"), [DOWN], 0.5),
    ],
)
def test_confidence_comes_from_prior_and_share(
    prior: float, supports: list[Claim], confidence: float
) -> None:
    assert answer(suspect("crash", assessment(*supports), prior)).confidence == confidence


def test_the_likeliest_is_chosen_and_the_others_are_told_why_not() -> None:
    diagnosis = answer(
        suspect("rare", assessment(DOWN, cause="r"), 0.1),
        suspect("common", assessment(DOWN, cause="c"), 0.9),
        suspect("paused", assessment(ODD, UNREAD, UP, cause="p")),
        suspect("full", assessment(FULL, contradicts=[DOWN], cause="f"), 1.0),
        suspect("vague", assessment(cause="v"), 1.0),
    )
    assert diagnosis.hypothesis == "common"
    assert not diagnosis.escalate
    assert reasons(diagnosis) == {
        "rare": "All its evidence holds, but common is at least as likely (0.95 against 0.55).",
        "full": "the store is down",
        "paused": "It would have to hold, and does not: the store is paused "
        "(stores/4/paused is not there); its clock is off (metrics/skew could not be read); "
        'the store is up (stores/4/state is "Down", not eq "Up")',
        "vague": "Nothing that was seen speaks for it.",
    }
    assert [one.confidence for one in diagnosis.alternatives] == [0.55, 0.0, 0.0, 0.0]
    assert [one.cause for one in diagnosis.alternatives] == ["r", "f", "p", "v"]


def test_what_was_seen_instead_is_shortened_and_quoted_as_data() -> None:
    data = {"4": {"state": "[/red]\n" * 1000}}
    look = Observation(parts={"stores": Part(source="pd", observed_at=NOW, data=data)})
    (reason,) = reasons(answer(suspect("crash", assessment(UP)), look=look)).values()
    assert len(reason) < 250
    assert "\n" not in reason


@pytest.mark.parametrize("odd", [{(1, 2): 3, "a": {4, 5}}, float("nan"), object()])
def test_what_was_seen_instead_may_be_anything(odd: object) -> None:
    data = {"4": {"state": odd}}
    look = Observation(parts={"stores": Part(source="pd", observed_at=NOW, data=data)})
    assert "stores/4/state is" in reasons(answer(suspect("a", assessment(UP)), look=look))["a"]


# --- unknown --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "hypotheses",
    [
        [],
        [suspect("paused", assessment(ODD, actions=[action("resume")]))],
        [suspect("half", assessment(DOWN, ODD, actions=[action("restart")]))],
        [suspect("ruled out", assessment(DOWN, contradicts=[FULL], actions=[action("x")]), 1.0)],
        [suspect("vague", assessment(actions=[action("x")]), 1.0)],
        [suspect("senseless", None)],
        [Hypothesis("of another", frozenset({"no_leader"}), lambda _v, _o: assessment(DOWN))],
    ],
)
def test_where_nothing_fits_the_cause_is_unknown(hypotheses: list[Hypothesis]) -> None:
    diagnosis = answer(*hypotheses)
    assert diagnosis.is_unknown
    assert (diagnosis.hypothesis, diagnosis.cause) == (UNKNOWN_CAUSE, UNKNOWN_CAUSE)
    assert diagnosis.confidence == 0
    assert diagnosis.escalate
    assert not diagnosis.actions
    assert not diagnosis.workflows
    assert not diagnosis.evidence


def test_what_was_considered_is_told_where_the_cause_is_unknown() -> None:
    diagnosis = answer(suspect("half", assessment(DOWN, ODD)), suspect("senseless", None))
    (half,) = diagnosis.alternatives
    assert half.confidence == 0.375
    assert "the store is paused" in half.rejected_because


def test_a_failed_observation_gives_unknown_and_no_error() -> None:
    assert answer(suspect("crash", assessment(DOWN)), look=Observation()).is_unknown


# --- ties -----------------------------------------------------------------------------


def tie(prior: float, remedy: ActionRecommendation) -> Diagnosis:
    return answer(
        suspect("b", assessment(DOWN, actions=[action("restart", store_id=4)]), 0.5),
        suspect("a", assessment(DOWN, actions=[remedy]), prior),
    )


def test_equal_causes_with_other_remedies_need_a_person() -> None:
    for other in (action("drain"), action("restart", store_id=5)):
        diagnosis = tie(0.5, other)
        assert (diagnosis.hypothesis, diagnosis.escalate) == ("a", True)
        assert "at least as likely" in reasons(diagnosis)["b"]


def test_equal_causes_with_the_same_remedy_need_nobody() -> None:
    assert not tie(0.5, action("restart", store_id=4)).escalate


@pytest.mark.parametrize(("prior", "escalate"), [(0.4, True), (0.39, False), (0.61, False)])
def test_a_tie_is_within_its_margin(prior: float, escalate: bool) -> None:
    assert TIE_MARGIN == 0.05
    assert tie(prior, action("drain")).escalate is escalate


def test_a_second_that_is_just_believable_makes_a_tie() -> None:
    ones = [suspect(name, assessment(DOWN, actions=[action(name)]), 0.0) for name in "ab"]
    assert answer(*ones).confidence == MIN_CONFIDENCE
    assert answer(*ones).escalate


def test_a_weak_second_makes_no_tie() -> None:
    weak = assessment(DOWN, DOWN, ODD, actions=[action("drain")])
    strong = assessment(DOWN, actions=[action("restart")])
    diagnosis = answer(suspect("strong", strong, 0.0), suspect("weak", weak, 0.45))
    assert (diagnosis.hypothesis, diagnosis.escalate) == ("strong", False)


# --- broken hypotheses ----------------------------------------------------------------


def test_a_hypothesis_that_raises_is_dropped_and_mentioned() -> None:
    def broken(_violation: Violation, _look: Observation) -> Assessment:
        raise KeyError("state_name")

    diagnosis = answer(
        Hypothesis("broken", frozenset({"store_down"}), broken), suspect("crash", assessment(DOWN))
    )
    assert diagnosis.hypothesis == "crash"
    (failed,) = diagnosis.alternatives
    assert (failed.hypothesis, failed.confidence) == ("broken", 0)
    assert failed.rejected_because == "It failed and could not be judged: KeyError: 'state_name'"


def test_a_hypothesis_that_answers_with_something_else_is_dropped() -> None:
    odd = Hypothesis("odd", frozenset({"store_down"}), lambda _v, _o: "crash")  # type: ignore[arg-type,return-value]  # the mistake
    diagnosis = answer(odd)
    assert "assess returned str" in reasons(diagnosis)["odd"]


def test_weights_without_a_sum_do_not_break_the_diagnosis() -> None:
    endless = DOWN.model_copy(update={"weight": float("inf")})
    assert answer(suspect("endless", assessment(endless))).is_unknown


# --- recheck --------------------------------------------------------------------------


def recheck(diagnosis: Diagnosis, look: Observation) -> Diagnosis:
    return supported(diagnosis, {int(look.id or 0): look})


def test_a_diagnosis_that_holds_stays_as_it_is() -> None:
    diagnosis = answer(suspect("crash", assessment(DOWN, FULL)))
    assert recheck(diagnosis, LOOK) == diagnosis


def test_what_no_longer_holds_is_struck_and_caps_the_confidence() -> None:
    claims = bind([DOWN, FULL, ODD, UP], LOOK.id)
    said = Diagnosis(cause="x", diagnoser="a model", confidence=0.9, evidence=claims)
    checked = recheck(said, LOOK)
    assert checked.evidence == claims[:2]
    assert [one.claim for one in checked.struck] == claims[2:]
    assert checked.confidence == 0.5
    assert recheck(said.model_copy(update={"confidence": 0.3}), LOOK).confidence == 0.3
    assert said.confidence == 0.9


def test_a_diagnosis_without_evidence_is_worth_nothing() -> None:
    assert recheck(Diagnosis(cause="x", confidence=0.9), LOOK).confidence == 0


# --- properties -----------------------------------------------------------------------

CLAIMS = st.lists(
    st.builds(
        lambda claim, weight: claim.model_copy(update={"weight": weight}),
        st.sampled_from([DOWN, FULL, UP, ODD, UNREAD]),
        st.floats(0.01, 100),
    ),
    max_size=5,
)
HYPOTHESES = st.lists(
    st.builds(
        suspect,
        st.sampled_from("abcdef"),
        st.one_of(
            st.none(),
            st.builds(
                lambda supports, contradicts, name: assessment(
                    *supports, contradicts=contradicts, actions=[action(name)]
                ),
                CLAIMS,
                CLAIMS,
                st.sampled_from(["restart", "drain"]),
            ),
        ),
        st.floats(),
    ),
    max_size=6,
    unique_by=lambda one: one.name,
)


@given(HYPOTHESES)
def test_every_diagnosis_can_be_checked_again(hypotheses: list[Hypothesis]) -> None:
    diagnosis = answer(*hypotheses)
    assert all(holds(claim, LOOK) for claim in diagnosis.evidence)
    assert all(claim.observation_id == 12 for claim in diagnosis.evidence)
    assert recheck(diagnosis, LOOK) == diagnosis
    assert diagnosis.is_unknown == (diagnosis.confidence < MIN_CONFIDENCE)
    assert diagnosis.is_unknown <= diagnosis.escalate
    considered = {one.name for one in hypotheses if one.assess(VIOLATION, LOOK) is not None}
    told = {one.hypothesis for one in diagnosis.alternatives} | {diagnosis.hypothesis}
    assert considered == told - {UNKNOWN_CAUSE}
    assert all(one.rejected_because for one in diagnosis.alternatives)


@given(HYPOTHESES)
def test_confidence_never_exceeds_what_is_supported(hypotheses: list[Hypothesis]) -> None:
    diagnosis = answer(*hypotheses)
    for one in hypotheses:
        seen = one.assess(VIOLATION, LOOK)
        if seen is not None and one.name == diagnosis.hypothesis:
            assert diagnosis.confidence <= share_held(seen.supports, LOOK) + 1e-6
            assert not any(holds(claim, LOOK) for claim in seen.contradicts)


@given(HYPOTHESES, st.data())
def test_the_order_of_the_catalogue_changes_nothing(
    hypotheses: list[Hypothesis], data: st.DataObject
) -> None:
    shuffled = data.draw(st.permutations(hypotheses))
    assert answer(*shuffled) == answer(*hypotheses)

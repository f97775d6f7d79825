"""False claims are struck before a diagnosis is stored, true ones never; the same in a year."""

import json
import random
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue

from operator_core.agent.diagnosis import (
    ActionRecommendation,
    Claim,
    Diagnosis,
    Predicate,
)
from operator_core.agent.support import looks_named_by, recheck_report, supported
from operator_core.monitor.types import Observation, Part

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def look(number: int, subject: str, parts: dict[str, object]) -> Observation:
    made = {
        name: Part(source="pd", observed_at=NOW, data={"v": value}) for name, value in parts.items()
    }
    unread = Part(source="prom", observed_at=NOW, complete=False, data={"v": 1})
    parts_read = {**made, "unread": unread}
    return Observation(id=number, subject=subject, observed_at=NOW, parts=parts_read)


LOOKS = {
    1: look(1, "a", {"state": "Down", "free": 0, "ids": [1, 2], "name": "kv-é/1", "ratio": 0.5}),
    2: look(2, "a", {"state": "Up", "free": 7, "ids": [], "name": "kv", "ratio": 1e308}),
    3: look(3, "b", {"state": "Down", "free": 0}),
    4: look(4, "a", {"free": 0, "late": 1}).model_copy(
        update={"observed_at": NOW + timedelta(seconds=2)}
    ),
}


def claim(
    path: str, predicate: Predicate, value: JsonValue = None, at: int | None = 1, weight: float = 1
) -> Claim:
    said = f"{path} {predicate} {value} of {at}"
    return Claim(
        statement=said,
        path=path,
        predicate=predicate,
        value=value,
        observation_id=at,
        weight=weight,
    )


TRUE = [
    claim("state/v", Predicate.EQ, "Down"),
    claim("state/v", Predicate.EQ, "Up", at=2),
    claim("state/v", Predicate.NE, "Up"),
    claim("free/v", Predicate.LT, 1),
    claim("free/v", Predicate.LE, 0),
    claim("free/v", Predicate.GT, 6.5, at=2),
    claim("free/v", Predicate.GE, 7, at=2),
    claim("ids/v", Predicate.CONTAINS, 2),
    claim("ids/v/1", Predicate.EQ, 2),
    claim("name/v", Predicate.CONTAINS, "é/1"),
    claim("state", Predicate.EXISTS),
    claim("state/w", Predicate.ABSENT),
    claim("unread/v", Predicate.EQ, 1),
]
FALSE = [
    claim("state/v", Predicate.EQ, "Up"),
    claim("state/v", Predicate.EQ, "down"),
    claim("state/v", Predicate.EQ, "Down", at=2),
    claim("state/v", Predicate.EQ, "Down", at=3),  # true, but of another cluster
    claim("state/v", Predicate.EQ, "Down", at=99),
    claim("state/v", Predicate.EQ, "Down", at=None),
    claim("state/v", Predicate.NE, "Down"),
    claim("free/v", Predicate.LT, 0),
    claim("free/v", Predicate.LT, "1"),
    claim("free/v", Predicate.GT, float("nan")),
    claim("free/v", Predicate.EQ, value=False),
    claim("ratio/v", Predicate.GE, 10**400),
    claim("ids/v", Predicate.CONTAINS, 3),
    claim("ids/v/2", Predicate.EXISTS),
    claim("ids/v/-1", Predicate.EXISTS),
    claim("name/v", Predicate.EQ, "kv-e\u0301/1"),
    claim("state", Predicate.ABSENT),
    claim("state/v/..", Predicate.EXISTS),
    claim("", Predicate.EXISTS),
    claim("unread/w", Predicate.ABSENT),
    claim("nothing", Predicate.EXISTS),
    # The right path, and not so.
    claim("state/v", Predicate.CONTAINS, "Up"),
    claim("ids/v", Predicate.EQ, 1),
    claim("ids/v", Predicate.EQ, [2, 1]),
    claim("ids/v", Predicate.GT, 0),
    claim("ids/v", Predicate.CONTAINS, "1"),
    claim("ids/v/0", Predicate.EQ, "1"),
    claim("ids/v/0", Predicate.NE, 1.0),
    claim("ids/v/00", Predicate.EXISTS),
    claim("ids/v/1.0", Predicate.EXISTS),
    claim("free/v", Predicate.EQ, "0"),
    claim("free/v", Predicate.EQ),
    claim("free/v", Predicate.NE, -0.0),
    claim("free/v", Predicate.EQ, float("nan")),
    claim("free/v", Predicate.GE, float("inf")),
    claim("free/v", Predicate.GE, value=False),
    claim("free/v", Predicate.CONTAINS, 0),
    claim("free/v/0", Predicate.EXISTS),
    claim("name/v", Predicate.EQ, "KV-é/1"),
    claim("name/v", Predicate.CONTAINS, ["kv"]),
    claim("name/v/0", Predicate.EXISTS),
    claim("State/v", Predicate.EXISTS),
    claim(" state/v", Predicate.EXISTS),
    claim("state/v ", Predicate.EXISTS),
    claim("/state/v", Predicate.EXISTS),
    claim("state//v", Predicate.EXISTS),
    claim("state~1v", Predicate.EXISTS),
    claim("state.v", Predicate.EXISTS),
    claim("state/v", Predicate.ABSENT),
    claim("nothing/v", Predicate.ABSENT),
    claim("state/__class__", Predicate.EXISTS),
    # The right condition, at another look.
    claim("ids/v", Predicate.CONTAINS, 2, at=2),
    claim("free/v", Predicate.GE, 7, at=1),
    claim("free/v", Predicate.LE, 0, at=0),
    claim("free/v", Predicate.LE, 0, at=-1),
    claim("free/v", Predicate.LE, 0, at=2**62),
    claim("free/v", Predicate.LE, 0, at=4),  # true, and seen after the diagnosis
    claim("late/v", Predicate.EQ, 1, at=4),
]


def diagnosis(*claims: Claim, **more: object) -> Diagnosis:
    fields = {"subject": "a", "hypothesis": "h", "cause": "c", "confidence": 0.9}
    fields |= {"created_at": NOW + timedelta(seconds=1), **more}
    return Diagnosis.model_validate({**fields, "evidence": list(claims)})


def planted(seed: int) -> tuple[list[Claim], list[Claim]]:
    """Return some true claims and some planted false ones."""
    rng = random.Random(seed)
    return rng.sample(TRUE, rng.randrange(1, 6)), rng.sample(FALSE, rng.randrange(1, 8))


@pytest.mark.parametrize("seed", range(50))
def test_of_fifty_diagnoses_all_planted_claims_are_struck_and_no_true_one(seed: int) -> None:
    true, false = planted(seed)
    said = diagnosis(*false, *true)
    judged = supported(said, LOOKS)
    assert judged.evidence == true
    assert [one.claim for one in judged.struck] == false
    assert judged.confidence == min(0.9, len(true) / (len(true) + len(false)))
    assert judged.hypothesis == "h"


@pytest.mark.parametrize("one", FALSE, ids=lambda one: one.statement[:60])
def test_a_cause_without_support_becomes_a_hypothesis(one: Claim) -> None:
    restart = ActionRecommendation(action_name="restart", reason="r")
    judged = supported(diagnosis(one, actions=[restart]), LOOKS)
    assert (judged.is_unknown, judged.confidence, judged.escalate) == (True, 0.0, True)
    assert (judged.actions, judged.workflows) == ([], [])
    (former,) = judged.alternatives
    assert (former.hypothesis, former.cause) == ("h", "c")
    assert [found.claim for found in former.expected] == [one]


def test_what_was_seen_instead_is_told() -> None:
    judged = supported(diagnosis(FALSE[0], FALSE[4], FALSE[5], FALSE[3], TRUE[0]), LOOKS)
    assert [one.seen for one in judged.struck] == ['"Down"', None, None, None]
    told = [one.why for one in judged.struck]
    assert told[0] == ""
    assert "99 is not there" in told[1]
    assert "names no observation" in told[2]
    assert "another cluster" in told[3]


@given(
    st.lists(st.sampled_from([*TRUE, *FALSE]), unique_by=lambda one: one.statement), st.floats(0, 1)
)
def test_striking_twice_strikes_no_more(claims: list[Claim], confidence: float) -> None:
    once = supported(diagnosis(*claims, confidence=confidence), LOOKS)
    assert supported(once, LOOKS) == once
    assert recheck_report(once, LOOKS)["is_unchanged"]


@given(st.lists(st.floats(0.01, 1e300), min_size=2, max_size=6))
def test_no_weight_lifts_confidence_over_what_is_supported(weights: list[float]) -> None:
    heavy = [
        one.model_copy(update={"weight": w}) for one, w in zip(TRUE, weights[1:], strict=False)
    ]
    lie = FALSE[0].model_copy(update={"weight": weights[0]})
    judged = supported(diagnosis(*heavy, lie, confidence=1), LOOKS)
    assert judged.confidence <= sum(weights[1:]) / sum(weights) + 1e-12


def test_the_report_is_the_same_to_the_byte_on_another_machine() -> None:
    judged = supported(diagnosis(*TRUE, *FALSE), LOOKS)
    stored = Diagnosis.model_validate_json(judged.model_dump_json())
    there = {n: Observation.model_validate_json(one.model_dump_json()) for n, one in LOOKS.items()}
    before = json.dumps(recheck_report(stored, LOOKS), sort_keys=True)
    after = json.dumps(recheck_report(stored, there), sort_keys=True)
    assert before == after
    assert recheck_report(judged, LOOKS)["missing_observations"] == [-1, 0, 99, 2**62]


def test_another_look_under_the_same_number_changes_the_report() -> None:
    judged = supported(diagnosis(*TRUE[:2]), LOOKS)
    swapped = {**LOOKS, 1: LOOKS[2].model_copy(update={"id": 1})}
    report = recheck_report(judged, swapped)
    assert not report["is_unchanged"]
    assert [one["claim"]["path"] for one in report["struck"]] == ["state/v"]


def test_a_number_that_was_guessed_is_struck_when_its_look_comes_too() -> None:
    guess = claim("free/v", Predicate.LE, 0, at=4)
    known = {number: one for number, one in LOOKS.items() if number != 4}
    judged = supported(diagnosis(guess, *TRUE[:2]), known)
    assert recheck_report(judged, LOOKS)["is_unchanged"]
    ahead = diagnosis(*TRUE[:2], observation_id=2, created_at=NOW - timedelta(seconds=9))
    assert supported(ahead, LOOKS).evidence == TRUE[:2], "a clock that is behind strikes nothing"


def test_all_looks_that_are_named_are_found() -> None:
    assert looks_named_by(diagnosis(TRUE[1], FALSE[4], FALSE[5], observation_id=7)) == {2, 7, 99}

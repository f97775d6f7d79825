"""A diagnosis gives way to one that later looks bear out, and causes do not take turns."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from again_kit import BULB, FUSE, MAINS, Room
from operator_core.agent.again import (
    CONFIRMING_LOOKS,
    MAX_AGAIN,
    SWITCH_MARGIN,
    Turn,
    chain,
    looks_needed,
    sees_as_much,
    superseded,
)
from operator_core.agent.diagnosis import Diagnosis
from operator_core.agent.rules import MIN_CONFIDENCE, diagnose
from operator_core.monitor.types import Observation, Part, Violation
from operator_core.testing.clock import ManualClock

NOW = ManualClock().now()
DARK = Violation(invariant="dark", target="room", message="it is dark")


def look(number: int = 1, **signs: int) -> Observation:
    return Observation(
        id=number,
        subject="room",
        observed_at=NOW,
        parts={"signs": Part(source="eyes", observed_at=NOW, data=dict(signs))},
    )


def said(seen: Observation) -> Diagnosis:
    """Return what the rules say of a look."""
    return diagnose(DARK, seen, Room(ManualClock()).hypotheses(), now=NOW)


# --- the rule -------------------------------------------------------------------------


def test_what_is_the_same_stands_however_sure_it_is() -> None:
    stored = said(look(fuse=10))
    assert superseded(stored, said(look(fuse=6)), look(fuse=6)) is None


@pytest.mark.parametrize(
    ("before", "now", "turn"),
    [
        ({}, {"fuse": 8}, Turn.CAUSE_FOUND),
        ({"fuse": 10}, {"bulb": 10}, Turn.CAUSE_REFUTED),
        ({"fuse": 10}, {}, Turn.CAUSE_REFUTED),
        ({"fuse": 8}, {"fuse": 8, "bulb": 10}, Turn.CAUSE_OUTWEIGHED),
        ({"fuse": 8}, {"fuse": 8, "bulb": 9}, None),
    ],
)
def test_another_cause_needs_a_reason(
    before: dict[str, int], now: dict[str, int], turn: Turn | None
) -> None:
    why = superseded(said(look(**before)), said(look(2, **now)), look(2, **now))
    assert (why and why.turn) == turn


def test_the_reason_names_what_does_not_hold_any_more() -> None:
    later = look(2, bulb=10)
    why = superseded(said(look(fuse=10)), said(later), later)
    assert why is not None
    assert why.reason == (
        "fuse does not hold any more: fuse is at 1 of 10; fuse is at 2 of 10; fuse is at 3 of 10"
    )


def test_a_cause_that_was_superseded_comes_back_only_for_one_that_is_refuted() -> None:
    stored, both = said(look(bulb=8)), look(2, bulb=8, fuse=10)
    assert superseded(stored, said(both), both) is not None
    assert superseded(stored, said(both), both, {FUSE}) is None
    alone = look(2, fuse=10)
    assert superseded(stored, said(alone), alone, {FUSE}) is not None


@pytest.mark.parametrize(
    "worse",
    [
        {"parts": {}},
        {"parts": {"signs": Part(source="s", observed_at=NOW, complete=False)}},
        {"parts": {"signs": Part(source="s", observed_at=NOW, agrees=False)}},
    ],
)
def test_a_look_that_sees_less_refutes_nothing(worse: dict[str, object]) -> None:
    blind = look().model_copy(update=worse)
    assert not sees_as_much(look(), blind)
    assert sees_as_much(blind, look())


def test_each_change_needs_twice_as_many_looks() -> None:
    assert [looks_needed(times) for times in range(MAX_AGAIN)] == [2, 4, 8, 16, 32]


SIGNS = st.fixed_dictionaries({name: st.integers(0, 10) for name in (FUSE, BULB, MAINS)})


@settings(max_examples=20)
@given(st.lists(SIGNS, min_size=1, max_size=40))
def test_whatever_is_seen_a_ticket_changes_its_mind_rarely(pictures: list[dict[str, int]]) -> None:
    """The stage in small: as many looks in a row as are needed, all leading to the same cause."""
    made, leading = [said(look(**pictures[0]))], [""]
    when = [0]
    for number, signs in enumerate(pictures[1:], 1):
        seen = look(number, **signs)
        former = {one.hypothesis for one in made[:-1]}
        fresh = said(seen)
        why = superseded(made[-1], fresh, seen, former)
        leading.append(fresh.hypothesis if why else "")
        needed = looks_needed(len(made) - 1)
        last = leading[max(when[-1] + 1, 0) :][-needed:]
        if why and len(made) <= MAX_AGAIN and len(last) == needed and set(last) == {last[0]}:
            made.append(fresh)
            when.append(number)
    assert len(made) <= 1 + MAX_AGAIN
    gaps = [later - earlier for earlier, later in pairwise(when)]
    assert all(gap >= CONFIRMING_LOOKS * 2**place for place, gap in enumerate(gaps))
    for place, one in enumerate(made[1:], 1):
        other = next(
            (each for each in one.alternatives if each.hypothesis == made[place - 1].hypothesis),
            None,
        )
        if made[place - 1].is_unknown or other is None or other.confidence < MIN_CONFIDENCE:
            continue
        if one.hypothesis != made[place - 1].hypothesis:
            assert one.confidence - other.confidence >= SWITCH_MARGIN - 1e-9
            assert one.hypothesis not in {each.hypothesis for each in made[: place - 1]}


def test_the_chain_ends_where_the_problem_was_gone() -> None:
    one = Diagnosis(id=1, cause="a", confidence=1)
    two = Diagnosis(id=2, cause="b", confidence=1)
    three = Diagnosis(id=3, cause="c", confidence=1, supersedes=2)
    assert [each.id for each in chain([one, two, three])] == [2, 3]
    assert chain([]) == []

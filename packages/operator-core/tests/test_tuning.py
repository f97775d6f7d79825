"""Rules as one cluster wants them."""

import pytest

from operator_core.errors import ConfigurationError
from operator_core.monitor.judge import judge
from operator_core.monitor.tuning import require_settings, tuned
from operator_core.monitor.types import Check, Invariant, Observation, Part, RuleSettings, Violation


def above(limit: float) -> Check:
    def check(observation: Observation) -> list[Violation]:
        values = observation.data("values")
        return [
            Violation(invariant="high", target=name, message="high")
            for name, value in values.items()
            if value is not None and value > limit
        ]

    return check


def missing(observation: Observation) -> list[str]:
    return [name for name, value in observation.data("values").items() if value is None]


RULE = Invariant(
    "high",
    "values are low",
    above(10),
    needs=("values",),
    grace_seconds=60,
    clear_seconds=5,
    thresholds={"most": 10.0},
    build=lambda given: above(given["most"]),
    unseen=missing,
)
PLAIN = Invariant("plain", "nothing", lambda _: [])


def seen(**values: float | None) -> Observation:
    part = Part(source="memory", observed_at=Observation().observed_at, data=dict(values))
    return Observation(parts={"values": part})


def test_without_settings_rules_are_as_they_come() -> None:
    assert tuned([RULE, PLAIN], {}) == [RULE, PLAIN]


def test_a_threshold_changes_what_is_found_and_the_rest_stays() -> None:
    (own,) = tuned([RULE], {"high": RuleSettings(thresholds={"most": 20})})
    assert list(own.check(seen(a=15))) == []
    assert [one.target for one in own.check(seen(a=25))] == ["a"]
    assert (own.grace_seconds, own.clear_seconds) == (60, 5)
    assert own.thresholds == {"most": 20}


def test_grace_and_clear_time_can_be_anything_and_nothing() -> None:
    (own,) = tuned([RULE], {"high": RuleSettings(grace_seconds=0, clear_seconds=7)})
    assert (own.grace_seconds, own.clear_seconds) == (0, 7)


def test_settings_of_a_rule_or_threshold_that_is_gone_mean_nothing() -> None:
    settings = {"gone": RuleSettings(grace_seconds=1), "high": RuleSettings(thresholds={"x": 1})}
    own, plain = tuned([RULE, PLAIN], settings)
    assert own.thresholds == RULE.thresholds
    assert plain == PLAIN


@pytest.mark.parametrize(
    ("name", "wanted", "words"),
    [
        ("hihg", RuleSettings(), "no rule 'hihg' to set. Known: high, plain."),
        ("high", RuleSettings(thresholds={"least": 1}), "no threshold 'least'. Known: most."),
        ("plain", RuleSettings(thresholds={"most": 1}), "no threshold 'most'. Known: none."),
        ("high", RuleSettings(thresholds={"most": -1}), "must be a number from 0"),
        ("high", RuleSettings(thresholds={"most": float("inf")}), "must be a number from 0"),
    ],
)
def test_what_cannot_be_set_is_refused_with_what_can(
    name: str, wanted: RuleSettings, words: str
) -> None:
    with pytest.raises(ConfigurationError, match=words):
        require_settings([RULE, PLAIN], name, wanted)


def test_a_target_that_was_not_seen_is_neither_broken_nor_whole() -> None:
    judgement = next(one for one in judge([RULE], seen(a=1, b=None)) if one.name == "high")
    assert judgement.violations == ()
    assert judgement.clears("a")
    assert not judgement.clears("b")


def test_rules_of_one_name_hide_what_either_does_not_see() -> None:
    other = Invariant("high", "", lambda _: [], needs=("values",))
    judgement = next(one for one in judge([RULE, other], seen(b=None)) if one.name == "high")
    assert not judgement.clears("b")

"""A policy's text: what is refused, and what identifies it."""

import pytest

from doc_pages import DocPage
from operator_core.actions.policy import Effect, PolicyError, decide, load, shipped_policy
from operator_core.actions.policy.cases import load_cases, try_case
from operator_core.types import RiskLevel
from policy_kit import ROLES, asked

RULE = '[[rule]]\nname = "a"\neffect = "auto"\n'
FAULTY: list[tuple[str, str]] = [
    ("what is this", "it is no TOML"),
    ("rules = []", "rules: is no key of it"),
    ("version = 2", "version"),
    ('[[rule]]\nname = "a"', "effect: is missing"),
    ('[[rule]]\nname = "a"\neffect = "allow"', "rule.0.effect"),
    ('[[rule]]\nname = ""\neffect = "auto"', "rule.0.name"),
    ('[[rule]]\nname = "a\\u0000b"\neffect = "auto"', "cannot be seen"),
    ('[[rule]]\nname = "a\\u202eb"\neffect = "auto"', "cannot be seen"),
    (RULE + 'reason = "a\\u0000b"', "cannot be seen"),
    (RULE + "expires_seconds = true", "not true or false"),
    (RULE + "expires_seconds = -1", "greater than 0"),
    ("disruptive_at_once = true\n" + RULE, "not true or false"),
    ('[roles]\n"*" = ["alice"]\n' + RULE, "stands for everybody"),
    (RULE + '[[limit]]\nname = "a"\ncount = 1\nper_seconds = 1e300', "less than or equal"),
    (RULE + '[[cooldown]]\nname = "a"\nseconds = 1e12', "less than or equal"),
    (RULE + '[[breaker]]\nname = "a"\ntries = 1\nwithin_seconds = inf', "finite"),
    (RULE + '[[suspects]]\nname = "a"\nwithin_seconds = 1e99', "less than or equal"),
    (RULE + 'when = "1"', "neither true nor false"),
    (RULE + 'when = "no_such == 1"', "undeclared reference"),
    (RULE + "when = \"1 + 'a' == 2\"", "no matching overload"),
    (RULE + f'when = "{"(" * 300}true{")" * 300}"', "recursion limit"),
    (RULE + f"when = \"action == '{'x' * 1000}'\"", "at most 1000"),
    (RULE + "match = { actions = [] }", "rule.0.match.actions: is no key of it"),
    (RULE + 'match = { risk = "huge" }', "rule.0.match.risk"),
    (RULE + "match = { data_share_above = 2 }", "data_share_above"),
    (RULE + "match = { confidence_below = nan }", "confidence_below"),
    (RULE + 'match = { time = { from = "9" } }', "no time of day"),
    (RULE + 'match = { time = { zone = "Mars/Crater" } }', "no time zone"),
    (RULE + 'match = { time = { zone = "../../etc/passwd" } }', "no time zone"),
    (RULE + 'match = { time = { days = ["monday"] } }', "days"),
    (RULE + 'match = { time = { from = "09:00", until = "09:00" } }', "must not end"),
    (RULE + 'approvals = [{ role = "dba" }]', "belongs to effect"),
    ('[[rule]]\nname = "a"\neffect = "approve"', "belongs to effect"),
    ('[[rule]]\nname = "a"\neffect = "approve"\napprovals = [{ role = "x" }]', "'x' is not known"),
    (
        '[[rule]]\nname = "a"\neffect = "approve"\napprovals = [{ role = "dba", count = 0 }]',
        "count",
    ),
    (
        '[[rule]]\nname="a"\neffect="approve"\napprovals=[{role="dba"},{role="dba"}]',
        "stands twice",
    ),
    (RULE + "expires_seconds = 0", "expires_seconds"),
    (RULE + RULE, "rule 'a' stands there more than once"),
    (RULE + "when = 'action =='", "rule 'a': when:"),
    (RULE + "when = 'actoin == \"x\"'", "undeclared reference to 'actoin'"),
    (RULE + "when = 'nonsense(action)'", "rule 'a': when:"),
    (RULE + "when = 'action'", "neither true nor false"),
    ("disruptive_at_once = 2", "disruptive_at_once"),
    ("disruptive_at_once = -1", "disruptive_at_once"),
    ('[[limit]]\nname = "l"\ncount = -1\nper_seconds = 60', "limit.0.count"),
    ('[[limit]]\nname = "l"\ncount = 1\nper_seconds = 0', "limit.0.per_seconds"),
    ('[[breaker]]\nname = "b"\ntries = 0', "breaker.0.tries"),
    ('[[freeze]]\nname = "f"', "either starts and ends"),
    ('[[freeze]]\nname = "f"\nstarts = 2026-01-01T00:00:00Z', "either starts and ends"),
    ('[[freeze]]\nname = "f"\nstarts = 2026-01-01T00:00:00\nends = 2026-01-02T00:00:00', "freeze"),
    (
        '[[freeze]]\nname = "f"\nstarts = 2026-01-02T00:00:00Z\nends = 2026-01-01T00:00:00Z',
        "before ends",
    ),
    ("#" * 1_000_001, "longer than"),
]


@pytest.mark.parametrize(("text", "told"), FAULTY)
def test_a_faulty_text_is_refused_with_the_place(text: str, told: str) -> None:
    if text.startswith("[["):
        text = ROLES + text
    with pytest.raises(PolicyError) as caught:
        load(text)
    assert told in str(caught.value)


TWO_HATS = (
    '[roles]\nx = ["al"]\ny = ["al"]\n[[rule]]\nname="a"\neffect="approve"\n'
    'approvals=[{role="x"},{role="y"}]\n'
)
DOUBTFUL = [
    ("", "no rule, so everything is denied"),
    (RULE + '[[rule]]\nname = "b"\neffect = "deny"\n', "never reached, for rule 'a'"),
    (RULE + 'match = { tags = "tool", tags_none = ["tool"] }', "both of two opposites"),
    (RULE + 'match = { tags_all = "tool", tags_none = ["tool"] }', "both of two opposites"),
    (
        RULE + "match = { data_share_above = 0.5, data_share_at_most = 0.5 }",
        "both of two opposites",
    ),
    (
        RULE + "match = { confidence_at_least = 0.9, confidence_below = 0.8 }",
        "both of two opposites",
    ),
    (
        '[roles]\nx = ["al"]\n[[rule]]\nname="a"\neffect="approve"\napprovals=[{role="x",count=2}]',
        "1 people, which is 1 too few",
    ),
    (TWO_HATS, "1 people, which is 1 too few"),
]


@pytest.mark.parametrize(("text", "told"), DOUBTFUL)
def test_what_is_hardly_meant_is_told(text: str, told: str) -> None:
    assert told in "; ".join(load(text).warnings)


def test_what_is_meant_is_not_doubted() -> None:
    assert load(shipped_policy()).warnings == ()
    assert load(f"{TWO_HATS}distinct=false\n").warnings == ()


BROKEN_CONDITIONS = [
    "parameters.nothing == 3",
    "parameters.valve / 0 == 1",
    "1 % 0 == 1",
    "parameters.valve + 'a' == 'b'",
    "parameters.valve",
    "9223372036854775807 + parameters.valve > 0",
    "action.matches('(')",
    "confidence > 0.9",
    "blast.data_share < 0.1",
    "blast.no_such < 0.1",
    "now.getHours('Mars/Crater') < 3",
    "tags[7] == 'x'",
]


@pytest.mark.parametrize("condition", BROKEN_CONDITIONS)
def test_a_condition_that_cannot_be_said_denies_whatever_comes_after(condition: str) -> None:
    text = RULE + f'when = "{condition}"\n[[rule]]\nname = "b"\neffect = "auto"\n'
    decision = decide(load(text), asked(parameters={"valve": 1}, confidence=None, blast=None))
    assert decision.effect is Effect.DENY
    assert "its condition failed" in decision.told


def test_a_pattern_that_others_never_end_with_ends() -> None:
    loaded = load(RULE + "when = \"action.matches('(a+)+$')\"")
    assert decide(loaded, asked(action="a" * 5000 + "!")).effect is Effect.DENY
    globbed = load(RULE + f'match = {{ action = "{"*a" * 60}" }}')
    assert decide(globbed, asked(action="a" * 59 + "b" * 5000)).effect is Effect.DENY


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(PolicyError) as caught:
        load('version = 1\nextra = 1\n[[rule]]\nname = "a"\neffect = "?"')
    assert len(caught.value.faults) == 2


def test_what_says_the_same_is_the_same_policy() -> None:
    plain = load(RULE + 'match = { action = "x" }')
    commented = load("# why\n" + RULE + 'match = { action = ["x"] }\n')
    other = load(RULE + 'match = { action = "y" }')
    assert plain.digest == commented.digest != other.digest


DEFAULT_SAYS = [
    (asked("look", tags=["read-only"]), Effect.AUTO, 0),
    (asked("restart_view", tags=["restores-sight"], risk=RiskLevel.CRITICAL), Effect.AUTO, 0),
    (asked("evict", tags=["movement"], risk=RiskLevel.LOW), Effect.APPROVE, 1),
    (asked("evict", tags=["disruptive"], risk=RiskLevel.HIGH), Effect.APPROVE, 1),
    (asked("wipe", tags=["data-loss"], risk=RiskLevel.LOW), Effect.APPROVE, 2),
    (asked("remove", risk=RiskLevel.CRITICAL), Effect.APPROVE, 2),
    (asked("unsafe_recover", risk=RiskLevel.LOW), Effect.APPROVE, 2),
    (asked("tikv_unsafe_recovery", risk=RiskLevel.MEDIUM), Effect.APPROVE, 2),
]


@pytest.mark.parametrize(("request_", "effect", "people"), DEFAULT_SAYS)
def test_the_shipped_policy_is_careful(request_: object, effect: Effect, people: int) -> None:
    loaded = load(shipped_policy())
    decision = decide(loaded, request_)  # type: ignore[arg-type]
    assert decision.effect is effect
    assert sum(demand.count for demand in decision.approvals) == people
    assert people < 2 or (decision.distinct and not decision.proposer_may_approve)


PAGE = DocPage("policy.md")


def test_the_examples_of_the_page_are_policies() -> None:
    blocks = PAGE.blocks("toml")
    rules, limits, cases = blocks
    loaded = load(rules)
    assert load(limits).policy.limit
    small, rest = (rule.name for rule in loaded.policy.rule)
    assert (small, rest) == ("small moves at night", "everything else")
    assert [try_case(loaded, case).wrong for case in load_cases(cases)] == ["", ""]

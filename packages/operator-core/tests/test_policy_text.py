"""A policy's text: what is refused, and what identifies it."""

import re
from pathlib import Path

import pytest

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


PAGE = (Path(__file__).parents[3] / "docs" / "policy.md").read_text(encoding="utf-8")


def test_the_examples_of_the_page_are_policies() -> None:
    blocks = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    rules, limits, cases = blocks
    loaded = load(rules)
    assert load(limits).policy.limit
    small, rest = (rule.name for rule in loaded.policy.rule)
    assert (small, rest) == ("small moves at night", "everything else")
    assert [try_case(loaded, case).wrong for case in load_cases(cases)] == ["", ""]

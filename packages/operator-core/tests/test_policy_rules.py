"""Tables of policies and requests: what a rule matches, and what becomes of it."""

import time
from datetime import datetime
from typing import Any

import pytest

from operator_core.actions.policy import BlastRadius, Effect, decide, load
from operator_core.actions.policy.decide import UNKNOWN_BLAST, trace
from operator_core.actions.policy.request import PolicyRequest
from operator_core.types import RiskLevel, Severity
from policy_kit import NOON, asked, one_rule, policy

BLAST = BlastRadius(data_share=0.3, leader_share=0.5)
NIGHT = 'time = { from = "22:00", until = "06:00", zone = "UTC", days = ["mon"] }'

MATCHES: list[tuple[str, dict[str, Any], bool]] = [
    ("", {}, True),
    ('action = "evict"', {}, True),
    ('action = ["evict", "move"]', {"action": "move"}, True),
    ('action = "evict"', {"action": "evict_all"}, False),
    ('action = "evict*"', {"action": "evict_all"}, True),
    ('action = "e?ict"', {}, True),
    ('action = "Evict"', {}, False),
    ('subject = "prod-*"', {"subject": "prod-1"}, True),
    ('subject = "prod-*"', {"subject": None}, False),
    ('subject = "prod-*"', {"subject": "x\nprod-1"}, False),
    ('target = "store_id=4"', {"target": "store_id=4"}, True),
    ('target = "store_id=4"', {"target": "store_id=40"}, False),
    ('proposer = "agent"', {}, True),
    ('proposer = "agent"', {"proposer": "alice"}, False),
    ('tags = ["a", "b"]', {"tags": ["b"]}, True),
    ('tags = ["a", "b"]', {"tags": ["c"]}, False),
    ('tags_all = ["a", "b"]', {"tags": ["b"]}, False),
    ('tags_all = ["a", "b"]', {"tags": ["a", "b", "c"]}, True),
    ('tags_none = ["a"]', {"tags": ["a", "b"]}, False),
    ('tags_none = ["a"]', {}, True),
    ('risk = ["high", "critical"]', {"risk": RiskLevel.HIGH}, True),
    ('risk = ["high", "critical"]', {}, False),
    ('severity = "critical"', {"severity": Severity.CRITICAL}, True),
    ('severity = "critical"', {"severity": None}, False),
    ("data_share_above = 0.25", {"blast": BLAST}, True),
    ("data_share_above = 0.3", {"blast": BLAST}, False),
    ("data_share_at_most = 0.3", {"blast": BLAST}, True),
    ("data_share_at_most = 0.29", {"blast": BLAST}, False),
    ("leader_share_at_most = 0.5", {"blast": BLAST}, True),
    ("client_share_at_most = 0.9", {"blast": BLAST}, False),
    ("client_share_above = 1", {"blast": BLAST}, True),
    ("data_share_at_most = 0.99", {"blast": None}, False),
    ("data_share_above = 1", {"blast": None}, True),
    ("confidence_at_least = 0.8", {"confidence": 0.8}, True),
    ("confidence_at_least = 0.8", {"confidence": None}, False),
    ("confidence_below = 0.8", {"confidence": None}, True),
    ("confidence_below = 0.8", {"confidence": 0.8}, False),
    ('action = "evict", tags = ["a"]', {"tags": ["b"]}, False),
    ('time = { from = "09:00", until = "17:00" }', {}, True),
    ('time = { from = "12:00", until = "17:00" }', {}, True),
    ('time = { from = "09:00", until = "12:00" }', {}, False),
    ('time = { from = "09:00", until = "13:00", zone = "Asia/Tokyo" }', {}, False),
    ('time = { from = "20:00", until = "22:00", zone = "Asia/Tokyo" }', {}, True),
    ('time = { days = ["wed"] }', {}, True),
    ('time = { days = ["mon", "tue"] }', {}, False),
    (NIGHT, {"now": datetime.fromisoformat("2026-03-02T23:00:00Z")}, True),
    (NIGHT, {"now": datetime.fromisoformat("2026-03-03T05:59:00Z")}, True),
    (NIGHT, {"now": datetime.fromisoformat("2026-03-03T06:00:00Z")}, False),
    (NIGHT, {"now": datetime.fromisoformat("2026-03-02T05:00:00Z")}, False),
]


@pytest.mark.parametrize(("match", "changes", "expected"), MATCHES)
def test_a_rule_matches(match: str, changes: dict[str, Any], *, expected: bool) -> None:
    decision = decide(one_rule(match), asked(**changes))
    assert (decision.effect is Effect.AUTO) is expected


CONDITIONS: list[tuple[str, dict[str, Any], bool]] = [
    ('action == "evict" && parameters.id == 1', {"parameters": {"id": 1}}, True),
    ("parameters.id > 1", {"parameters": {"id": 1}}, False),
    ('"a" in tags', {"tags": ["a"]}, True),
    ("now.getHours() == 12", {}, True),
    ("confidence == null || confidence > 0.5", {}, True),
    ("blast.data_share != null && blast.data_share < 0.5", {"blast": BLAST}, True),
    ("blast.data_share != null && blast.data_share < 0.5", {"blast": None}, False),
    ('subject.startsWith("prod")', {"subject": "prod-1"}, True),
]


@pytest.mark.parametrize(("when", "changes", "expected"), CONDITIONS)
def test_a_condition_holds(when: str, changes: dict[str, Any], *, expected: bool) -> None:
    loaded = one_rule("", more=f"when = '{when}'")
    assert (decide(loaded, asked(**changes)).effect is Effect.AUTO) is expected


@pytest.mark.parametrize("effect", ["deny", "auto"])
def test_a_condition_that_fails_denies_whatever_its_rule_says(effect: str) -> None:
    loaded = one_rule("", more="when = 'parameters.id > 0'", effect=effect)
    decision = decide(loaded, asked(parameters={}))
    assert decision.effect is Effect.DENY
    assert decision.rule == "one"
    assert "condition failed" in decision.reasons[0]
    assert decide(loaded, asked(parameters={"id": "text"})).effect is Effect.DENY


def test_a_condition_is_not_asked_where_the_rule_does_not_match() -> None:
    loaded = load(
        '[[rule]]\nname = "a"\neffect = "deny"\nmatch = { action = "other" }\n'
        "when = 'parameters.id > 0'\n"
        '[[rule]]\nname = "b"\neffect = "auto"\nmatch = { tags = "read-only" }'
    )
    assert decide(loaded, asked(tags=["read-only"])).rule == "b"


def test_the_first_rule_that_matches_decides() -> None:
    text = "".join(
        f'[[rule]]\nname = "{name}"\neffect = "{effect}"\n'
        for name, effect in (("first", "deny"), ("second", "auto"))
    )
    decision = decide(load(text), asked())
    assert (decision.effect, decision.rule) == (Effect.DENY, "first")


@pytest.mark.parametrize(
    "text", ["", 'disruptive_at_once = 1\n[[rule]]\nname="x"\neffect="auto"\nmatch={action="x"}']
)
def test_what_no_rule_names_is_denied(text: str) -> None:
    decision = decide(load(text), asked())
    assert decision.effect is Effect.DENY
    assert decision.rule == ""


def test_who_does_not_know_the_harm_asks_a_person() -> None:
    loaded = load('[[rule]]\nname = "all"\neffect = "auto"')
    asking = decide(loaded, asked())
    assert (asking.effect, asking.reasons) == (Effect.APPROVE, (UNKNOWN_BLAST,))
    assert sum(demand.count for demand in asking.approvals) == 1
    assert decide(loaded, asked(blast=BLAST)).effect is Effect.AUTO
    assert decide(loaded, asked(tags=["read-only"])).effect is Effect.AUTO
    assert decide(loaded, asked(tags=["restores-sight"])).effect is Effect.AUTO


def test_a_trace_says_why_each_rule_did_not_match() -> None:
    loaded = policy(
        '[[rule]]\nname = "a"\neffect = "deny"\nmatch = { risk = "low" }\n'
        '[[rule]]\nname = "b"\neffect = "deny"\nwhen = \'"x" in tags\'\n'
        '[[rule]]\nname = "c"\neffect = "deny"\n[[rule]]\nname = "d"\neffect = "auto"\n'
    )
    told = [(step.rule, step.matched, step.why_not) for step in trace(loaded, asked())]
    assert told == [
        ("a", False, "risk does not match"),
        ("b", False, "its condition does not hold"),
        ("c", True, ""),
    ]


def test_a_request_comes_back_from_json() -> None:
    for request in (
        asked(),
        asked(blast=BLAST, severity=Severity.INFO, confidence=0.5, tags=["a"]),
    ):
        assert PolicyRequest.of_json(request.to_json()) == request


def test_twenty_rules_are_asked_in_no_time() -> None:
    rules = "".join(
        f'[[rule]]\nname = "r{n}"\neffect = "deny"\nmatch = {{ action = "x{n}*", tags = ["t"] }}\n'
        for n in range(20)
    )
    loaded, request = load(rules), asked(tags=["disruptive"], now=NOON)

    def seconds_each(times: int = 500) -> float:
        start = time.perf_counter()
        for _ in range(times):
            decide(loaded, request)
        return (time.perf_counter() - start) / times

    # 6 µs on a machine of our own; the bound only finds a rule that is compiled each time.
    assert min(seconds_each() for _ in range(5)) < 200e-6

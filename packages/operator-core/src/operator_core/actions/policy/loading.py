"""From a policy's text to the policy that can be asked; a faulty text is refused whole."""

import hashlib
import json
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from pydantic import ValidationError as ModelError

from operator_core.actions.policy.conditions import (
    Condition,
    ConditionError,
    compile_condition,
)
from operator_core.actions.policy.doubts import never, too_few, unreached
from operator_core.actions.policy.effect import EVERYBODY
from operator_core.actions.policy.matching import Test, all_of, tests_of
from operator_core.actions.policy.windows import Inside, freeze_test
from operator_core.actions.policy.words import (
    Breaker,
    Cooldown,
    Freeze,
    Limit,
    Named,
    Policy,
    Rule,
    Suspects,
)
from operator_core.actions.types import KNOWN_TAGS
from operator_core.errors import ConfigurationError

MAX_POLICY_CHARS = 1_000_000
DEFAULT = "default"


class PolicyError(ConfigurationError):
    """A policy's text cannot be used; carries all faults at once."""

    def __init__(self, faults: tuple[str, ...]) -> None:
        """Take every fault that was found."""
        self.faults = faults
        super().__init__("The policy cannot be used: " + "; ".join(faults) + ".")


@dataclass(frozen=True)
class ReadyRule:
    """A rule with its tests made."""

    rule: Rule
    test: Test
    tests: tuple[tuple[str, Test], ...]
    condition: Condition | None


@dataclass(frozen=True)
class LoadedPolicy:
    """A policy that can be asked.

    Attributes:
        text: as it was written.
        digest: what identifies it: equal for texts that say the same, whatever their comments.
        policy: what it says.
        rules: its rules in order, ready to be asked.
    """

    text: str
    digest: str
    policy: Policy
    rules: tuple[ReadyRule, ...]
    limits: tuple[tuple[Limit, Test], ...]
    cooldowns: tuple[tuple[Cooldown, Test], ...]
    breakers: tuple[tuple[Breaker, Test], ...]
    freezes: tuple[tuple[Freeze, Test, Inside], ...]
    suspects: tuple[tuple[Suspects, Test], ...] = ()

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is no fault, but hardly meant."""
        return tuple(_doubts(self.policy))


@lru_cache(maxsize=64)
def load(text: str) -> LoadedPolicy:
    """Return the policy that a text says.

    Args:
        text: TOML.

    Raises:
        PolicyError: the text cannot be used; names every fault.
    """
    policy = _parsed(text)
    faults = [*_faults_of_names(policy), *_faults_of_roles(policy)]
    rules = []
    for rule in policy.rule:
        try:
            rules.append(_ready(rule))
        except ConditionError as error:
            faults.append(f"rule {rule.name!r}: when: {error}")
    if faults:
        raise PolicyError(tuple(faults))
    return LoadedPolicy(
        text,
        digest_of(policy),
        policy,
        tuple(rules),
        limits=tuple((one, all_of(tests_of(one.match))) for one in policy.limit),
        cooldowns=tuple((one, all_of(tests_of(one.match))) for one in policy.cooldown),
        breakers=tuple((one, all_of(tests_of(one.match))) for one in policy.breaker),
        suspects=tuple((one, all_of(tests_of(one.match))) for one in policy.suspects),
        freezes=tuple((f, all_of(tests_of(f.match)), freeze_test(f)) for f in policy.freeze),
    )


def _doubts(policy: Policy) -> Iterator[str]:
    """What is no fault, but hardly meant."""
    if not policy.rule:
        yield "there is no rule, so everything is denied"
    yield from unreached(policy)
    for rule in policy.rule:
        match = rule.match
        if never(match):
            yield f"rule {rule.name!r}: nothing can match it, for it asks for both of two opposites"
        for tag in sorted({*match.tags, *match.tags_all, *match.tags_none} - KNOWN_TAGS):
            yield f"rule {rule.name!r}: no action of Operator's own has the tag {tag!r}"
        for role in sorted({one.role for one in rule.approvals if not policy.roles[one.role]}):
            yield f"rule {rule.name!r}: role {role!r} is empty, so nobody can approve"
        lack = too_few(policy, rule)
        if lack:
            yield f"rule {rule.name!r}: {lack}, so it can never be approved"


def shipped_policy(name: str = DEFAULT) -> str:
    """Return the text of a policy that comes with Operator."""
    return Path(__file__).with_name(f"{name}.toml").read_text(encoding="utf-8")


def digest_of(policy: Policy) -> str:
    """Return what identifies a policy: equal for texts that say the same."""
    text = json.dumps(policy.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _parsed(text: str) -> Policy:
    if len(text) > MAX_POLICY_CHARS:
        raise PolicyError((f"it is longer than {MAX_POLICY_CHARS} characters",))
    try:
        return Policy.model_validate(tomllib.loads(text))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise PolicyError((f"it is no TOML: {error}",)) from error
    except ModelError as error:
        raise PolicyError(tuple(model_faults(error))) from error


def model_faults(error: ModelError) -> Iterator[str]:
    """Return each fault of a table with its place."""
    for one in error.errors(include_url=False):
        place = ".".join(str(step) for step in one["loc"]) or "policy"
        told = {
            "extra_forbidden": "is no key of it",
            "missing": "is missing",
        }.get(one["type"], one["msg"].removeprefix("Value error, "))
        yield f"{place}: {told}"


def _faults_of_names(policy: Policy) -> Iterator[str]:
    """A name stands in audits and messages, so it must tell which one is meant."""
    tables: dict[str, Sequence[Named]] = {
        "rule": policy.rule,
        "limit": policy.limit,
        "cooldown": policy.cooldown,
        "breaker": policy.breaker,
        "suspects": policy.suspects,
        "freeze": policy.freeze,
    }
    for kind, entries in tables.items():
        names = [entry.name for entry in entries]
        for name in sorted({name for name in names if names.count(name) > 1}):
            yield f"{kind} {name!r} stands there more than once"


def _faults_of_roles(policy: Policy) -> Iterator[str]:
    if EVERYBODY in policy.roles:
        yield f"role {EVERYBODY!r}: that name stands for everybody; give it another"
    for rule in policy.rule:
        for demand in rule.approvals:
            if demand.role not in policy.roles:
                known = ", ".join(sorted(policy.roles)) or "none"
                yield f"rule {rule.name!r}: role {demand.role!r} is not known; known: {known}"


def _ready(rule: Rule) -> ReadyRule:
    tests = tests_of(rule.match)
    condition = compile_condition(rule.when) if rule.when is not None else None
    return ReadyRule(rule, all_of(tests), tuple(tests), condition)

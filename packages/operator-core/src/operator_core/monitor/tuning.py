"""Rules as one cluster wants them: other grace, other thresholds. Pure."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from operator_core.errors import ConfigurationError
from operator_core.monitor.judge import INVARIANT_FAILED, SOURCE_DOUBTED, SOURCE_UNREADABLE
from operator_core.monitor.types import Invariant, RuleSettings

BUILT_IN_RULES = (SOURCE_UNREADABLE, SOURCE_DOUBTED, INVARIANT_FAILED)


def tuned(invariants: Iterable[Invariant], settings: Mapping[str, RuleSettings]) -> list[Invariant]:
    """Return the rules with the settings of a cluster in force.

    Settings of a rule or threshold that is not there any more mean nothing: a newer release
    must not stop the watch.
    """
    return [_tuned(rule, settings.get(rule.name)) for rule in invariants]


def _tuned(rule: Invariant, wanted: RuleSettings | None) -> Invariant:
    if wanted is None:
        return rule
    thresholds = {name: wanted.thresholds.get(name, value) for name, value in _given(rule)}
    is_same = thresholds == dict(rule.thresholds) or rule.build is None
    return replace(
        rule,
        check=rule.check if is_same or rule.build is None else rule.build(thresholds),
        thresholds=thresholds,
        grace_seconds=_or(wanted.grace_seconds, rule.grace_seconds),
        clear_seconds=_or(wanted.clear_seconds, rule.clear_seconds),
    )


def require_settings(invariants: Sequence[Invariant], name: str, wanted: RuleSettings) -> Invariant:
    """Return the rule that settings are for.

    Args:
        invariants: the rules of the cluster.
        name: the rule's name.
        wanted: what is wanted otherwise.

    Raises:
        ConfigurationError: there is no such rule or threshold, or a number cannot be one.
    """
    rule = next((one for one in invariants if one.name == name), None)
    if rule is None:
        known = ", ".join(sorted(one.name for one in invariants)) or "none"
        raise ConfigurationError(f"There is no rule {name!r} to set. Known: {known}.")
    for threshold, value in wanted.thresholds.items():
        if threshold not in rule.thresholds:
            known = ", ".join(sorted(rule.thresholds)) or "none"
            raise ConfigurationError(
                f"The rule {name} has no threshold {threshold!r}. Known: {known}."
            )
        if not math.isfinite(value) or value < 0:
            raise ConfigurationError(f"{threshold} must be a number from 0, not {value}.")
    return rule


def _given(rule: Invariant) -> Iterable[tuple[str, float]]:
    return rule.thresholds.items()


def _or(wanted: float | None, otherwise: float) -> float:
    return otherwise if wanted is None else wanted

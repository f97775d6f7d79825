"""Claims in words and as paths into an etcd observation."""

from pydantic import JsonValue

from operator_core.agent.diagnosis import Claim, Predicate
from operator_core.monitor.types import Observation


def claim(
    statement: str, path: str, predicate: Predicate, value: JsonValue = None, weight: float = 1.0
) -> Claim:
    """Return a claim on what stands at a path."""
    return Claim(statement=statement, path=path, predicate=predicate, value=value, weight=weight)


def equals(statement: str, path: str, value: JsonValue, weight: float = 1.0) -> Claim:
    """Return the claim that a value stands at a path."""
    return claim(statement, path, Predicate.EQ, value, weight)


def at_least(statement: str, path: str, value: float, weight: float = 1.0) -> Claim:
    """Return the claim that no less than a value stands at a path."""
    return claim(statement, path, Predicate.GE, value, weight)


def below(statement: str, path: str, value: float, weight: float = 1.0) -> Claim:
    """Return the claim that less than a value stands at a path."""
    return claim(statement, path, Predicate.LT, value, weight)


def number(seen: Observation, part: str, key: str) -> str:
    """Return a reading as words for a statement."""
    value = seen.data(part).get(key)
    return "an unknown number" if value is None else str(value)


def percent(seen: Observation, part: str, key: str) -> str:
    """Return a share as words for a statement."""
    value = seen.data(part).get(key)
    return "an unknown share" if value is None else f"{value:.0%}"

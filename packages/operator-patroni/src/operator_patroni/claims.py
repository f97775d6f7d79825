"""Claims in words and as paths into an observation of Patroni."""

from pydantic import JsonValue

from operator_core.agent.diagnosis import Claim, Predicate


def claim(
    statement: str, path: str, predicate: Predicate, value: JsonValue = None, weight: float = 1.0
) -> Claim:
    """Return a claim on what stands at a path."""
    return Claim(statement=statement, path=path, predicate=predicate, value=value, weight=weight)


def equals(statement: str, path: str, value: JsonValue, weight: float = 1.0) -> Claim:
    """Return the claim that a value stands at a path."""
    return claim(statement, path, Predicate.EQ, value, weight)


def is_so(statement: str, path: str, *, weight: float = 1.0) -> Claim:
    """Return the claim that true stands at a path."""
    return claim(statement, path, Predicate.EQ, value=True, weight=weight)


def is_not_so(statement: str, path: str, *, weight: float = 1.0) -> Claim:
    """Return the claim that false stands at a path."""
    return claim(statement, path, Predicate.EQ, value=False, weight=weight)


def differs(statement: str, path: str, value: JsonValue, weight: float = 1.0) -> Claim:
    """Return the claim that another value stands at a path."""
    return claim(statement, path, Predicate.NE, value, weight)


def contains(statement: str, path: str, value: JsonValue, weight: float = 1.0) -> Claim:
    """Return the claim that a list at a path has a value."""
    return claim(statement, path, Predicate.CONTAINS, value, weight)


def at_least(statement: str, path: str, value: float, weight: float = 1.0) -> Claim:
    """Return the claim that no less than a value stands at a path."""
    return claim(statement, path, Predicate.GE, value, weight)


def below(statement: str, path: str, value: float, weight: float = 1.0) -> Claim:
    """Return the claim that less than a value stands at a path."""
    return claim(statement, path, Predicate.LT, value, weight)


def member_path(name: str, key: str) -> str:
    """Return the path of what the DCS says of a member."""
    return f"members/members/{_segment(name)}/{key}"


def node_path(name: str, key: str) -> str:
    """Return the path of what a member says of itself."""
    return f"nodes/members/{_segment(name)}/{key}"


def process_path(name: str) -> str:
    """Return the path of what a supervisor says of a member's Patroni."""
    return f"processes/members/{_segment(name)}/state"


def _segment(name: str) -> str:
    """Return a name as a segment of a path, where a slash parts segments."""
    return name.replace("~", "~0").replace("/", "~1")

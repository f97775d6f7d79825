"""Evaluating claims on an observation: pure, offline, the same today and in a year."""

import json
import math
import operator
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from operator_core.actions.readable import readable
from operator_core.actions.validation import same_json
from operator_core.agent.diagnosis import Claim, Finding, Predicate
from operator_core.agent.paths import entry_of, part_name, resolve
from operator_core.monitor.types import Observation

_MAX_SHOWN_CHARS = 80


def holds(claim: Claim, observation: Observation) -> bool:
    """Return whether a claim holds; never raises.

    Nothing holds of what is not there, except "absent", and that only where its part was
    read whole. Order is defined between two numbers and between two texts. A bool is no
    number.
    """
    found, value = resolve(observation, claim.path)
    if claim.predicate is Predicate.ABSENT:
        return not found and observation.sees([part_name(claim.path)])
    if not found:
        return False
    return _COMPARE[claim.predicate](value, claim.value)


def bind(claims: Iterable[Claim], observation_id: int | None) -> list[Claim]:
    """Return the claims, each bound to the observation it is to be checked on."""
    return [claim.model_copy(update={"observation_id": observation_id}) for claim in claims]


def share_held(claims: Iterable[Claim], observation: Observation) -> float:
    """Return the weight of the claims that hold as a share of all weight, see `share`."""
    return share([(claim.weight, holds(claim, observation)) for claim in claims])


def share(weighed: Sequence[tuple[float, bool]]) -> float:
    """Return the weight of what holds as a share of all weight, 0 where there is no sum.

    Args:
        weighed: weights, and whether what they belong to holds.
    """
    total = sum(weight for weight, _ in weighed)
    if not weighed or not math.isfinite(total):
        return 0.0
    return sum(weight for weight, held in weighed if held) / total


def finding(claim: Claim, observation: Observation) -> Finding:
    """Return what a claim meets with on an observation."""
    found, value = resolve(observation, claim.path)
    return Finding(
        claim=claim,
        holds=holds(claim, observation),
        seen=shown(value) if found else None,
        why="" if observation.sees([part_name(claim.path)]) else "could not be read",
    )


def shown(value: object) -> str:
    """Return a value as short text on one line, for people."""
    text = json.dumps(readable({"value": value})["value"], ensure_ascii=False)
    return text if len(text) <= _MAX_SHOWN_CHARS else text[: _MAX_SHOWN_CHARS - 1] + "…"


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[[object, object], bool]:
    def holds_between(value: object, bound: object) -> bool:
        both_text = isinstance(value, str) and isinstance(bound, str)
        if both_text or (_is_number(value) and _is_number(bound)):
            return compare(value, bound)
        return False

    return holds_between


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _contains(value: object, wanted: object) -> bool:
    if isinstance(value, list):
        return any(same_json(one, wanted) for one in value)
    if isinstance(wanted, str) and isinstance(value, str):
        return wanted in value
    if isinstance(wanted, str) and isinstance(value, dict):
        return entry_of(value, wanted).found
    return False


_COMPARE: dict[Predicate, Callable[[object, object], bool]] = {
    Predicate.EQ: same_json,
    Predicate.NE: lambda value, other: not same_json(value, other),
    Predicate.LT: _ordered(operator.lt),
    Predicate.LE: _ordered(operator.le),
    Predicate.GT: _ordered(operator.gt),
    Predicate.GE: _ordered(operator.ge),
    Predicate.CONTAINS: _contains,
    Predicate.EXISTS: lambda _value, _other: True,
}

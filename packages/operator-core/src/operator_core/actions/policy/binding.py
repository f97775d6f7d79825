"""What an approval is bound to, and whether that still holds; pure."""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from operator_core.actions.validation import same_json
from operator_core.agent.paths import escaped, resolve
from operator_core.monitor.types import Observation
from operator_core.types import JsonObject

_PLACE = re.compile(r"\{(\w+)\}")

Facts = Mapping[str, object]
"""What stood at each path; a path at which nothing stood is not among them."""


class Drift(NamedTuple):
    """A fact that is not what it was; None: there was, or is, nothing."""

    path: str
    old: object
    new: object

    def __str__(self) -> str:
        """Say the difference."""
        return f"{self.path}: {_told(self.old)} → {_told(self.new)}"


class Call(NamedTuple):
    """What is approved: a call of one version of an action, with what would undo it."""

    action_name: str
    version: int
    parameters: Mapping[str, object]
    target: str
    undo: Mapping[str, object] | None = None

    @property
    def digest(self) -> str:
        """What identifies it: equal for equal calls, whatever the order of arguments."""
        text = json.dumps(self, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


def paths_of(facts: Iterable[str], parameters: Mapping[str, object]) -> list[str]:
    """Return an action's facts as paths of this call: ``{name}`` becomes the argument."""

    def argument(match: re.Match[str]) -> str:
        value = parameters.get(match[1], match[0])
        return escaped(str(value))

    return [_PLACE.sub(argument, path) for path in facts]


def facts_at(observation: Observation, paths: Iterable[str]) -> JsonObject:
    """Return what stands at paths of an observation."""
    found = ((path, resolve(observation, path)) for path in paths)
    return {path: at.value for path, at in found if at.found}


def drift(bound: Facts, now: Facts, declared: Iterable[str] = ()) -> tuple[Drift, ...]:
    """Return which bound facts are not what they were.

    Args:
        bound: the facts at approval.
        now: the facts at execution.
        declared: paths that earlier steps of the same workflow said they change; what lies
            under them is no drift.
    """
    expected = tuple(declared)
    return tuple(
        Drift(path, bound.get(path), now.get(path))
        for path in sorted({*bound, *now})
        if not _same(path, bound, now) and not _under(path, expected)
    )


def _same(path: str, bound: Facts, now: Facts) -> bool:
    return (path in bound) == (path in now) and same_json(bound.get(path), now.get(path))


def _under(path: str, declared: tuple[str, ...]) -> bool:
    return any(path == one or path.startswith(f"{one}/") for one in declared)


def _told(value: object) -> str:
    return "nothing" if value is None else json.dumps(value, ensure_ascii=False, sort_keys=True)

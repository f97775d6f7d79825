"""Paths into an observation, and what stands there; pure."""

import re
from typing import Any, NamedTuple

from operator_core.monitor.types import Observation

_INDEX = re.compile(r"0|[1-9][0-9]{0,8}")


class Resolved(NamedTuple):
    """What stands at a path: whether there is anything, and what."""

    found: bool
    value: object = None


_NOTHING = Resolved(found=False)


def resolve(observation: Observation, path: str) -> Resolved:
    """Return what stands at a path of an observation.

    Args:
        observation: where to look; an incomplete part can be looked into as well.
        path: see `Claim`; the first segment is the part's name, alone it names all its data.
    """
    part = observation.parts.get(part_name(path))
    if part is None:
        return _NOTHING
    here = Resolved(found=True, value=part.data)
    for segment in path.split("/")[1:]:
        here = _step(here.value, _unescaped(segment))
        if not here.found:
            break
    return here


def part_name(path: str) -> str:
    """Return the name of the part that a path leads into."""
    return _unescaped(path.partition("/")[0])


def escaped(name: str) -> str:
    """Return a name as it stands between the slashes of a path."""
    return name.replace("~", "~0").replace("/", "~1")


def _unescaped(segment: str) -> str:
    return segment.replace("~1", "/").replace("~0", "~")


def _step(value: object, segment: str) -> Resolved:
    if isinstance(value, dict):
        return entry_of(value, segment)
    if isinstance(value, list) and _INDEX.fullmatch(segment) and int(segment) < len(value):
        return Resolved(found=True, value=value[int(segment)])
    return _NOTHING


def entry_of(value: dict[Any, object], segment: str) -> Resolved:
    """Return what an object has by a name."""
    if segment in value:
        return Resolved(found=True, value=value[segment])
    # Numbers as keys become text in the ledger; a path must lead to the same before and after.
    for key, entry in value.items():
        if isinstance(key, int) and not isinstance(key, bool) and str(key) == segment:
            return Resolved(found=True, value=entry)
    return _NOTHING

"""Blind-safe: who cannot see acts on nothing, except to see again; pure."""

from datetime import datetime, timedelta

from operator_core.actions.policy.request import HARMLESS_TAGS, tags_of
from operator_core.actions.types import ActionDefinition
from operator_core.monitor.types import Observation, Part
from operator_core.types import JsonObject

CLOCK_SKEW_SECONDS = 5.0
"""How far the clocks of two machines may lie apart."""


def blindness(
    definition: ActionDefinition, observation: Observation | None, now: datetime
) -> tuple[str, ...]:
    """Return why too little is seen for an action; nothing: enough is seen.

    Args:
        definition: the action, with the parts of the observation that it needs.
        observation: the last look; None: there was none.
        now: the present moment.
    """
    if not definition.needs_sources or not HARMLESS_TAGS.isdisjoint(tags_of(definition)):
        return ()
    if observation is None:
        return ("the cluster could not be seen",)
    oldest = now - timedelta(seconds=definition.max_age_seconds)
    newest = now + timedelta(seconds=CLOCK_SKEW_SECONDS)
    faults = (
        (name, _fault(observation, name, oldest, newest)) for name in definition.needs_sources
    )
    return tuple(f"{name} {fault}" for name, fault in faults if fault)


def sources_of(definition: ActionDefinition, observation: Observation | None) -> JsonObject:
    """Return what `blindness` goes by, to be written down: how each source was seen.

    Args:
        definition: the action, with the parts of the observation that it needs.
        observation: the last look; None: there was none.
    """
    parts = observation.parts if observation else {}
    return {
        name: parts[name].model_dump(mode="json", include=_KEPT)
        for name in definition.needs_sources
        if name in parts
    }


def as_seen(sources: JsonObject) -> Observation:
    """Return a look that shows no more than how each source was seen.

    Args:
        sources: as `sources_of` gives them.
    """
    parts = {name: Part.model_validate({"source": name, **one}) for name, one in sources.items()}
    return Observation(parts=parts)


_KEPT = {"observed_at", "complete", "error", "agrees"}


def _fault(observation: Observation, name: str, oldest: datetime, newest: datetime) -> str:
    part = observation.parts.get(name)
    if part is None:
        return "was not seen"
    if not part.complete:
        return f"was seen in part only: {part.error or 'no reason given'}"
    if not part.agrees:
        return "is contradicted by another source, or told by a minority"
    if part.observed_at < oldest:
        return f"was seen at {part.observed_at.isoformat()}, too long ago"
    return "" if part.observed_at <= newest else "was seen in the future: a clock is wrong"

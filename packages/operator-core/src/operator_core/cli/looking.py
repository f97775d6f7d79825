"""One look at a cluster, and how it is shown."""

import asyncio

from rich.console import RenderableType

from operator_core.actions.types import ActionDefinition
from operator_core.cli.render import facts, hint, stacked, table, word
from operator_core.contain import contained, said
from operator_core.errors import OperatorError, SubjectError, SubjectUnreachableError
from operator_core.monitor.types import Observation
from operator_core.subject import FullSubject
from operator_core.types import JsonObject

LOOK_LIMIT_SECONDS = 15.0


async def look(subject: FullSubject) -> Observation:
    """Look at a cluster once.

    Raises:
        SubjectUnreachableError: nothing at all could be seen.
        SubjectError: the subject's own code failed.
    """
    try:
        async with asyncio.timeout(LOOK_LIMIT_SECONDS):
            observation = await contained(subject.observe())
    except TimeoutError:
        raise SubjectUnreachableError(
            f"{subject.name} did not answer within {LOOK_LIMIT_SECONDS:g} s."
        ) from None
    except OperatorError:
        raise
    except Exception as error:
        reason = f"{type(error).__name__}: {said(error)}"
        raise SubjectError(f"The code that looks at {subject.name} failed: {reason}") from error
    if not any(part.complete or part.data for part in observation.parts.values()):
        reasons = sorted({part.error or "no reason" for part in observation.parts.values()})
        raise SubjectUnreachableError(
            f"Nothing of {subject.name} can be seen ({'; '.join(reasons) or 'no parts'}). Check "
            "the settings, or store them without looking: --no-check."
        )
    return observation


def brief(observation: Observation | None) -> JsonObject | None:
    """Return what was seen without the data itself."""
    if observation is None:
        return None
    parts = {
        name: {"source": part.source, "complete": part.complete, "error": part.error}
        for name, part in observation.parts.items()
    }
    return {
        "observed_at": observation.observed_at,
        "complete": observation.complete,
        "parts": parts,
    }


def connection_view(
    name: str, observation: Observation | None, definitions: list[ActionDefinition]
) -> RenderableType:
    """Return what a cluster shows and which actions it offers."""
    seen = None
    if observation is not None:
        rows = (
            (key, word("ok" if part.complete else "wrong"), part.source, part.error)
            for key, part in observation.parts.items()
        )
        seen = table("What it sees", ("part", "whole", "source", "missing because"), rows)
    actions = (
        (one.name, one.risk_level, "yes" if one.disruptive else "no", one.description)
        for one in definitions
    )
    return stacked(
        facts("Connected", {"cluster": name, "looked": "no" if observation is None else "yes"}),
        seen,
        table("What it may do, once it is let", ("action", "risk", "disruptive", "what"), actions),
        hint("Next: operator up. It only looks until `operator mode execute`."),
    )

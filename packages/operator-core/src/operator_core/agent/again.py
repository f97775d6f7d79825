"""When a diagnosis gives way to another one, made on later looks; pure.

A ticket is diagnosed on one of its first looks, and what names its cause may come later. So that
causes do not take turns, another answer must lead by a margin, must be given by several looks in a
row, by twice as many each time, and a ticket changes its mind only a few times. A look that sees
less than the one that a diagnosis rests on refutes nothing.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum

from operator_core.agent.diagnosis import Diagnosis
from operator_core.agent.evidence import holds
from operator_core.agent.recommend import plans_of
from operator_core.agent.rules import MIN_CONFIDENCE, TIE_MARGIN
from operator_core.monitor.types import Observation
from operator_core.types import JsonObject

SWITCH_MARGIN = 2 * TIE_MARGIN
"""By how much another cause must lead, where the former one would still be an answer."""

CONFIRMING_LOOKS = 2
"""How many looks in a row must give another answer the first time; each time twice as many."""

MAX_AGAIN = 5
"""How often the diagnosis of a ticket is superseded, until the problem was gone."""

_SHOWN_CLAIMS = 3


class Turn(StrEnum):
    """Why a diagnosis is superseded."""

    CAUSE_FOUND = "cause_found"
    CAUSE_REFUTED = "cause_refuted"
    CAUSE_OUTWEIGHED = "cause_outweighed"
    ANSWER_CHANGED = "answer_changed"


@dataclass(frozen=True)
class Superseded:
    """That a diagnosis does not stand any more.

    Attributes:
        turn: of which kind the reason is.
        reason: for people.
    """

    turn: Turn
    reason: str


def looks_needed(times: int) -> int:
    """Return how many looks in a row must give another answer.

    Args:
        times: how often the ticket's diagnosis was superseded before.
    """
    return int(CONFIRMING_LOOKS * 2**times)


def chain(diagnoses: Sequence[Diagnosis]) -> list[Diagnosis]:
    """Return the latest diagnosis of a ticket, and before it those that it superseded in turn."""
    found = list(diagnoses[-1:])
    for one in reversed(diagnoses[:-1]):
        if one.id != found[0].supersedes:
            break
        found.insert(0, one)
    return found


def remedy_asked(diagnosis: Diagnosis) -> list[list[tuple[str, JsonObject]]]:
    """Return what the agent proposes by a diagnosis; nothing where a person must decide."""
    return [] if diagnosis.escalate else [plan for plan in plans_of(diagnosis) if plan]


def sees_as_much(earlier: Observation, later: Observation) -> bool:
    """Return whether a look can refute what was said by an earlier one."""
    return all(
        name in later.parts and later.parts[name].complete and later.parts[name].agrees
        for name, part in earlier.parts.items()
        if part.complete and part.agrees
    )


def superseded(
    stored: Diagnosis, fresh: Diagnosis, look: Observation, former: Collection[str] = ()
) -> Superseded | None:
    """Return why a diagnosis gives way to the one that a later look gives; None: it stands.

    Args:
        stored: the diagnosis that the ticket has.
        fresh: what the same diagnoser says of the later look, with all alternatives.
        look: the later look.
        former: causes that were superseded before; they come back only for one that is refuted.
    """
    if fresh.hypothesis == stored.hypothesis:
        return _changed(stored, fresh)
    if stored.is_unknown:
        return Superseded(Turn.CAUSE_FOUND, f"{fresh.hypothesis} explains it now")
    now = _confidence_of(stored.hypothesis, fresh)
    if now < MIN_CONFIDENCE:
        return Superseded(Turn.CAUSE_REFUTED, _refuted(stored, look))
    lead = round(fresh.confidence - now, 6)
    if lead < SWITCH_MARGIN or fresh.hypothesis in former:
        return None
    reason = (
        f"{fresh.hypothesis} is better supported now ({fresh.confidence:.0%}) than "
        f"{stored.hypothesis} ({now:.0%})"
    )
    return Superseded(Turn.CAUSE_OUTWEIGHED, reason)


def _changed(stored: Diagnosis, fresh: Diagnosis) -> Superseded | None:
    if set(stored.components) != set(fresh.components):
        where = ", ".join(sorted(fresh.components)) or "the whole cluster"
        return Superseded(Turn.ANSWER_CHANGED, f"{fresh.hypothesis} is at {where} now")
    if remedy_asked(stored) != remedy_asked(fresh):
        return Superseded(Turn.ANSWER_CHANGED, f"{fresh.hypothesis} asks for something else now")
    return None


def _confidence_of(hypothesis: str, fresh: Diagnosis) -> float:
    found = (one.confidence for one in fresh.alternatives if one.hypothesis == hypothesis)
    return max(found, default=0.0)


def _refuted(stored: Diagnosis, look: Observation) -> str:
    gone = [one.statement for one in stored.evidence if not holds(one, look)][:_SHOWN_CLAIMS]
    what = f"does not hold any more: {'; '.join(gone)}" if gone else "is ruled out now"
    return f"{stored.hypothesis} {what}"

"""How long a play's stages took, in the cluster's time; pure."""

from collections.abc import Iterable, Sequence

from operator_lab.scenario import Expectation
from operator_lab.words import Played, SeenTicket

GOAL_SECONDS = 120.0
"""From a fault to the proof of its remedy, where the cluster and the rule allow it."""

ROOM_SECONDS = GOAL_SECONDS / 2
"""They do where they take half of it: a person's answer and the shortest soak take the other."""


def first_of(tickets: Iterable[SeenTicket]) -> dict[str, SeenTicket]:
    """Return the first ticket of each problem."""
    found: dict[str, SeenTicket] = {}
    for ticket in tickets:
        found.setdefault(ticket.key, ticket)
    return found


def timely(played: Played) -> dict[str, SeenTicket]:
    """Return the first ticket of each problem, but for those that came before any fault.

    Who opens a ticket of everything at once would find each fault before it is there.
    """
    began = min(played.fault_seconds, default=0.0)
    return {key: one for key, one in first_of(played.tickets).items() if one.opened >= began}


def times(expect: Expectation, played: Played) -> dict[str, float | None]:
    """Return how long each stage took; `Marks` tells what each name means.

    Args:
        expect: which problems must be seen.
        played: what came of the play.
    """
    seen = timely(played)
    mine = [seen[key] for key in expect.tickets if key in seen]
    began = min(played.fault_seconds, default=None)
    if not mine or began is None:
        return {}
    soonest = min(mine, key=lambda one: one.opened)
    sent = [deed.began for deed in played.own_deeds]
    proposed = [one.proposed for one in played.proposals]
    resolved = [one.resolved for one in mine if one.resolved is not None]
    diagnosed = [one.diagnosed - one.opened for one in mine if one.diagnosed is not None]
    return {
        "detect_seconds": soonest.opened - began,
        "detect_looks": max(_looks_since(one, one.unseen_until) for one in mine),
        "fault_looks": _looks_since(soonest, _fault_of(soonest, played)),
        "diagnose_seconds": max(diagnosed, default=None),
        "act_seconds": min(sent) - min(proposed) if sent and proposed else None,
        "verify_seconds": max(resolved) - began if len(resolved) == len(mine) else None,
        **_proof(mine, played),
    }


def _looks_since(ticket: SeenTicket, moment: float) -> float:
    """Return how many usual looks after its grace a ticket came, where it began at a moment."""
    return (ticket.opened - moment - ticket.grace) / ticket.looks_every


def _fault_of(ticket: SeenTicket, played: Played) -> float:
    """Return when the last fault before a problem was seen began or ended: the likely reason."""
    before = [at for at in played.fault_seconds if at <= ticket.first_seen]
    return max(before, default=ticket.first_seen)


def _proof(mine: Sequence[SeenTicket], played: Played) -> dict[str, float | None]:
    """Return what the time from the fault to the proof of the last remedy is made of.

    Args:
        mine: the tickets that must be seen.
        played: what came of the play.
    """
    proven = [one for one in mine if one.verified and one.resolved is not None]
    if not proven:
        return {}
    last = max(proven, key=lambda one: one.resolved or 0.0)
    fault, resolved = _fault_of(last, played), last.resolved or 0.0
    deeds = [one for one in played.own_deeds if last.opened <= one.began <= resolved]
    shown, on_cluster = last.first_seen - fault, sum(one.ended - one.began for one in deeds)
    whole, others = resolved - fault, shown + last.grace + on_cluster
    return {
        "proven_seconds": whole,
        "shown_seconds": shown,
        "grace_seconds": last.grace,
        "cluster_seconds": on_cluster,
        "own_seconds": whole - others,
        "roomy_seconds": whole if others <= ROOM_SECONDS else None,
    }

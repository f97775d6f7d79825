"""Whether a remedy is proven; pure.

It is when the broken invariant has held through a soak window of looks that could show it, no
invariant that held before is broken, and the cluster has everything that it had, apart from what
the remedy declared. What could not be checked proves nothing.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from operator_core.agent.paths import escaped
from operator_core.monitor.config import Patience
from operator_core.monitor.judge import judge
from operator_core.monitor.types import Invariant, Observation
from operator_core.monitor.verification import Capacity, Verdict, Verification

BROKEN_SINCE = "broken since the remedy began: "
"""How a reason begins that names what broke beside the problem."""

MIN_LOOKS = 3
"""How many looks in a row must show that a problem is gone, however far apart they are."""


@dataclass(frozen=True)
class Sight:
    """What one look shows of a problem and of what its remedy may have done.

    Attributes:
        look_id: the look.
        at: when.
        broken: whether the problem is there.
        unread: why the look cannot show that it is gone; empty: it can.
        newly_broken: what is broken and was not before the remedy.
        lost: what the cluster no longer has.
    """

    look_id: int
    at: datetime
    broken: bool = False
    unread: str = ""
    newly_broken: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()


def advance(proof: Verification, sight: Sight, patience: Patience) -> Verification:
    """Take one look into a proof; a verdict that was given stays.

    Args:
        proof: as far as it has come.
        sight: what the next look shows.
        patience: how long it takes.
    """
    held_since, looks = _run(proof, sight, patience)
    seen = proof.model_copy(
        update={
            "held_since": held_since,
            "looks": looks,
            "look_id": sight.look_id,
            "looked_at": sight.at,
        }
    )
    if proof.verdict is not Verdict.WAITING:
        return seen
    verdict, reasons = _judged(seen, sight, patience)
    decided_at = None if verdict is Verdict.WAITING else sight.at
    return seen.model_copy(
        update={
            "verdict": verdict,
            "was_seen": sight.broken or _has_held(seen, sight, patience),
            "reasons": reasons,
            "decided_at": decided_at,
        }
    )


def is_proven(proof: Verification, sight: Sight, patience: Patience) -> bool:
    """Return whether all is well by now, whatever the verdict on the remedy was.

    Args:
        proof: with this look taken in.
        sight: what the look shows.
        patience: how long it takes.
    """
    return _has_held(proof, sight, patience) and not sight.lost and not sight.newly_broken


def shown(
    rules: Sequence[Invariant], observation: Observation, invariant: str, target: str
) -> tuple[bool, str]:
    """Return whether a look shows a problem, and why it cannot show that it is gone.

    Args:
        rules: the rules of the cluster.
        observation: the look.
        invariant: the rule that the problem breaks.
        target: what it breaks it at.
    """
    mine = [rule for rule in rules if rule.name == invariant]
    judged = [one for one in judge(mine, observation) if one.name == invariant]
    if any(found.target == target for one in judged for found in one.violations):
        return True, ""
    if judged and all(one.clears(target) for one in judged):
        return False, ""
    unread = sorted(name for name, part in observation.parts.items() if not part.complete)
    return False, f"{', '.join(unread) or 'what it is judged by'} could not be read"


def uncounted(before: Capacity | None, after: Capacity | None) -> str:
    """Return why nobody knows what a cluster no longer has; empty: it can be said."""
    if after is None:
        return "what the cluster has could not be read"
    return "what the cluster had before the remedy is not known" if before is None else ""


def lost(before: Capacity, after: Capacity, declared: Collection[str]) -> tuple[str, ...]:
    """Return what a cluster no longer has, for people.

    Args:
        before: what it had.
        after: what it has.
        declared: what it was meant to lose: ``kind/name`` of a member, or the name of an amount.
    """
    gone = [
        f"{kind} {name} is gone"
        for kind, names in sorted(before.members.items())
        for name in sorted(set(names) - set(after.members.get(kind, ())))
        if f"{kind}/{escaped(name)}" not in declared
    ]
    less = [
        f"{name} fell from {amount:g} to {after.amounts.get(name, 0.0):g}"
        for name, amount in sorted(before.amounts.items())
        if after.amounts.get(name, 0.0) < amount and name not in declared
    ]
    return (*gone, *less)


def _run(proof: Verification, sight: Sight, patience: Patience) -> tuple[datetime | None, int]:
    """Return since when, and in how many looks, the problem is gone without a break."""
    if sight.broken or sight.unread:
        return None, 0
    gap = timedelta(seconds=patience.gap_seconds)
    went_on = proof.looked_at is not None and timedelta(0) <= sight.at - proof.looked_at <= gap
    if proof.held_since is None or not went_on:  # also where the time of day was set back
        return sight.at, 1
    return proof.held_since, proof.looks + 1


def _has_held(proof: Verification, sight: Sight, patience: Patience) -> bool:
    if proof.held_since is None or proof.looks < MIN_LOOKS:
        return False
    return sight.at - proof.held_since >= timedelta(seconds=patience.soak_seconds)


def _judged(
    proof: Verification, sight: Sight, patience: Patience
) -> tuple[Verdict, tuple[str, ...]]:
    waited = (sight.at - proof.ended_at).total_seconds()
    if _has_held(proof, sight, patience):
        is_late = waited > patience.verify_seconds + patience.soak_seconds
        return _after_the_soak(sight, is_late=is_late)
    if sight.broken:
        reason = f"the problem is still there {waited:.0f} s after the remedy ended"
        return _once(reason, is_late=waited > patience.verify_seconds)
    if sight.unread:
        reason = f"it could not be checked: {sight.unread}"
    else:
        reason = f"the problem has been gone for {_held_seconds(proof, sight):.0f} s"
    return _once(reason, is_late=waited > patience.blind_seconds)


def _after_the_soak(sight: Sight, *, is_late: bool) -> tuple[Verdict, tuple[str, ...]]:
    if sight.lost:
        return Verdict.NOT_VERIFIED, (*sight.lost, *_broken(sight))
    if sight.newly_broken:
        return (Verdict.NOT_VERIFIED if is_late else Verdict.WAITING), _broken(sight)
    return Verdict.VERIFIED, ()


def _broken(sight: Sight) -> tuple[str, ...]:
    return tuple(f"{BROKEN_SINCE}{one}" for one in sight.newly_broken)


def _once(reason: str, *, is_late: bool) -> tuple[Verdict, tuple[str, ...]]:
    return (Verdict.NOT_VERIFIED if is_late else Verdict.WAITING), (reason,)


def _held_seconds(proof: Verification, sight: Sight) -> float:
    return (sight.at - (proof.held_since or sight.at)).total_seconds()

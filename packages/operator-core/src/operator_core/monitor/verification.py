"""The words of verification: what a cluster has, and whether a remedy is proven."""

from enum import StrEnum
from typing import Final

from pydantic import ConfigDict, Field

from operator_core.actions.types import Moment
from operator_core.deferred import Deferred

ROLLBACK_BY: Final = "agent:rollback"
"""Who proposes to take back a remedy that did not hold."""


class Capacity(Deferred):
    """What a cluster has that a remedy must not cost it.

    Attributes:
        members: by kind, the names of what belongs to it, healthy or not.
        amounts: numbers that must not get smaller, such as how many replicas are kept.
    """

    model_config = ConfigDict(frozen=True)

    members: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    amounts: dict[str, float] = Field(default_factory=dict)


class Verdict(StrEnum):
    """Whether a remedy is proven to have worked."""

    WAITING = "waiting"
    VERIFIED = "verified"
    NOT_VERIFIED = "not_verified"


class Verification(Deferred):
    """The proof of one remedy, as far as it has come.

    Attributes:
        diagnosed_at: of the diagnosis that the remedy came from.
        proposals: the ids of what the remedy did.
        baseline_id: the last look before the remedy began.
        capacity: what the cluster had then; None: it could not be told.
        declared: what of it the remedy said that it would take, such as stores/4.
        started_at: when its first call was sent.
        ended_at: when its last call had ended.
        held_since: since which look the problem is gone without a break; None: it is not.
        looks: how many looks have shown that.
        look_id: the last look that was judged.
        looked_at: when that was.
        verdict: what came of it.
        was_seen: whether the last look could show what is; False: nobody knows what the remedy did.
        reasons: why, for people.
        decided_at: when it was no longer waiting.
    """

    model_config = ConfigDict(frozen=True)

    id: int | None = None
    subject: str | None = None
    ticket_id: int
    diagnosed_at: Moment
    proposals: tuple[int, ...] = ()
    baseline_id: int | None = None
    capacity: Capacity | None = None
    declared: tuple[str, ...] = ()
    started_at: Moment
    ended_at: Moment
    held_since: Moment | None = None
    looks: int = 0
    look_id: int | None = None
    looked_at: Moment | None = None
    verdict: Verdict = Verdict.WAITING
    was_seen: bool = True
    reasons: tuple[str, ...] = ()
    decided_at: Moment | None = None

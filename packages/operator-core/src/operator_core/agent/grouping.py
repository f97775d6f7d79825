"""Which tickets are consequences of another one's cause; pure, whatever order they came in.

A ticket follows another one, its root, where that one's diagnosis asks for something to be done,
and either both name the same cause, at the same components, with the same remedy; or the root's
cause brings the follower's problem, at the root's own components, or anywhere where the cause is
one of the whole cluster. A follower is nobody's root, so groups are one level deep and have no
cycles. What somebody has approved, or what has begun, goes on: its ticket follows nobody.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from operator_core.agent.diagnosis import Diagnosis
from operator_core.agent.recommend import plans_of
from operator_core.monitor.types import Ticket, TicketPhase
from operator_core.subject import Hypothesis

DEFAULT_PATIENCE_SECONDS = 60.0
"""How long a follower may outlast its root, beside the times of its own rule."""

Causes = Mapping[str, Hypothesis]
"""A subject's catalogue by name."""


@dataclass(frozen=True)
class Member:
    """A diagnosed ticket that may be in a group.

    Attributes:
        ticket: not resolved.
        diagnosis: its latest one.
        is_committed: something for it was approved, or has begun.
        root_resolved_at: when the root that it follows now was resolved, if it was.
    """

    ticket: Ticket
    diagnosis: Diagnosis
    is_committed: bool = False
    root_resolved_at: datetime | None = None

    @property
    def ticket_id(self) -> int:
        """The ticket's number."""
        return int(self.ticket.id or 0)

    @property
    def stays_alone(self) -> bool:
        """Whether work of its own goes on."""
        busy = (TicketPhase.ACTING, TicketPhase.VERIFYING)
        return self.is_committed or self.ticket.phase in busy

    @property
    def outlives_root(self) -> bool:
        """Whether the root that it follows is resolved."""
        return self.root_resolved_at is not None


class MoveKind(StrEnum):
    """What becomes of a ticket."""

    FOLLOW = "follow"
    LEAD = "lead"
    STAND_ALONE = "stand_alone"


@dataclass(frozen=True)
class Move:
    """One ticket's way into a group or out of it.

    Attributes:
        ticket_id: the ticket.
        kind: it follows a root; it leads the group that it was in; or it stands alone and is
            diagnosed anew.
        root_id: what it follows.
        pages: it is graver than its root, so a person is called for it all the same.
        reason: why, for people.
    """

    ticket_id: int
    kind: MoveKind
    root_id: int | None = None
    pages: bool = False
    reason: str = ""


def moves(
    members: Sequence[Member],
    causes: Causes,
    now: datetime,
    patience_seconds: Mapping[str, float] | None = None,
) -> list[Move]:
    """Return what changes in the groups of one cluster, those that leave a group first.

    Args:
        members: every diagnosed ticket of the cluster that is not resolved.
        causes: the cluster's catalogue by name.
        now: the present moment.
        patience_seconds: by rule, how long a follower may outlast its root.
    """
    wanted = roots(members, causes)
    by_id = {one.ticket_id: one for one in members}
    leaving = [
        _leave(one, wanted)
        for one in members
        if one.ticket_id not in wanted
        and one.ticket.root_ticket_id is not None
        and not _waits(one, now, patience_seconds or {})
    ]
    joining = [
        _follow(one, by_id[wanted[one.ticket_id]], causes)
        for one in members
        if one.ticket_id in wanted and _is_news(one, by_id[wanted[one.ticket_id]])
    ]
    return leaving + joining


def roots(members: Iterable[Member], causes: Causes) -> dict[int, int]:
    """Return the root of each ticket that has one, by their numbers."""
    left = sorted(members, key=_rank)
    above = _above(left, causes)
    found: dict[int, int] = {}
    while left:
        present = {one.ticket_id for one in left}
        # Where each is below another one, they go round in a circle: the first in rank leads.
        root = next((one for one in left if not above[one.ticket_id] & present), left[0])
        taken = {one.ticket_id for one in left if root.ticket_id in above[one.ticket_id]}
        found |= dict.fromkeys(taken, root.ticket_id)
        left = [one for one in left if one is not root and one.ticket_id not in taken]
    return found


def why_below(root: Member, other: Member, causes: Causes) -> str:
    """Return why a ticket can follow another one, empty where it cannot.

    Args:
        root: what it would follow.
        other: what would follow.
        causes: the cluster's catalogue by name.
    """
    cause, own = root.diagnosis, other.diagnosis
    if cause.is_unknown or not _asks(cause):
        return ""
    if _is_same(cause, own):
        return f"the same cause, {cause.hypothesis}, at {', '.join(sorted(cause.components))}"
    known = causes.get(cause.hypothesis)
    if known is None or other.ticket.invariant_name not in known.brings:
        return ""
    if known.is_cluster_wide or _places(other) <= {*cause.components, root.ticket.target}:
        return f"{cause.hypothesis} brings {other.ticket.invariant_name}"
    return ""


# --- who is below whom ----------------------------------------------------------------


def _rank(member: Member) -> tuple[bool, int, float, str]:
    """Order members by what they say, not by when they came."""
    ticket = member.ticket
    return (
        not member.stays_alone,
        -ticket.severity.rank,
        -member.diagnosis.confidence,
        ticket.violation_key,
    )


def _above(ranked: Sequence[Member], causes: Causes) -> dict[int, set[int]]:
    """Return for each ticket those it could follow; of two that could follow each other, one."""
    could = {
        one.ticket_id: {
            root.ticket_id
            for root in ranked
            if root is not one and not root.outlives_root and why_below(root, one, causes)
        }
        for one in ranked
        if not one.stays_alone
    }
    place = {one.ticket_id: number for number, one in enumerate(ranked)}
    return {
        key: {
            root
            for root in could.get(key, ())
            if key not in could.get(root, ()) or place[root] < place[key]
        }
        for key in place
    }


def _asks(diagnosis: Diagnosis) -> bool:
    """Return whether something is to be done; what is only watched silences nobody."""
    return bool(diagnosis.escalate or diagnosis.actions or diagnosis.workflows)


def _is_same(one: Diagnosis, other: Diagnosis) -> bool:
    return (
        one.hypothesis == other.hypothesis
        and bool(one.components)
        and set(one.components) == set(other.components)
        and plans_of(one) == plans_of(other)
    )


def _places(member: Member) -> frozenset[str]:
    """Return where a problem is: at the components of its cause, else at its target."""
    return frozenset(member.diagnosis.components or [member.ticket.target])


# --- what changes ---------------------------------------------------------------------


def _waits(member: Member, now: datetime, patience_seconds: Mapping[str, float]) -> bool:
    """Return whether a follower may still vanish by itself after its root was resolved."""
    if member.root_resolved_at is None:
        return False
    seconds = patience_seconds.get(member.ticket.invariant_name, DEFAULT_PATIENCE_SECONDS)
    return now - member.root_resolved_at <= timedelta(seconds=seconds)


def _leave(member: Member, wanted: Mapping[int, int]) -> Move:
    if member.ticket_id in wanted.values():
        return Move(member.ticket_id, MoveKind.LEAD, reason="the others of its group follow it")
    root = member.ticket.root_ticket_id
    reason = (
        f"ticket {root} is resolved, and this is still there"
        if member.outlives_root
        else f"the cause of ticket {root} does not explain it any more"
    )
    return Move(member.ticket_id, MoveKind.STAND_ALONE, reason=reason)


def _is_news(member: Member, root: Member) -> bool:
    if member.ticket.root_ticket_id != root.ticket_id:
        return True
    return _pages(member, root) and member.ticket.phase is not TicketPhase.ESCALATED


def _pages(member: Member, root: Member) -> bool:
    return member.ticket.severity.rank > root.ticket.severity.rank


def _follow(member: Member, root: Member, causes: Causes) -> Move:
    return Move(
        member.ticket_id,
        MoveKind.FOLLOW,
        root.ticket_id,
        _pages(member, root),
        why_below(root, member, causes),
    )

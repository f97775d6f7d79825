"""Whose word counts, and whether it is enough; pure."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from operator_core.actions.policy.effect import EVERYBODY, Effect

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from operator_core.actions.policy.request import Decision
    from operator_core.actions.policy.words import Demand, Policy


class Word(NamedTuple):
    """One person's approval as the ledger keeps it.

    Attributes:
        approver: the person.
        at: when it was given.
        expires_at: when it ends.
        policy_hash: under which policy it was given.
        call: digest of what was approved.
        facts: the facts that it rests on, by path.
    """

    approver: str
    at: datetime
    expires_at: datetime
    policy_hash: str
    call: str
    facts: Mapping[str, object] = MappingProxyType({})


def why_not_counted(
    word: Word,
    *,
    now: datetime,
    policy_hash: str,
    call: str,
    suspected_at: datetime | None = None,
) -> str:
    """Return why an approval does not count for a call now; empty: it counts.

    Args:
        word: the approval.
        now: the present moment.
        policy_hash: the policy in force.
        call: digest of the call.
        suspected_at: when the last of several suspects came up, where it is not clear who it is.
    """
    if suspected_at is not None and word.at < suspected_at:
        return "somebody else is suspected of the same since"
    if now >= word.expires_at:
        return "it has expired"
    if word.policy_hash != policy_hash:
        return "the policy has changed since"
    return "" if word.call == call else "it was given for another call"


def has_role(policy: Policy, person: str, role: str) -> bool:
    """Return whether a person has a role; the role ``*`` is everybody's."""
    members = policy.roles.get(role, ())
    return role == EVERYBODY or person in members or EVERYBODY in members


def missing(
    policy: Policy, decision: Decision, people: Iterable[str], proposers: Iterable[str]
) -> tuple[Demand, ...]:
    """Return what is still demanded once these people have approved; nothing: it is enough.

    Args:
        policy: whose roles count.
        decision: what is demanded.
        people: who has approved; a person counts once, however often it is named.
        proposers: who proposed it.
    """
    if decision.effect is not Effect.APPROVE:
        return ()
    barred = frozenset() if decision.proposer_may_approve else frozenset(proposers)
    able = sorted(set(people) - barred)
    if decision.distinct:
        return _missing_distinct(policy, decision.approvals, able)
    short = (
        (demand, demand.count - sum(has_role(policy, one, demand.role) for one in able))
        for demand in decision.approvals
    )
    return tuple(demand.of(lack) for demand, lack in short if lack > 0)


def _missing_distinct(
    policy: Policy, demands: Sequence[Demand], people: Sequence[str]
) -> tuple[Demand, ...]:
    """Give each place to somebody who has its role, as many as can be (a matching)."""
    places = [demand.role for demand in demands for _ in range(demand.count)]
    holder: dict[int, str] = {}
    for person in people:
        _seat(policy, places, holder, person, set())
    free = [role for place, role in enumerate(places) if place not in holder]
    asked = {demand.role: demand for demand in demands}
    return tuple(asked[role].of(free.count(role)) for role in dict.fromkeys(free))


def seats_left(policy: Policy, demands: Sequence[Demand], people: Sequence[str]) -> int:
    """Return how many places nobody could take if all of these people approved."""
    return sum(one.count for one in _missing_distinct(policy, demands, people))


def _seat(
    policy: Policy, places: Sequence[str], holder: dict[int, str], person: str, tried: set[int]
) -> bool:
    """Find a place for a person, moving others to places that they can take as well."""
    for place, role in enumerate(places):
        if place in tried or not has_role(policy, person, role):
            continue
        tried.add(place)
        other = holder.get(place)
        if other is None or _seat(policy, places, holder, other, tried):
            holder[place] = person
            return True
    return False


def why_not_approve(
    policy: Policy,
    decisions: Sequence[Decision],
    person: str,
    present: Iterable[str],
    proposers: Iterable[str],
) -> str:
    """Return why a person's approval is refused; empty: it is taken.

    Args:
        policy: whose roles count.
        decisions: what is said of the proposal, or of each step of the workflow.
        person: who wants to approve.
        present: whose approvals count already.
        proposers: who proposed it.
    """
    denied = next((one for one in decisions if one.effect is Effect.DENY), None)
    if denied is not None:
        return f"it is {denied.told}"
    asking = [one for one in decisions if one.effect is Effect.APPROVE]
    if not asking:
        return ""
    if person in set(present):
        return f"{person} has approved it already"
    if person in set(proposers) and not all(one.proposer_may_approve for one in asking):
        return f"{person} proposed it, and somebody else must approve"
    roles = {demand.role for one in asking for demand in one.approvals}
    if not any(has_role(policy, person, role) for role in roles):
        return f"{person} has none of the roles whose word counts: {', '.join(sorted(roles))}"
    return ""


def people_of(demands: Iterable[Demand]) -> str:
    """Return a demand in words, such as ``2 of operator``."""
    return ", ".join(
        f"{one.count} of {'anybody' if one.role == EVERYBODY else one.role}" for one in demands
    )

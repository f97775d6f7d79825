"""What the policy in force says of an attempt that is about to begin; pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from operator_core.actions.policy.binding import Facts, drift
from operator_core.actions.policy.decide import decide
from operator_core.actions.policy.effect import Effect
from operator_core.actions.policy.limits import (
    Watched,
    cooling,
    frozen,
    missed,
    over_limit,
    tripped,
)
from operator_core.actions.policy.people import Word, missing, people_of, why_not_counted
from operator_core.errors import (
    ApprovalRequiredError,
    BlindError,
    NotReadyError,
    OperatorError,
    PolicyDeniedError,
    StaleApprovalError,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from operator_core.actions.policy.loading import LoadedPolicy
    from operator_core.actions.policy.request import Decision, PolicyRequest


class Usage(NamedTuple):
    """What was done before, as far as the limits on a request ask for it.

    Attributes:
        limits: the limits that concern it.
        past: the attempts that rate limits may count.
        last_at: when the same was done to the same target, within the cooldown.
        helped: whether it helped there, the last time first.
        counted_to: the last attempt that was there to be counted, as its decision is numbered.
    """

    limits: Watched = Watched()
    past: Sequence[PolicyRequest] = ()
    last_at: datetime | None = None
    helped: Sequence[bool] = ()
    counted_to: int = 0


@dataclass(frozen=True)
class PolicyFacts:
    """What the ledger and a fresh look say of one attempt, for the policy in force.

    Attributes:
        name: how messages call it, such as ``Proposal 7``.
        loaded: the policy in force.
        request: what is asked, at the moment of the attempt.
        call: digest of the call.
        words: the approvals that were given for it, or for its workflow.
        proposers: who proposed it.
        approved: whether the ledger calls it approved.
        bound: whether its action names facts.
        facts: those facts as they are now; None: they could not be seen.
        declared: what earlier steps of its workflow, and own earlier tries, said they change.
        grounds: those facts as they were when the policy was asked; None: nobody had looked.
        usage: what was done before.
        due_at: the moment that it was meant for, where it was meant for one.
        suspected_at: when the last of the request's suspects came up.
        undoes: whether it undoes what Operator did: no limit and no freeze holds it up.
    """

    name: str
    loaded: LoadedPolicy
    request: PolicyRequest
    call: str
    words: tuple[Word, ...] = ()
    proposers: frozenset[str] = frozenset()
    approved: bool = False
    bound: bool = False
    facts: Facts | None = None
    declared: tuple[str, ...] = ()
    grounds: Facts | None = None
    usage: Usage = field(default_factory=Usage)
    due_at: datetime | None = None
    suspected_at: datetime | None = None
    undoes: bool = False

    @cached_property
    def decision(self) -> Decision:
        """What the policy says of the request."""
        return decide(self.loaded, self.request)


def policy_refusal(facts: PolicyFacts) -> OperatorError | None:
    """Return why the policy in force lets an attempt not begin now; None: it lets it.

    Args:
        facts: what the ledger and a fresh look say.
    """
    return (
        (None if facts.undoes else _frozen(facts))
        or _denied(facts)
        or (None if facts.undoes else _limited(facts))
        or _approved(facts)
    )


def overtaken(facts: PolicyFacts) -> OperatorError | None:
    """Return why what was let through may not be sent any more; None: it may.

    Limits are not asked again: the attempt itself counts by now.

    Args:
        facts: what the ledger says right before it is sent.
    """
    return (None if facts.undoes else _frozen(facts)) or _denied(facts) or _approved(facts)


def _frozen(facts: PolicyFacts) -> OperatorError | None:
    holds = frozen(facts.loaded, facts.request)
    if holds is not None:
        return holds
    overtaken = missed(facts.loaded, facts.request, facts.due_at)
    if not overtaken:
        return None
    return NotReadyError(f"{facts.name} does not run any more: {overtaken}. Propose it anew.")


def _denied(facts: PolicyFacts) -> OperatorError | None:
    decision = facts.decision
    if decision.effect is not Effect.DENY:
        return None
    return PolicyDeniedError(f"{facts.name} is {decision.told}.")


def _limited(facts: PolicyFacts) -> OperatorError | None:
    policy, request, usage = facts.loaded.policy, facts.request, facts.usage
    if policy.disruptive_at_once == 0 and "disruptive" in request.tags:
        return PolicyDeniedError(f"{facts.name} is disruptive, and the policy allows none.")
    for limit, test in usage.limits.limits:
        refused = over_limit(limit, test, request, usage.past)
        if refused is not None:
            return refused
    cooldown, breaker = usage.limits.cooldown, usage.limits.breaker
    return (cooling(cooldown, usage.last_at, request.now) if cooldown else None) or (
        tripped(breaker, usage.helped) if breaker else None
    )


def _approved(facts: PolicyFacts) -> OperatorError | None:
    if facts.decision.effect is not Effect.APPROVE:
        return _grounded(facts)
    why = [(word, _why_not(facts, word)) for word in facts.words]
    counted = [word for word, refused in why if not refused]
    lack = missing(
        facts.loaded.policy,
        facts.decision,
        [word.approver for word in counted],
        facts.proposers,
    )
    if not lack:
        return _drifted(facts, counted)
    ended = "; ".join(f"{word.approver}: {refused}" for word, refused in why if refused)
    needs = f"{facts.name} needs the approval of {people_of(lack)} (rule {facts.decision.rule!r})"
    if facts.approved or ended:
        return StaleApprovalError(f"{needs}, and what was given does not count: {ended or 'gone'}.")
    return ApprovalRequiredError(
        f"{needs}. Run `operator actions approve`, or approve the workflow."
    )


def _why_not(facts: PolicyFacts, word: Word) -> str:
    return why_not_counted(
        word,
        now=facts.request.now,
        policy_hash=facts.loaded.digest,
        call=facts.call,
        suspected_at=facts.suspected_at,
    )


def _grounded(facts: PolicyFacts) -> OperatorError | None:
    """What no person looked at is for a state of the cluster as well: that which the policy met."""
    if not facts.bound or facts.grounds is None:
        return None
    if facts.facts is None:
        return None if facts.request.harmless else _unseen(facts)
    found = sorted(map(str, drift(facts.grounds, facts.facts, facts.declared)))
    if found:
        return StaleApprovalError(
            f"{facts.name}: the cluster is not as it was when the policy allowed it: "
            f"{'; '.join(found)}. It is decided again."
        )
    if facts.approved:
        return None
    return StaleApprovalError(f"{facts.name}: what the policy allowed was taken back; it waits.")


def _unseen(facts: PolicyFacts) -> OperatorError | None:
    return BlindError(f"{facts.name}: the facts that its approval rests on cannot be seen now.")


def _drifted(facts: PolicyFacts, counted: Sequence[Word]) -> OperatorError | None:
    """An approval is for a state of the cluster; in another one a person must look again."""
    if not facts.bound:
        return None
    if facts.facts is None:
        return _unseen(facts)
    found = {
        one for word in counted for one in map(str, drift(word.facts, facts.facts, facts.declared))
    }
    if not found:
        return None
    return StaleApprovalError(
        f"{facts.name}: the cluster is not as it was approved: {'; '.join(sorted(found))}. Look at "
        "it, and approve it anew."
    )

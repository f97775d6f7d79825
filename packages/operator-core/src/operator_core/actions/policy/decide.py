"""The ruling: a request and a policy in, a decision out; pure."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from operator_core.actions.policy.conditions import ConditionError
from operator_core.actions.policy.effect import EVERYBODY, Effect
from operator_core.actions.policy.request import Decision, PolicyRequest

if TYPE_CHECKING:
    from operator_core.actions.policy.loading import LoadedPolicy, ReadyRule
    from operator_core.actions.policy.words import Demand, Suspects

NO_RULE = "no rule of the policy matches, and what no rule allows is denied"
UNKNOWN_BLAST = "nobody knows how much it would touch, so a person must approve"


@cache
def _anybody() -> tuple[Demand, ...]:
    from operator_core.actions.policy.words import Demand  # noqa: PLC0415 - only with a policy

    return (Demand(role=EVERYBODY, count=1),)


def decide(loaded: LoadedPolicy, request: PolicyRequest) -> Decision:
    """Return what a policy says of a request: its first rule that matches decides.

    A condition that cannot be evaluated denies, whatever its rule would have said: nobody knows
    whether the rule was meant to forbid.

    Args:
        loaded: the policy.
        request: what somebody wants done.
    """
    for ready in loaded.rules:
        if not ready.test(request):
            continue
        if ready.condition is not None:
            try:
                if not ready.condition(request):
                    continue
            except ConditionError as error:
                return _denied(loaded, ready.rule.name, f"its condition failed: {error}")
        return _crowded(loaded, request, _ruling(loaded, ready, request))
    return _denied(loaded, "", NO_RULE)


def _ruling(loaded: LoadedPolicy, ready: ReadyRule, request: PolicyRequest) -> Decision:
    rule, reasons = ready.rule, (ready.rule.reason,) if ready.rule.reason else ()
    unknown = request.blast is None and not (request.harmless or request.takes_back)
    if rule.effect is Effect.AUTO and unknown and loaded.policy.unknown_blast == "approve":
        return Decision(
            Effect.APPROVE,
            rule.name,
            (*reasons, UNKNOWN_BLAST),
            loaded.digest,
            approvals=_anybody(),
            proposer_may_approve=True,
        )
    return Decision(
        rule.effect,
        rule.name,
        reasons,
        loaded.digest,
        approvals=rule.approvals,
        distinct=rule.distinct,
        proposer_may_approve=rule.proposer_may_approve,
        expires_seconds=rule.expires_seconds,
    )


def suspecting(loaded: LoadedPolicy, request: PolicyRequest) -> Suspects | None:
    """Return what a policy says of several suspects of what a request is about, if anything."""
    return next((one for one, test in loaded.suspects if test(request)), None)


def _crowded(loaded: LoadedPolicy, request: PolicyRequest, decision: Decision) -> Decision:
    """Where it is not clear who it is, nothing is done without a person, or nothing at all."""
    table = suspecting(loaded, request) if request.suspects else None
    if table is None or decision.effect is Effect.DENY:
        return decision
    reasons = (*decision.reasons, f"{table.name}: {', '.join(request.suspects)} besides")
    if table.effect == "deny":
        return decision._replace(effect=Effect.DENY, reasons=reasons, approvals=())
    if decision.effect is Effect.AUTO:
        decision = decision._replace(
            effect=Effect.APPROVE, approvals=_anybody(), proposer_may_approve=False
        )
    return decision._replace(reasons=reasons)


def _denied(loaded: LoadedPolicy, rule: str, reason: str) -> Decision:
    return Decision(Effect.DENY, rule, (reason,), loaded.digest)


class Step(NamedTuple):
    """How one rule stood to a request: the key that did not fit, or that it decided."""

    rule: str
    matched: bool
    why_not: str = ""


def trace(loaded: LoadedPolicy, request: PolicyRequest) -> list[Step]:
    """Return how each rule stood to a request, up to the one that decided."""
    steps = []
    for ready in loaded.rules:
        why_not = _why_not(ready, request)
        steps.append(Step(ready.rule.name, not why_not, why_not))
        if not why_not:
            break
    return steps


def _why_not(ready: ReadyRule, request: PolicyRequest) -> str:
    for key, test in ready.tests:
        if not test(request):
            return f"{key} does not match"
    try:
        holds = ready.condition is None or ready.condition(request)
    except ConditionError:
        return ""  # it decides: a condition that fails denies
    return "" if holds else "its condition does not hold"

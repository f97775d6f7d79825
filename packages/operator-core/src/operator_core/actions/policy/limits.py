"""How often, and when not: rate limits, cooldowns, breakers, freezes; pure.

What they count are the attempts that the ledger holds, so they survive restarts and hold for
all processes together.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from operator_core.errors import (
    BreakerError,
    LimitError,
    NotReadyError,
    OperatorError,
    PolicyDeniedError,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from operator_core.actions.policy.loading import LoadedPolicy
    from operator_core.actions.policy.matching import Test
    from operator_core.actions.policy.request import PolicyRequest
    from operator_core.actions.policy.words import Breaker, Cooldown, Limit


class Watched(NamedTuple):
    """The limits that concern one request.

    Attributes:
        limits: with the test that says which attempts count.
        cooldown_seconds: the longest cooldown, 0 for none.
        cooldown: its name.
        breaker: the strictest breaker, if any.
    """

    limits: tuple[tuple[Limit, Test], ...] = ()
    cooldown: Cooldown | None = None
    breaker: Breaker | None = None


def watched(loaded: LoadedPolicy, request: PolicyRequest) -> Watched:
    """Return the limits of a policy that concern a request."""
    cooldowns = [one for one, test in loaded.cooldowns if test(request)]
    breakers = [one for one, test in loaded.breakers if test(request)]
    return Watched(
        tuple((one, test) for one, test in loaded.limits if test(request)),
        max(cooldowns, key=lambda one: one.seconds, default=None),
        min(breakers, key=lambda one: one.tries, default=None),
    )


def longest_seconds(loaded: LoadedPolicy) -> float:
    """Return how far back a policy looks at what was done before."""
    return max(
        [
            0.0,
            *(one.per_seconds for one, _ in loaded.limits),
            *(one.seconds for one, _ in loaded.cooldowns),
            *(one.within_seconds for one, _ in loaded.breakers),
        ]
    )


def over_limit(
    limit: Limit, test: Test, request: PolicyRequest, past: Iterable[PolicyRequest]
) -> OperatorError | None:
    """Return the refusal where as many attempts were made as a limit allows.

    Args:
        limit: how many in how long.
        test: says which attempts count.
        request: what is asked for now.
        past: the attempts that were made, of whatever kind and age.
    """
    if limit.count == 0:
        return PolicyDeniedError(f"Limit {limit.name!r} is 0: none is allowed.")
    since = request.now - timedelta(seconds=limit.per_seconds)
    counted = sum(one.now > since and _beside(limit, request, one) and test(one) for one in past)
    if counted < limit.count:
        return None
    return LimitError(
        f"Limit {limit.name!r}: {counted} of {limit.count} in {limit.per_seconds:g} s are used "
        "up. It waits."
    )


def _beside(limit: Limit, request: PolicyRequest, other: PolicyRequest) -> bool:
    """Return whether another attempt counts in the same pot."""
    if limit.per == "ledger":
        return True
    same = request.subject == other.subject
    return same and (limit.per == "subject" or request.target == other.target)


def cooling(cooldown: Cooldown, last_at: datetime | None, now: datetime) -> OperatorError | None:
    """Return the refusal where the same action was on the same target not long ago."""
    if last_at is None or now - last_at >= timedelta(seconds=cooldown.seconds):
        return None
    until = last_at + timedelta(seconds=cooldown.seconds)
    return LimitError(
        f"Cooldown {cooldown.name!r}: the same was done to this target at "
        f"{last_at.isoformat()}. It waits until {until.isoformat()}."
    )


def tripped(breaker: Breaker, helped: Sequence[bool]) -> OperatorError | None:
    """Return the refusal where a remedy did not help so often, with nothing better between.

    Args:
        breaker: how often.
        helped: whether the remedy helped this target, the last time first.
    """
    failures = next((count for count, good in enumerate(helped) if good), len(helped))
    if failures < breaker.tries:
        return None
    return BreakerError(
        f"Breaker {breaker.name!r}: this remedy was tried on this target {failures} times and "
        "did not help. A person is needed; it is not tried again."
    )


def frozen(loaded: LoadedPolicy, request: PolicyRequest) -> OperatorError | None:
    """Return the refusal while a freeze holds that concerns a request."""
    for freeze, test, inside in loaded.freezes:
        if inside(request.now) and test(request):
            return NotReadyError(f"Freeze {freeze.name!r} holds: nothing that it names starts now.")
    return None


def missed(loaded: LoadedPolicy, request: PolicyRequest, due_at: datetime | None) -> str:
    """Return why a request was overtaken by a freeze in which it was due; empty: it was not.

    What was meant for a moment that turned out to be frozen does not slip in afterwards.
    """
    for freeze, test, inside in loaded.freezes:
        if due_at is not None and inside(due_at) and test(request):
            return f"it was due at {due_at.isoformat()}, inside freeze {freeze.name!r}"
    return ""

"""Temporary effects that leaked: a cluster compared with the ledger, for `operator doctor`."""

from operator_core.actions.leases import NOT_OURS, EffectLease, Seen, leaks
from operator_core.db.effect_leases import EffectDB
from operator_core.db.ledger import Ledger
from operator_core.monitor.types import Observation
from operator_core.subject import FullSubject


async def overdue(ledger: Ledger) -> dict[str, str]:
    """Return the effects that should be gone by now, by the ledger alone."""
    found = await EffectDB(ledger).list_leases()
    return leaks(found, None, ledger.clock.now())


async def leaked(
    ledger: Ledger, subject: FullSubject, observation: Observation
) -> dict[str, tuple[str, bool]]:
    """Return the effects in which a cluster and the ledger differ.

    Returns:
        By the effect's name: what is wrong, and whether it is known not to be Operator's.
    """
    effects = subject.temporary_effects(observation)
    if effects is None:
        return {}
    every = await EffectDB(ledger).list_leases(subject=subject.name, ended=True)
    kept = [one for one in every if one.ended_at is None]
    others = _not_ours(every)
    now = ledger.clock.now()
    found = leaks(kept, Seen(effects, observation.observed_at), now)
    known = leaks(kept, None, now)
    return {
        effect: (why, effect in others) for effect, why in found.items() if known.get(effect) != why
    }


def _not_ours(leases: list[EffectLease]) -> set[str]:
    """Return the effects of which the ledger's last word is that others made them."""
    last = {one.effect: one.ended_because for one in leases}
    return {effect for effect, because in last.items() if because == NOT_OURS}

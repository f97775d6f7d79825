"""Canaries: for each guard of the gate a planted bad action that must be refused.

They go the way of every action: executor, claim, gate. What is not refused as it must be, with
the error of its own guard and without an effect, says that the guard is dead.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass

from operator_core.actions.cage import Cage, cage, scratch, sweep
from operator_core.actions.canaries.sighting import Sighting
from operator_core.clock import SYSTEM_CLOCK, Clock
from operator_core.db.ledger import Ledger
from operator_core.errors import OperatorError
from operator_core.logs import silenced

Plant = Callable[[Cage], Awaitable[int]]
"""Prepares a bad action; returns the proposal that must not be executed."""


@dataclass(frozen=True)
class Canary:
    """A planted bad action.

    Attributes:
        name: what is wrong with it.
        guards: the functions that refuse it, as ``module:function`` below operator_core.
        refused_with: the very error that it must be refused with.
        told: what that error must say.
        plant: prepares it.
        policy: whether it needs one.
        require_approval: whether a person must approve where no policy is in force.
        run: tries to have it done; as the agent does, where nothing else is said.
    """

    name: str
    guards: tuple[str, ...]
    refused_with: type[OperatorError]
    told: str
    plant: Plant
    policy: bool = True
    require_approval: bool = False
    run: Callable[[Cage, int], Awaitable[None]] = Cage.run


CONTROL = "a good action"
"""Must pass: a path that refuses everything would prove nothing."""


async def release(canary: Canary, ledger: Ledger, subject: str) -> Sighting:
    """Let one canary go, and return what became of it.

    Args:
        canary: which one.
        ledger: a scratch ledger.
        subject: a name that no canary had on this ledger before.
    """
    try:
        own = await cage(ledger, subject, require_approval=canary.require_approval)
        planted = await canary.plant(own)
    except Exception as error:  # noqa: BLE001 - a guard that cannot be tried is not proven
        return Sighting(canary.name, alive=False, detail=f"it could not be planted: {error}")
    try:
        await canary.run(own, planted)
    except Exception as error:  # noqa: BLE001 - whichever it is, it is compared
        return _judged(canary, own, error)
    detail = "IT WAS EXECUTED" if own.subject.done else "it was not refused"
    return Sighting(canary.name, alive=False, detail=detail, passed=True)


def _judged(canary: Canary, own: Cage, error: Exception) -> Sighting:
    if own.subject.done:
        detail = f"IT WAS EXECUTED, then: {error}"
        return Sighting(canary.name, alive=False, detail=detail, passed=True)
    if type(error) is canary.refused_with and canary.told in str(error):
        return Sighting(canary.name, alive=True, detail=str(error))
    detail = f"it was refused by something else: {type(error).__name__}: {error}"
    return Sighting(canary.name, alive=False, detail=detail)


async def let_through(ledger: Ledger) -> Sighting:
    """Let a good action go, and return whether it was let through."""
    try:
        own = await cage(ledger, "null-good")
        await own.run(await own.valid())
    except Exception as error:  # noqa: BLE001 - reported, whatever it is
        return Sighting(CONTROL, alive=False, detail=f"it was refused: {error}")
    good = own.subject.done == ["turn"]
    return Sighting(
        CONTROL, alive=good, detail="it was let through" if good else "it had no effect"
    )


async def release_all(canaries: Sequence[Canary], clock: Clock = SYSTEM_CLOCK) -> list[Sighting]:
    """Let canaries go on one scratch ledger, after a good action; return what became of each.

    Those without a policy must come first, since a ledger never gets rid of its policy.

    Raises:
        LedgerError: the scratch ledger cannot be made.
    """
    with silenced():
        async with scratch(clock) as ledger:
            return [await let_through(ledger), *[one async for one in one_by_one(canaries, ledger)]]


async def one_by_one(canaries: Sequence[Canary], ledger: Ledger) -> AsyncIterator[Sighting]:
    """Let canaries go one after the other; yields what became of each.

    Args:
        canaries: those without a policy first.
        ledger: a scratch ledger that no canary was on before.
    """
    for number, one in enumerate(canaries):
        yield await release(one, ledger, f"null-{number}")
        await sweep(ledger)
        await asyncio.sleep(0)  # the scratch ledger never waits, and others want their turn

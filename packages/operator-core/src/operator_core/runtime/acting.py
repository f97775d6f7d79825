"""The loops that act on one cluster: dispatch, and the other stages beside it."""

import asyncio
from collections.abc import Coroutine
from functools import partial

from operator_core.actions.types import ActionProposal
from operator_core.db.ledger import Ledger
from operator_core.errors import LedgerError
from operator_core.runtime.guards import GuardKeeper
from operator_core.runtime.loops import enduring, lasting, until_something_happens, wait, waking
from operator_core.runtime.wiring import Wired

DISPATCH_FIRST_SECONDS = 0.01
"""How long the other stages wait after a change, so that they do not hold up its dispatch."""

RECOVERED_FIRST_SECONDS = 0.1
"""How long a start waits at most for what was interrupted, before it dispatches anything else.

So long the other stages wait in turn, which are loaded then.
"""

TRIAL_FIRST_SECONDS = 0.5
"""How long a round waits at most for a trial of the guards, which what is to be executed needs."""


def agent_loops(
    ledger: Ledger, one: Wired, guards: GuardKeeper, stop: asyncio.Event
) -> list[Coroutine[object, object, None]]:
    """Return what acts on one cluster until it is asked to stop; who runs it drains afterwards.

    Args:
        ledger: the ledger that the stages are wired to.
        one: a cluster's stages.
        guards: nothing is executed before they are proven.
        stop: ends the loops.
    """
    name = one.subject.name
    return [
        lasting("dispatch", name, partial(_dispatch, ledger, one, guards, stop), stop),
        lasting("agent", name, partial(_agent, ledger, one, guards, stop), stop),
    ]


async def _dispatch(ledger: Ledger, one: Wired, guards: GuardKeeper, stop: asyncio.Event) -> None:
    """Start what is approved and due at once, whatever the other stages are busy with."""

    def take(proposal: ActionProposal) -> None:
        if guards.proven and not stop.is_set():
            one.agent.take(proposal)

    async with waking(ledger, stop) as wake:
        with ledger.offering(take):
            await wait(one.agent.recovered, RECOVERED_FIRST_SECONDS)
            while not stop.is_set():
                wake.clear()
                async with enduring("dispatch", one.subject.name, stop):
                    if guards.proven:
                        await one.agent.execute()
                    await until_something_happens(ledger, wake)


async def _agent(ledger: Ledger, one: Wired, guards: GuardKeeper, stop: asyncio.Event) -> None:
    """Let the other stages go round; a trial of the guards and what is dispatched go first."""
    async with waking(ledger, stop) as wake:
        async with enduring("agent", one.subject.name, stop):
            await one.agent.recover()  # what a dead owner left behind: first of all
        await wait(stop, RECOVERED_FIRST_SECONDS)
        while not stop.is_set():
            await wait(guards.at_rest, TRIAL_FIRST_SECONDS)
            wake.clear()
            async with enduring("agent", one.subject.name, stop):
                await agent_round(one, may_act=False)
                await until_something_happens(ledger, wake)
            await wait(stop, DISPATCH_FIRST_SECONDS)


async def agent_round(one: Wired, *, may_act: bool = True) -> None:
    """Let each stage of the agent take one step; one that fails holds up none of the others.

    Args:
        one: a cluster's stages.
        may_act: whether to execute: not before the guards of the gate are proven.

    Raises:
        LedgerError: the ledger cannot be used; the stages after it were not tried.
        Exception: what the first stage that failed raised.
    """
    act = (one.agent.execute,) if may_act else ()
    failed: list[Exception] = []
    for step in (
        *act,  # what was approved meanwhile waits for no other stage
        one.investigate.step,
        one.reconsider.step,
        one.group.step,
        one.agent.follow,
        one.agent.fire_schedules,
        one.janitor.step,
        one.agent.validate,
        one.agent.recover,
        *act,
    ):
        try:
            await step()
        except LedgerError:
            raise
        except Exception as error:  # noqa: BLE001 - raised once the others had their turn
            failed.append(error)
    if failed:
        raise failed[0]

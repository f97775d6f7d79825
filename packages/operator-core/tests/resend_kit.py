"""Something that was sent, got no answer, and is to be sent again; for tests."""

from collections.abc import Awaitable, Callable

import pytest

from engine_bench import Bench
from operator_core.actions.types import (
    ActionStatus,
    SafetyMode,
)
from operator_core.errors import (
    TransitionError,
)
from operator_core.testing.fakes import Mode

EXECUTING, CANCELLED = ActionStatus.EXECUTING, ActionStatus.CANCELLED
LONG = 60.0
"""Longer than any pause before something is sent again."""

Step = Callable[[Bench, int], Awaitable[object]]


async def sent(one: Bench, target: int) -> int:
    """Send an action that can be sent twice; it has its effect, and no answer comes."""
    one.subject.mode = Mode.TIME_OUT_AFTER_EFFECT
    await one.run(target)
    one.subject.mode = Mode.OK
    assert (await one.get(target)).awaits_resend
    return target


async def sent_once(one: Bench) -> int:
    return await sent(one, await one.validated("act_again"))


async def assert_in_doubt(one: Bench, target: int, *, sent_times: int = 1) -> None:
    """It is in doubt, nobody sends it, and a person's word ends it."""
    kept = await one.get(target)
    assert (kept.status, kept.in_doubt, kept.awaits_resend) == (EXECUTING, True, False)
    assert "execution_in_doubt" in await one.events(target)
    one.clock.advance(LONG)
    assert target not in [one.id for one in await one.db.list_ready()]
    with pytest.raises(TransitionError):
        await one.run(target)
    assert len(one.subject.calls) == sent_times
    await one.executions.settle_by_person(target, happened=True, person="alice")
    assert await one.status(target) is ActionStatus.COMPLETED


async def cancels(one: Bench, target: int) -> None:
    kept = await one.executor().cancel_proposal(target, cancelled_by="alice")
    assert kept.in_doubt


async def kills(one: Bench, target: int) -> None:
    report = await one.safety.kill(actor="alice", reason="enough")
    assert (report.in_doubt, report.cancelled, report.running) == ((target,), (), ())
    await one.safety.set_mode(SafetyMode.EXECUTE)

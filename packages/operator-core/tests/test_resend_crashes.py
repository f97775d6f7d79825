"""Whatever dies, at any statement: what was sent twice is completed or in doubt, never denied."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import pytest

from engine_bench import LEASE_SECONDS, Bench, bench
from operator_core.actions.types import ActionStatus
from operator_core.db.control import ControlDB
from operator_core.db.ledger import Ledger
from operator_core.errors import OperatorError
from operator_core.testing.clock import ManualClock
from operator_core.testing.fakes import Mode
from operator_core.testing.faults import CrashError, CrashingEngine

LONG = 60.0
End = Callable[[Bench, Ledger, int], Awaitable[object]]


async def sends_again(one: Bench, ledger: Ledger, target: int) -> None:
    one.clock.advance(LONG)
    await one.executor("two", ledger=ledger).execute_proposal(target, one.subject)


async def cancels(one: Bench, ledger: Ledger, target: int) -> None:
    await one.executor("two", ledger=ledger).cancel_proposal(target)


async def kills(one: Bench, ledger: Ledger, target: int) -> None:
    del one, target
    await ControlDB(ledger).kill(actor="alice", reason="enough")


async def fails_later(one: Bench, ledger: Ledger, target: int) -> None:
    one.subject.mode = Mode.REFUSE
    await sends_again(one, ledger, target)


async def _life(one: Bench, target: int, end: End, **where: int) -> CrashingEngine:
    """Send it, get no answer, and end it somehow, in a process that dies somewhere."""
    engine = CrashingEngine(one.ledger.engine, **where)
    ledger = Ledger(engine, one.ledger.ledger_id, one.clock)
    one.subject.mode = Mode.TIME_OUT_AFTER_EFFECT
    with suppress(CrashError, OperatorError):
        await one.executor(ledger=ledger).execute_proposal(target, one.subject)
    one.subject.mode = Mode.OK
    with suppress(CrashError, OperatorError):
        await end(one, ledger, target)
    one.subject.mode = Mode.OK
    return engine


async def _restart(one: Bench) -> None:
    """Let another process go on with all there is, twice as long as a lease."""
    for _ in range(3):
        one.clock.advance(LEASE_SECONDS + LONG)
        await one.executor("heir").settle_expired(one.subject)
        for ready in await one.db.list_ready():
            with suppress(OperatorError):
                await one.run(int(ready.id or 0), owner="heir")


async def _places(folder: Path, end: End) -> list[dict[str, int]]:
    async with bench(folder, clock=ManualClock()) as one:
        whole = await _life(one, await one.validated("act_again"), end)
        commits = [{"after_commit": place} for place in range(1, whole.commits + 1)]
        return commits + [{"at_statement": place} for place in range(1, whole.statements + 1, 2)]


@pytest.mark.timeout(60)
@pytest.mark.parametrize("end", [sends_again, cancels, kills, fails_later])
async def test_a_crash_at_any_step_never_denies_what_was_sent(tmp_path: Path, end: End) -> None:
    places = await _places(tmp_path / "whole", end)
    assert len(places) > 10
    for number, place in enumerate(places):
        async with bench(tmp_path / str(number), clock=ManualClock()) as one:
            target = await one.validated("act_again")
            await _life(one, target, end, **place)
            await _restart(one)
            kept, was_sent = await one.get(target), bool(one.subject.effects)
            sure = {ActionStatus.COMPLETED} if was_sent else {ActionStatus.CANCELLED}
            assert kept.in_doubt or kept.status in sure, (place, kept)
            keys = {call.idempotency_key for call in one.subject.calls}
            assert len(keys) <= 1, place
            assert await one.control.first_broken_audit_row() is None

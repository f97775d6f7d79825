"""A process that stands still right before its call does not make it blindly."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import pytest

from engine_bench import LEASE_SECONDS, Bench, bench
from operator_core.actions import execution, sending
from operator_core.actions.sending import Run, may_send, send
from operator_core.actions.types import ActionStatus
from operator_core.db.claims import Attempt
from operator_core.db.control import ControlDB
from operator_core.db.engine import Tx
from operator_core.db.executions import ExecutionDB
from operator_core.db.gate import Sight
from operator_core.db.sendings import Clearance
from operator_core.errors import LostLeaseError

Meanwhile = Callable[[], Awaitable[None]]


def stand_still(
    patch: pytest.MonkeyPatch, one: Bench, meanwhile: Meanwhile | None = None
) -> list[int]:
    """Have time pass once between the last look and the call; return who looked after that.

    ``meanwhile`` is what happens before the look that comes then.
    """
    stood: list[int] = []
    looks: list[int] = []

    async def late(run: Run, is_fresh: Callable[[], bool]) -> object:
        if not stood:
            stood.append(1)
            one.clock.advance(LEASE_SECONDS + 1)
        return await send(run, is_fresh)

    async def look(run: Run) -> bool:
        looks.append(run.attempt.proposal_id)
        if meanwhile is not None:
            await meanwhile()
        return await may_send(run)

    patch.setattr(execution, "send", late)
    patch.setattr(execution, "may_send", look)
    return looks


async def test_it_looks_again_and_keeps_what_nobody_took(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with bench(tmp_path) as one:
        looks = stand_still(monkeypatch, one)
        proposal_id = await one.validated()
        record = await one.run(proposal_id)
        assert (record.success, looks, len(one.subject.calls)) == (True, [proposal_id], 1)


async def test_it_makes_no_call_that_others_have_taken_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with bench(tmp_path) as one:

        async def taken_over() -> None:
            with suppress(ValueError):
                (expired,) = await one.executions.list_expired()
                await one.executions.take_over(expired, one.terms("another"))

        stand_still(monkeypatch, one, taken_over)
        proposal_id = await one.validated()
        with pytest.raises(LostLeaseError, match="before it was sent"):
            await one.run(proposal_id)
        assert one.subject.calls == []


async def test_what_the_kill_switch_stops_before_its_call_is_not_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = ExecutionDB.clearance
    async with bench(tmp_path) as one:

        async def killed_first(db: ExecutionDB, attempt: Attempt, sight: Sight) -> Clearance:
            await ControlDB(one.ledger).kill(reason="stop", actor="alice")
            return await real(db, attempt, sight)

        monkeypatch.setattr(sending, "FRESH_SECONDS", -1.0)
        monkeypatch.setattr(ExecutionDB, "clearance", killed_first)
        proposal_id = await one.validated()
        record = await one.run(proposal_id)
        stored = await one.get(proposal_id)
        assert (record.success, one.subject.calls) == (False, [])
        assert (stored.status, stored.retry_count) == (ActionStatus.CANCELLED, 0)


async def test_many_are_sent_though_the_ledger_answers_slowly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asked one after the other, a look at all took longer than it tells anything."""
    async with bench(tmp_path) as one:
        turn, real = asyncio.Lock(), one.ledger.engine.read

        async def slowly(work: Callable[[Tx], object]) -> object:
            async with turn:
                one.clock.advance(LEASE_SECONDS / 10)
                return await real(work)

        monkeypatch.setattr(sending, "FRESH_SECONDS", -1.0)
        monkeypatch.setattr(one.ledger.engine, "read", slowly)
        wanted = [await one.validated() for _ in range(16)]
        async with asyncio.timeout(1):
            records = await asyncio.gather(*map(one.run, wanted))
        assert all(record.success for record in records)

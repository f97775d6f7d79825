"""The ledger cannot be used when a call ends: what its process knows is not lost (ADR 61)."""

from collections.abc import Callable
from pathlib import Path

import pytest

from engine_bench import Bench, bench
from operator_core.actions.patience import LONGEST_TROUBLE_SECONDS, patiently
from operator_core.actions.types import ActionStatus
from operator_core.db.executions import ExecutionDB
from operator_core.errors import (
    LedgerAwayError,
    LedgerBusyError,
    LedgerClosedError,
    LedgerCorruptError,
    LedgerError,
    LedgerFullError,
    LedgerGoneError,
    LedgerReadOnlyError,
    LedgerVersionError,
)
from operator_core.subject import ProbeAnswer
from operator_core.testing.clock import LeapingClock
from operator_core.testing.fakes import Mode

TROUBLED_TIMES = 5

Fails = Callable[[str], None]


@pytest.fixture
def fails(monkeypatch: pytest.MonkeyPatch) -> Fails:
    """Let a method of the ledger's side of executing fail so often before it works again."""

    def let(name: str) -> None:
        left, real = iter(range(TROUBLED_TIMES)), getattr(ExecutionDB, name)

        async def troubled(self: ExecutionDB, *given: object) -> object:
            if next(left, None) is not None:
                raise LedgerFullError("The disk is full.")
            return await real(self, *given)

        monkeypatch.setattr(ExecutionDB, name, troubled)

    return let


async def executed(one: Bench) -> int:
    """Execute an action of a cluster that cannot tell afterwards what has happened to it."""
    one.subject.probe_answer = ProbeAnswer.UNKNOWN
    target = await one.validated()
    await one.run(target)
    assert one.subject.probes == []
    return target


@pytest.mark.parametrize(
    ("mode", "status"),
    [(Mode.OK, ActionStatus.COMPLETED), (Mode.REFUSE, ActionStatus.FAILED)],
)
async def test_how_a_call_ended_is_written_once_the_ledger_can_be_written(
    tmp_path: Path, fails: Fails, mode: Mode, status: ActionStatus
) -> None:
    async with bench(tmp_path, clock=LeapingClock()) as one:
        one.subject.mode = mode
        fails("finish")
        target = await executed(one)
        assert await one.status(target) is status
        assert not (await one.get(target)).in_doubt


async def test_what_was_claimed_is_sent_once_the_ledger_can_be_seen(
    tmp_path: Path, fails: Fails, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing was sent yet, so nothing is in doubt."""
    monkeypatch.setattr("operator_core.actions.execution.FRESH_SECONDS", 0.0)
    async with bench(tmp_path, clock=LeapingClock()) as one:
        fails("look")
        target = await executed(one)
        assert await one.status(target) is ActionStatus.COMPLETED
        assert len(one.subject.effects) == 1


async def test_the_next_step_of_a_workflow_waits_for_the_end_of_the_one_before(
    tmp_path: Path, fails: Fails
) -> None:
    async with bench(tmp_path, clock=LeapingClock()) as one:
        first, second = await one.workflow("act", "act")
        fails("finish")
        await one.executor().execute_steps(first, one.subject)
        assert await one.status(first) is await one.status(second) is ActionStatus.COMPLETED
        assert len(one.subject.effects) == 2


@pytest.mark.parametrize(
    "error", [LedgerClosedError, LedgerCorruptError, LedgerGoneError, LedgerVersionError]
)
async def test_what_waiting_does_not_mend_is_told_at_once(error: type[LedgerError]) -> None:
    clock = LeapingClock()
    began = clock.now()

    async def step() -> None:
        raise error("x")

    with pytest.raises(error):
        await patiently(step, clock)
    assert clock.now() == began


@pytest.mark.parametrize(
    "error", [LedgerAwayError, LedgerBusyError, LedgerFullError, LedgerReadOnlyError]
)
async def test_trouble_that_lasts_is_told_in_the_end(
    error: type[LedgerError], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("operator_core.actions.patience.LONGEST_TROUBLE_SECONDS", 10.0)
    assert LONGEST_TROUBLE_SECONDS > 10.0
    clock = LeapingClock()
    began = clock.now()

    async def step() -> None:
        raise error("x")

    with pytest.raises(error):
        await patiently(step, clock)
    assert (clock.now() - began).total_seconds() == pytest.approx(10.0, abs=0.5)

"""The ledger cannot be used when a call ends: what its process knows is not lost (ADR 61)."""

import math
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

import pytest

from engine_bench import LEASE_SECONDS, Bench, bench
from ledger_places import address_of
from operator_core.actions.execution import unseen
from operator_core.actions.patience import LONGEST_TROUBLE_SECONDS, patiently
from operator_core.actions.types import ActionStatus
from operator_core.clock import utc_now
from operator_core.db.address import is_postgres
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
    NotFoundError,
)
from operator_core.subject import ProbeAnswer
from operator_core.testing.clock import LeapingClock, ManualClock
from operator_core.testing.fakes import Mode

TROUBLED_TIMES = 5


class Fails(Protocol):
    """Lets a method of the ledger's side of executing fail so often before it works again."""

    def __call__(self, name: str, times: int = TROUBLED_TIMES) -> None:
        """Take the method's name."""


@pytest.fixture
def fails(monkeypatch: pytest.MonkeyPatch) -> Fails:
    """Return what lets a method fail for a while, as on a full disk."""

    def let(name: str, times: int = TROUBLED_TIMES) -> None:
        left, real = iter(range(times)), getattr(ExecutionDB, name)

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
    monkeypatch.setattr("operator_core.actions.sending.FRESH_SECONDS", 0.0)
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


async def test_after_an_outage_owners_have_time_to_say_that_they_are_there(
    tmp_path: Path, fails: Fails
) -> None:
    """Their leases have ended because nobody could renew them."""
    async with bench(tmp_path, clock=ManualClock()) as one:
        target = await one.validated()
        attempt = await one.executions.claim(target, one.terms("one"))
        one.clock.advance(LEASE_SECONDS)
        two = one.executor("two")
        fails("take_over", 1)
        with pytest.raises(LedgerFullError):
            await two.settle_expired(one.subject)
        one.clock.advance(LEASE_SECONDS / 4)
        assert await two.settle_expired(one.subject) == []
        assert await one.executions.renew(attempt, LEASE_SECONDS)
        one.clock.advance(LEASE_SECONDS)
        assert await two.settle_expired(one.subject) == [target]


async def test_a_ledger_that_answers_late_was_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = ExecutionDB.list_abandoned
    async with bench(tmp_path, clock=ManualClock()) as one:

        async def late(db: ExecutionDB, *given: Any, **named: Any) -> object:  # noqa: ANN401 - passed on
            one.clock.advance(LEASE_SECONDS)
            return await real(db, *given, **named)

        target = await one.validated()
        await one.executions.claim(target, one.terms("one"))
        two = one.executor("two")
        with monkeypatch.context() as patch:
            patch.setattr(ExecutionDB, "list_abandoned", late)
            assert await two.settle_expired(one.subject) == []
        one.clock.advance(LEASE_SECONDS / 2)
        assert await two.settle_expired(one.subject) == [target]


async def test_an_outage_is_noticed_whoever_has_met_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another stage waited for the ledger, and recovery was the first to find it back."""
    async with bench(tmp_path, clock=ManualClock()) as one:
        target = await one.validated()
        attempt = await one.executions.claim(target, one.terms("one"))
        two = one.executor("two")
        assert await two.settle_expired(one.subject) == []
        one.clock.advance(LEASE_SECONDS)
        with monkeypatch.context() as patch:
            patch.setattr(one.ledger.engine, "read", away)
            with pytest.raises(LedgerAwayError):
                await one.db.list_proposals()
        assert await two.settle_expired(one.subject) == []
        assert await one.executions.renew(attempt, LEASE_SECONDS)
        one.clock.advance(LEASE_SECONDS)
        assert await two.settle_expired(one.subject) == [target]


async def away(_: object) -> None:
    raise LedgerAwayError("The server does not answer.")


async def test_who_wants_to_hear_of_late_answers_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with bench(tmp_path) as one:
        heard: list[float] = []
        one.ledger.on_late(heard.append)
        monkeypatch.setattr("operator_core.db.ledger._LATE_SECONDS", 1e6)
        await one.validated()
        assert heard == []
        monkeypatch.setattr("operator_core.db.ledger._LATE_SECONDS", 0.0)
        await one.db.list_proposals()
        with pytest.raises(NotFoundError):
            await one.db.approve_proposal(99)
        assert len(heard) == 2
        monkeypatch.setattr(one.ledger.engine, "read", away)
        with pytest.raises(LedgerAwayError):
            await one.db.list_proposals()
        assert heard.pop() == math.inf
        assert max(heard) < 1e3


async def test_a_process_that_starts_after_its_server_leaves_owners_time_to_renew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has not met the outage. The owner knew how its call had ended, and was not heard."""
    async with bench(tmp_path, clock=ManualClock()) as one:
        target = await one.validated()
        attempt = await one.executions.claim(target, one.terms("one"))
        one.clock.advance(LEASE_SECONDS)
        started_at = one.clock.now()

        async def started(_: ExecutionDB) -> datetime:
            return started_at

        monkeypatch.setattr(ExecutionDB, "server_started_at", started)
        one.clock.advance(1)
        assert await one.executor("two").settle_expired(one.subject) == []
        assert await one.executions.renew(attempt, LEASE_SECONDS)
        one.clock.advance(LEASE_SECONDS)
        assert await one.executor("three").settle_expired(one.subject) == [target]


async def test_only_a_server_says_since_when_it_runs(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        started_at = await one.executions.server_started_at()
        assert (started_at is not None) is is_postgres(address_of(tmp_path))
        assert started_at is None or started_at < utc_now()


async def waited_seconds(error: type[LedgerError]) -> float:
    """Return after how long a step that always ends so is given up."""
    clock = LeapingClock()
    began = clock.now()

    async def step() -> None:
        raise error("x")

    with pytest.raises(error):
        await patiently(step, clock)
    return (clock.now() - began).total_seconds()


@pytest.mark.parametrize(
    "error", [LedgerClosedError, LedgerCorruptError, LedgerGoneError, LedgerVersionError]
)
async def test_what_waiting_does_not_mend_is_told_at_once(error: type[LedgerError]) -> None:
    assert await waited_seconds(error) == 0.0


@pytest.mark.parametrize(
    "error", [LedgerAwayError, LedgerBusyError, LedgerFullError, LedgerReadOnlyError]
)
async def test_trouble_that_lasts_is_told_in_the_end(
    error: type[LedgerError], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("operator_core.actions.patience.LONGEST_TROUBLE_SECONDS", 10.0)
    assert LONGEST_TROUBLE_SECONDS > 10.0
    assert await waited_seconds(error) == pytest.approx(10.0, abs=0.5)


def test_a_ledger_that_does_not_answer_is_told_in_words() -> None:
    assert unseen(LedgerFullError("The disk is full.")) == "The disk is full."
    assert unseen(TimeoutError()) == "no answer within 3 s"

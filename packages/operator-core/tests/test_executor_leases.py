"""Leases: what becomes of work whose owner is dead, slow, or told to stop."""

import asyncio
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TypeVar

import pytest

from engine_bench import LEASE_SECONDS, Bench, bench, until
from operator_core.actions import execution
from operator_core.actions.types import ActionRecord, ActionStatus, Outcome, SafetyMode
from operator_core.clock import to_text
from operator_core.db.attempts import Ending
from operator_core.db.engine import Engine, Tx, Value
from operator_core.errors import LedgerBusyError, LostLeaseError, TransitionError
from operator_core.owner import name_of
from operator_core.process import new_owner, this_process
from operator_core.subject import ActionCall, ProbeAnswer
from operator_core.testing.clock import ManualClock
from operator_core.testing.fakes import Mode
from operator_core.testing.faults import CrashingEngine

T = TypeVar("T")
EXECUTING = ActionStatus.EXECUTING


async def start(one: Bench, target: int) -> "asyncio.Task[ActionRecord]":
    running = asyncio.create_task(one.run(target))
    await one.subject.acting.wait()
    return running


@pytest.mark.parametrize(
    ("answer", "name", "status"),
    [
        (ProbeAnswer.HAPPENED, "act", ActionStatus.COMPLETED),
        (ProbeAnswer.NOT_HAPPENED, "act", ActionStatus.FAILED),
        (ProbeAnswer.UNKNOWN, "act", EXECUTING),
        (ProbeAnswer.UNKNOWN, "act_again", EXECUTING),
    ],
)
async def test_the_work_of_a_dead_owner_is_settled_after_its_lease(
    tmp_path: Path, answer: ProbeAnswer, name: str, status: ActionStatus
) -> None:
    """Pitfall 6: executing for ever, never retried, never reported."""
    async with bench(tmp_path) as one:
        target = await one.validated(name)
        await one.executions.claim(target, one.terms("dead"))
        one.subject.probe_answer = answer
        two = one.executor("two")
        assert await two.settle_expired(one.subject) == []
        one.clock.advance(LEASE_SECONDS)
        assert await two.settle_expired(one.subject) == [target]
        kept = await one.get(target)
        assert kept.status is status
        assert kept.awaits_resend is (name == "act_again")
        assert kept.in_doubt is (status is EXECUTING and name == "act")
        assert one.subject.calls == []
        (record,) = await one.db.list_records(target)
        assert record.completed_at is not None


def owner_that_is_gone() -> str:
    """Return the name of an owner whose process's number somebody else has."""
    here = this_process()
    assert here is not None
    return name_of(here._replace(started_ticks=here.started_ticks - 1), "a")


async def test_an_owner_that_is_seen_to_be_dead_is_not_waited_for(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        dead, alive = owner_that_is_gone(), new_owner()
        targets = [await one.validated("act_again") for _ in range(3)]
        for target, owner in zip(targets, [dead, dead, alive], strict=True):
            await one.executions.claim(target, one.terms(owner))
        one.subject.probe_answer = ProbeAnswer.HAPPENED
        assert await one.executor("two").settle_expired(one.subject) == targets[:2]
        assert await one.status(targets[0]) is ActionStatus.COMPLETED
        assert await one.status(targets[2]) is EXECUTING
        (told,) = await one.control.list_events(event_type="owner_found_dead")
        assert told.event_data == {"owner": dead, "proposals": targets[:2]}
        assert told.actor == "two"
        assert await one.executor("two").settle_expired(one.subject) == []


async def test_what_cannot_be_sent_twice_waits_for_its_lease_though_its_owner_is_dead(
    tmp_path: Path,
) -> None:
    """The request of a process that was killed may arrive after its death."""
    async with bench(tmp_path) as one:
        target = await one.validated()
        await one.executions.claim(target, one.terms(owner_that_is_gone()))
        one.subject.probe_answer = ProbeAnswer.NOT_HAPPENED
        assert await one.executor("two").settle_expired(one.subject) == []
        one.clock.advance(LEASE_SECONDS)
        assert await one.executor("two").settle_expired(one.subject) == [target]


async def test_what_a_dead_owner_left_in_doubt_stays_so(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        target = await one.validated()
        attempt = await one.executions.claim(target, one.terms(owner_that_is_gone()))
        await one.executions.finish(attempt, Ending(Outcome.UNKNOWN))
        assert await one.executor("two").settle_expired(one.subject) == []
        assert await one.control.list_events(event_type="owner_found_dead") == []


async def test_a_dead_owners_tool_completes(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        target = await one.validated("wait", seconds=1)
        await one.executions.claim(target, one.terms("dead"))
        one.clock.advance(LEASE_SECONDS)
        await one.executor("two").settle_expired(one.subject)
        assert await one.status(target) is ActionStatus.COMPLETED


async def test_a_first_loss_of_an_owner_makes_nobody_wait_and_a_second_one_does(
    tmp_path: Path,
) -> None:
    async with bench(tmp_path) as one:
        target = await one.validated("act_again")
        one.subject.probe_answer = ProbeAnswer.UNKNOWN
        for expected in ([target], []):
            await one.executions.claim(target, one.terms("dead"))
            one.clock.advance(LEASE_SECONDS)
            assert await one.executor("two").settle_expired(one.subject) == [target]
            assert [found.id for found in await one.db.list_ready()] == expected
        one.clock.advance(one.retry.max_wait_seconds)
        assert [found.id for found in await one.db.list_ready()] == [target]


async def test_a_slow_probe_holds_up_no_other(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        targets = [await one.validated() for _ in range(2)]
        for target in targets:
            await one.executions.claim(target, one.terms("dead"))
        one.clock.advance(LEASE_SECONDS)
        both = asyncio.Barrier(2)  # the first probe is answered once the second was asked

        async def probe(_call: ActionCall) -> ProbeAnswer:
            await both.wait()
            return ProbeAnswer.HAPPENED

        vars(one.subject)["probe"] = probe
        async with asyncio.timeout(1.5):
            assert await one.executor("two").settle_expired(one.subject) == targets


async def test_one_stuck_row_never_blocks_the_others(tmp_path: Path) -> None:
    """Peer bug 5."""
    async with bench(tmp_path) as one:
        targets = [await one.validated() for _ in range(3)]
        for target in targets:
            await one.executions.claim(target, one.terms("dead"))
        one.clock.advance(LEASE_SECONDS)
        one.subject.probe_answer = AttributeError("a bug in the subject")
        assert await one.executor("two").settle_expired(one.subject) == targets
        assert {(await one.get(target)).in_doubt for target in targets} == {True}


async def test_after_a_kill_a_dead_owners_work_is_not_sent_again(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        target = await one.validated("act_again")
        await one.executions.claim(target, one.terms("dead"))
        await one.safety.kill(actor="alice")
        one.clock.advance(LEASE_SECONDS)
        await one.executor("two").settle_expired(one.subject)
        await one.safety.set_mode(SafetyMode.EXECUTE)
        one.clock.advance(3_600)
        assert await one.db.list_ready() == []
        assert (await one.get(target)).in_doubt


async def test_a_renewed_lease_cannot_be_taken(tmp_path: Path) -> None:
    """It was seen as expired, then its owner woke up and renewed it."""
    async with bench(tmp_path) as one:
        target = await one.validated()
        attempt = await one.executions.claim(target, one.terms("slow"))
        one.clock.advance(LEASE_SECONDS)
        (seen,) = await one.executions.list_expired()
        assert await one.executions.renew(attempt, LEASE_SECONDS)
        with pytest.raises(TransitionError):
            await one.executions.take_over(seen, one.terms("two"))


async def test_two_that_settle_the_same_row_do_it_once(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        target = await one.validated()
        await one.executions.claim(target, one.terms("dead"))
        one.clock.advance(LEASE_SECONDS)
        one.subject.probe_answer = ProbeAnswer.HAPPENED
        done = await asyncio.gather(
            *[one.executor(owner).settle_expired(one.subject) for owner in ("two", "three")]
        )
        assert sorted(done) == [[], [target]]
        assert len(one.subject.probes) == 1


async def test_an_owner_that_stood_still_past_its_lease_sends_nothing(tmp_path: Path) -> None:
    """Peer bug 31: a stopped process wakes up after another one took its work."""
    async with bench(tmp_path) as one:
        target = await one.validated()
        attempt = await one.executions.claim(target, one.terms("one"))
        one.clock.advance(LEASE_SECONDS)
        one.subject.probe_answer = ProbeAnswer.NOT_HAPPENED
        await one.executor("two").settle_expired(one.subject)
        executor = one.executor()
        with pytest.raises(LostLeaseError):
            await execution.carry_out(
                one.executions,
                attempt,
                one.subject,
                executor._registry,
                executor._terms(one.executions),
            )
        assert one.subject.calls == []


async def test_an_owner_that_lost_its_work_while_it_ran_writes_nothing(tmp_path: Path) -> None:
    clock = ManualClock()
    async with bench(tmp_path, clock=clock) as one:
        one.subject.mode = Mode.HANG
        target = await one.validated()
        running = await start(one, target)
        await until(lambda: clock.sleepers == 1)
        owner = (await one.get(target)).owner
        told: dict[str, Value] = {"owner": owner, "actions": '["act"]', "now": to_text(clock.now())}
        await one.ledger.write(lambda tx: tx.all("proposal.expire_leases", **told))
        one.subject.probe_answer = ProbeAnswer.HAPPENED
        assert await one.executor("two").settle_expired(one.subject) == [target]
        clock.advance(execution.WATCH_SECONDS)
        with pytest.raises(LostLeaseError):
            await running
        assert await one.status(target) is ActionStatus.COMPLETED


async def test_a_long_call_keeps_its_lease(tmp_path: Path) -> None:
    """Peer bug 4."""
    clock = ManualClock()
    async with bench(tmp_path, clock=clock) as one:
        one.subject.mode = Mode.STUBBORN
        target = await one.validated()
        running = await start(one, target)
        for _ in range(5):
            before = (await one.get(target)).lease_expires_at
            await until(lambda: clock.sleepers == 1)
            clock.advance(LEASE_SECONDS / 3)
            await _renewed(one, target, before)
        assert await one.executor("two").settle_expired(one.subject) == []
        one.subject.let_go.set()
        assert (await running).success is True


async def _renewed(one: Bench, target: int, before: datetime | None) -> None:
    for _ in range(1_000):
        if (await one.get(target)).lease_expires_at != before:
            return
        await asyncio.sleep(0.001)
    raise AssertionError("the lease was not renewed")


async def test_a_busy_ledger_does_not_orphan_a_running_call(tmp_path: Path) -> None:
    """Peer bug 7: its error left the call running and nobody watching it."""
    async with bench(tmp_path) as one:
        one.subject.mode = Mode.STUBBORN
        target = await one.validated()
        running = await start(one, target)
        whole = one.ledger.engine
        one.ledger.engine = busy = _Busy(whole, reads=3)
        await until(lambda: busy.left == 0)
        one.subject.let_go.set()
        assert (await running).success is True
        assert await one.status(target) is ActionStatus.COMPLETED


class _Busy(CrashingEngine):
    """Another process holds the ledger for some reads."""

    def __init__(self, engine: Engine, reads: int) -> None:
        super().__init__(engine)
        self.left = reads

    async def read(self, work: Callable[[Tx], T]) -> T:
        if self.left > 0:
            self.left -= 1
            raise LedgerBusyError("somebody else holds it")
        return await super().read(work)


async def test_stopping_the_process_leaves_nothing_unclear(tmp_path: Path) -> None:
    """Pitfall 6: CancelledError during execution."""
    async with bench(tmp_path) as one:
        one.subject.mode, one.subject.probe_answer = Mode.HANG, None
        target = await one.validated()
        running = await start(one, target)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        kept = await one.get(target)
        assert kept.status is ActionStatus.FAILED
        assert kept.next_retry_at is not None

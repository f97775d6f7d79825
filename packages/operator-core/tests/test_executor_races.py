"""Executors, people and crashes that meet on one ledger."""

import asyncio
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

import engine_worker
from engine_bench import Bench, bench, id_of, proposal, recommend, until
from ledger_places import address_of
from operator_core.actions.types import ActionStatus
from operator_core.clock import SYSTEM_CLOCK
from operator_core.db.actions import ActionDB
from operator_core.db.ledger import Ledger, open_ledger
from operator_core.errors import ConflictError, OperatorError
from operator_core.subject import ProbeAnswer
from operator_core.testing.clock import LeapingClock
from operator_core.testing.fakes import FakeSubject, Mode
from operator_core.testing.faults import CrashError, CrashingEngine

WORKER = Path(engine_worker.__file__)


async def many_validated(one: Bench, count: int) -> list[int]:
    executor = one.executor()
    stored = await asyncio.gather(*[executor.propose_action(recommend()) for _ in range(count)])
    ids = [id_of(each) for each in stored]
    await asyncio.gather(*[executor.validate_proposal(each) for each in ids])
    return ids


def worker(folder: Path, mode: Mode, lease_seconds: float = 30.0) -> "subprocess.Popen[bytes]":
    arguments = [address_of(folder), folder / "effects", mode.value, str(lease_seconds)]
    return subprocess.Popen([sys.executable, WORKER, *arguments], stderr=subprocess.PIPE)


def effects(folder: Path) -> Counter[str]:
    file = folder / "effects"
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    return Counter(line.rsplit(" ", maxsplit=1)[-1] for line in lines)


# --- two executors -----------------------------------------------------------------------


@pytest.mark.real
async def test_two_executors_of_one_process_execute_each_proposal_once(tmp_path: Path) -> None:
    """Pitfall 4: executed twice in 28 of 40 races."""
    async with bench(tmp_path) as one:
        ids = await many_validated(one, 1_000)
        executors = [one.executor("one"), one.executor("two")]
        calls = [each.execute_proposal(n, one.subject) for n in ids for each in executors]
        results = await asyncio.gather(*calls, return_exceptions=True)
        assert sum(isinstance(result, ConflictError) for result in results) == 1_000
        keys = Counter(effect.idempotency_key for effect in one.subject.effects)
        assert (len(keys), set(keys.values())) == (1_000, {1})
        done = await one.db.list_proposals(ActionStatus.COMPLETED)
        assert [each.id for each in done] == sorted(ids)


@pytest.mark.real
async def test_two_processes_execute_each_proposal_once(tmp_path: Path) -> None:
    """Pitfall 4, on two processes that share the file."""
    async with bench(tmp_path, clock=None) as one:
        one.ledger.clock = SYSTEM_CLOCK
        await many_validated(one, 1_000)
    processes = [worker(tmp_path, Mode.OK) for _ in range(2)]
    for process in processes:
        _, error = await asyncio.to_thread(process.communicate)
        assert (process.returncode, error) == (0, b"")
    counted = effects(tmp_path)
    assert (len(counted), set(counted.values())) == (1_000, {1})
    async with bench(tmp_path) as one:
        assert len(await one.db.list_proposals(ActionStatus.COMPLETED)) == 1_000
        assert await one.control.first_broken_audit_row() is None


@pytest.mark.real
@pytest.mark.parametrize("answer", [ProbeAnswer.HAPPENED, ProbeAnswer.UNKNOWN])
async def test_a_process_killed_in_an_action_leaves_it_to_be_settled(
    tmp_path: Path, answer: ProbeAnswer
) -> None:
    """Pitfall 6: SIGKILL during execution."""
    async with bench(tmp_path) as one:
        one.ledger.clock = SYSTEM_CLOCK
        (target,) = await many_validated(one, 1)
        process = worker(tmp_path, Mode.HANG_AFTER_EFFECT, lease_seconds=0.5)
        try:
            await until(lambda: effects(tmp_path).total() == 1, seconds=20)
        finally:
            process.send_signal(signal.SIGKILL)
            await asyncio.to_thread(process.communicate)
        assert await one.status(target) is ActionStatus.EXECUTING
        one.subject.probe_answer = answer
        async with asyncio.timeout(10):
            while not await one.executor("two").settle_expired(one.subject):  # noqa: ASYNC110 - a lease ends
                await asyncio.sleep(0.05)
        kept = await one.get(target)
        assert kept.in_doubt is (answer is ProbeAnswer.UNKNOWN)
        assert effects(tmp_path).total() == 1
        assert one.subject.calls == []


# --- a crash after every transaction and before every statement ---------------------------


async def live(one: Bench, ledger: Ledger, target: int) -> None:
    """Take one proposal through its life, as far as this process lives."""
    executor = one.executor("mortal", ledger=ledger)
    await executor.validate_proposal(target)
    await executor.execute_proposal(target, one.subject)
    one.clock.advance(1)
    if (await one.status(target)) is ActionStatus.FAILED:
        await ActionDB(ledger).reset_for_retry(target)
        await executor.execute_proposal(target, one.subject)


async def finish_after_restart(one: Bench, target: int) -> None:
    """Do what a new process does: settle, validate, retry, execute."""
    one.clock.advance(60)
    executor = one.executor("heir")
    await executor.settle_expired(one.subject)
    for _ in range(4):
        one.clock.advance(60)
        kept = await one.get(target)
        if kept.status is ActionStatus.PROPOSED:
            await executor.validate_proposal(target)
        elif kept.next_retry_at is not None:
            await one.db.reset_for_retry(target)
        elif kept.status is ActionStatus.VALIDATED:
            await executor.execute_proposal(target, one.subject)


@pytest.mark.real
@pytest.mark.parametrize("kind", ["after_commit", "at_statement"])
@pytest.mark.parametrize("mode", [Mode.OK, Mode.FAIL_THEN_OK])
@pytest.mark.parametrize("truth", [True, False])
async def test_a_crash_anywhere_ends_settled_or_in_doubt_and_acts_once(
    tmp_path: Path, kind: str, mode: Mode, truth: bool
) -> None:
    """Pitfalls 6 and 50. With a subject that can tell, it ends completed with one effect."""
    async with bench(tmp_path) as one:
        for place in range(1, 200):
            one.subject = FakeSubject(
                mode=mode, probe_answer=None if truth else ProbeAnswer.UNKNOWN
            )
            target = id_of(await one.executor().propose_action(recommend()))
            engine = CrashingEngine(one.ledger.engine, **{kind: place})
            try:
                await live(one, Ledger(engine, one.ledger.ledger_id, one.clock), target)
            except CrashError:
                await finish_after_restart(one, target)
                await _require_right_end(one, target, truth=truth)
            else:
                break
        assert place >= 4
        assert await one.control.first_broken_audit_row() is None


async def _require_right_end(one: Bench, target: int, *, truth: bool) -> None:
    kept = await one.get(target)
    assert len(one.subject.effects) <= 1
    if truth:
        assert (kept.status, len(one.subject.effects)) == (ActionStatus.COMPLETED, 1)
    else:
        assert kept.status is ActionStatus.COMPLETED or kept.in_doubt


# --- people against each other and against executors --------------------------------------

MOVES: dict[str, Callable[[Bench, int], Awaitable[object]]] = {
    "approve": lambda one, n: one.db.approve_proposal(n),
    "reject": lambda one, n: one.db.reject_proposal(n),
    "cancel": lambda one, n: one.db.cancel_proposal(n),
    "kill": lambda one, _: one.safety.kill(),
    "execute": lambda one, n: one.run(n, approval_mode=True),
    "schedule": lambda one, n: one.db.update_scheduled_at(n, None),
}


@pytest.mark.parametrize("first", MOVES)
@pytest.mark.parametrize("second", MOVES)
async def test_moves_at_the_same_time_end_in_one_clear_state(
    tmp_path: Path, first: str, second: str
) -> None:
    """Pitfall 49: cancelled and approved; cancelled and executed."""
    async with bench(tmp_path, approval_mode=True) as one:
        target = await one.validated()
        results = await asyncio.gather(
            MOVES[first](one, target), MOVES[second](one, target), return_exceptions=True
        )
        for result in results:
            assert not isinstance(result, Exception) or isinstance(result, OperatorError)
        kept = await one.get(target)
        if kept.status is ActionStatus.CANCELLED:
            assert one.subject.effects == []
            assert kept.cancelled_at is not None
        if kept.rejected_at is not None:
            assert (kept.status, kept.approved_at) == (ActionStatus.CANCELLED, None)
        if one.subject.effects:
            assert (kept.status, kept.is_approved) == (ActionStatus.COMPLETED, True)


async def test_approving_twice_is_refused_and_executes_once(tmp_path: Path) -> None:
    """Peer bug 11."""
    async with bench(tmp_path, approval_mode=True) as one:
        target = await one.validated()
        both = await asyncio.gather(
            one.db.approve_proposal(target, approved_by="alice"),
            one.db.approve_proposal(target, approved_by="bob"),
            return_exceptions=True,
        )
        assert sum(isinstance(result, ConflictError) for result in both) == 1
        await one.run(target)
        assert len(one.subject.effects) == 1


async def test_two_retry_loops_reset_a_proposal_once(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        one.subject.mode = Mode.FAIL
        target = await one.validated()
        await one.run(target)
        both = await asyncio.gather(
            *[one.db.reset_for_retry(target) for _ in range(2)], return_exceptions=True
        )
        assert sum(isinstance(result, ConflictError) for result in both) == 1
        assert (await one.get(target)).effect == 2


async def test_a_proposal_that_two_resolve_and_claim_is_cancelled_or_done(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        target = id_of(await one.db.create_proposal(proposal(status=ActionStatus.VALIDATED)))
        await asyncio.gather(one.safety.kill(), one.run(target), return_exceptions=True)
        kept = await one.get(target)
        assert (kept.status is ActionStatus.CANCELLED) is (one.subject.effects == [])


async def test_an_upgrade_by_two_at_once_happens_once(tmp_path: Path) -> None:
    path = tmp_path / "both.db"
    both = await asyncio.gather(*[open_ledger(path, LeapingClock()) for _ in range(2)])
    assert both[0].ledger_id == both[1].ledger_id
    for ledger in both:
        await ledger.engine.close()
    assert [left.name for left in tmp_path.iterdir()] == ["both.db"]  # noqa: ASYNC240 - a small folder

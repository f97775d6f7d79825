"""Tries and retries: pitfalls of a first engine, by their row's number."""

from pathlib import Path

import pytest

from engine_bench import Bench, bench, id_of, proposal
from operator_core.actions.retry import RetryConfig
from operator_core.actions.types import ActionStatus, SafetyMode
from operator_core.errors import ObserveOnlyError, TransitionError
from operator_core.testing.fakes import Mode

FAILED = ActionStatus.FAILED


async def test_kill_drops_retries_that_wait(tmp_path: Path) -> None:
    """Pitfall 11."""
    async with bench(tmp_path) as one:
        one.subject.mode = Mode.FAIL
        target = await one.validated()
        await one.run(target)
        report = await one.safety.kill(actor="alice", reason="enough")
        assert report.retries_dropped == (target,)
        one.clock.advance(3_600)
        assert await one.db.list_retry_eligible() == []
        assert await one.status(target) is FAILED


async def test_a_retry_that_became_due_in_observe_mode_is_not_lost(tmp_path: Path) -> None:
    """Pitfall 16: it was reset to validated and nobody saw it again."""
    async with bench(tmp_path) as one:
        one.subject.mode = Mode.FAIL_THEN_OK
        target = await one.validated()
        await one.run(target)
        one.clock.advance(1)
        await one.safety.set_mode(SafetyMode.OBSERVE)
        await one.db.reset_for_retry(target)
        with pytest.raises(ObserveOnlyError):
            await one.run(target)
        await one.safety.set_mode(SafetyMode.EXECUTE)
        assert [ready.id for ready in await one.db.list_ready()] == [target]
        assert (await one.run(target)).success is True


@pytest.mark.parametrize(("limit", "tries"), [(0, 1), (1, 1), (2, 2), (3, 3)])
async def test_max_retries_counts_the_first_try(tmp_path: Path, limit: int, tries: int) -> None:
    """Pitfalls 19, 20 and 66: 3 is the first try and two retries; 0 and 1 are none."""
    async with bench(tmp_path) as one:
        one.subject.mode, one.retry = Mode.FAIL, RetryConfig(max_attempts=limit)
        target = await one.validated()
        await _run_until_given_up(one, target)
        assert len(one.subject.calls) == tries
        kept = await one.get(target)
        assert (kept.status, kept.retry_count, kept.next_retry_at) == (FAILED, tries, None)
        assert "retry_exhausted" in await one.events(target)


async def _run_until_given_up(one: Bench, target: int) -> None:
    for _ in range(10):
        await one.run(target)
        one.clock.advance(120)
        if not await one.db.list_retry_eligible():
            return
        await one.db.reset_for_retry(target)


async def test_the_first_delay_is_the_shortest_and_none_is_over_the_longest(tmp_path: Path) -> None:
    """Pitfall 21."""
    async with bench(tmp_path) as one:
        one.subject.mode = Mode.FAIL
        one.retry = RetryConfig(max_attempts=9, max_wait_seconds=5, jitter_fraction=0)
        target, delays = await one.validated(), []
        for _ in range(5):
            await one.run(target)
            due = (await one.get(target)).next_retry_at
            assert due is not None
            delays.append((due - one.clock.now()).total_seconds())
            one.clock.advance(10)
            await one.db.reset_for_retry(target)
        assert delays == [1, 2, 4, 5, 5]


async def test_a_failure_is_counted_once_whoever_reports_it(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        one.subject.mode = Mode.FAIL
        target = await one.validated()
        await one.run(target)
        due = await one.executor().schedule_next_retry(target, "again")
        kept = await one.get(target)
        assert (kept.retry_count, kept.next_retry_at) == (1, due)


@pytest.mark.parametrize("reports", [1, 2])
async def test_a_refusal_of_the_cluster_is_never_retried(tmp_path: Path, reports: int) -> None:
    """Pitfall 35: errors that stay were retried like those that pass."""
    async with bench(tmp_path) as one:
        one.subject.mode = Mode.REFUSE
        target = await one.validated()
        record = await one.run(target)
        for _ in range(reports):
            assert await one.executor().schedule_next_retry(target, "e") is None
        assert (await one.get(target)).next_retry_at is None
        assert record.error_message is not None
        assert "store 4 is gone" in record.error_message  # pitfall 40: the reason is kept


async def test_a_step_of_an_ended_workflow_is_not_tried_again(tmp_path: Path) -> None:
    """Else it is validated, ready and refused in every cycle."""
    async with bench(tmp_path) as one:
        one.subject.mode = Mode.REFUSE
        (step,) = await one.workflow("act")
        await one.run(step)
        with pytest.raises(TransitionError, match="workflow 1, which is failed"):
            await one.db.reset_for_retry(step)
        assert await one.db.list_ready() == []


async def test_a_step_without_tries_left_stops_its_workflow_whatever_its_next_time(
    tmp_path: Path,
) -> None:
    async with bench(tmp_path) as one:
        spent = proposal(status=FAILED, retry_count=3)
        await one.db.create_workflow("w", "d", [spent, proposal()])
        first, second = await one.db.list_workflow_actions(1)
        await one.db.update_next_retry(id_of(first), one.in_seconds(9))
        assert await one.status(id_of(second)) is ActionStatus.CANCELLED

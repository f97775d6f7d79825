"""Each fault of the seeds' sample code (DESIGN section 11) is not inherited: a test a row."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from engine_bench import bench, id_of, proposal, recommend
from operator_core.actions.retry import RetryConfig
from operator_core.actions.types import ActionStatus, AuditEvent, SafetyMode, WorkflowStatus
from operator_core.errors import (
    ConflictError,
    RequestError,
    TransitionError,
    UnknownActionError,
)
from operator_core.testing.faults import CrashError, CrashingEngine


async def test_log_event_takes_an_event_or_its_parts(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        stored = id_of(await one.db.create_proposal(proposal()))
        await one.auditor.log_event(AuditEvent(proposal_id=stored, event_type="whole", actor="x"))
        await one.auditor.log_event(
            proposal_id=stored, event_type="parts", event_data={"a": 1}, actor="agent"
        )
        assert await one.events(stored) == ["proposal_created", "whole", "parts"]
        with pytest.raises(RequestError):
            await one.auditor.log_event(proposal_id=stored)


# "indexes on new columns created before the columns are migrated": test_ledger_upgrade.py


async def test_create_workflow_sets_the_chain_and_leaves_the_callers_objects(
    tmp_path: Path,
) -> None:
    async with bench(tmp_path) as one:
        given = [proposal(), proposal(), proposal()]
        before = [step.model_copy(deep=True) for step in given]
        steps = await one.db.list_workflow_actions(await one.db.create_workflow("w", "d", given))
        ids = [id_of(step) for step in steps]
        assert [step.depends_on_proposal_id for step in steps] == [None, *ids[:-1]]
        assert given == before


async def test_create_workflow_refuses_an_empty_list(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        with pytest.raises(RequestError):
            await one.db.create_workflow("w", "d", [])
        assert await one.db.list_workflows() == []


async def test_create_workflow_is_one_transaction_at_every_statement(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        ledger, whole = one.ledger, one.ledger.engine
        for place in range(1, 100):
            ledger.engine = CrashingEngine(whole, at_statement=place)
            try:
                await one.db.create_workflow("w", "d", [proposal(), proposal()])
            except CrashError:
                ledger.engine = whole
                assert await one.db.list_workflows() == []
                assert await one.db.list_proposals() == []
            else:
                ledger.engine = whole
                break
        assert place > 6
        assert len(await one.db.list_proposals()) == 2


async def test_a_step_is_ready_only_when_its_workflow_or_itself_is_approved(
    tmp_path: Path,
) -> None:
    async with bench(tmp_path, approval_mode=True) as one:
        first, second = await one.workflow("act", "act", approve=False)
        for step in (first, second):
            await one.db.update_scheduled_at(step, one.clock.now())
        assert await one.db.list_ready_scheduled() == []
        await one.db.approve_workflow(1)
        assert [step.id for step in await one.db.list_ready_scheduled()] == [first]


async def test_a_step_is_ready_only_when_its_dependency_is_complete(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        first, second = await one.workflow("act", "act")
        assert [step.id for step in await one.db.list_ready()] == [first]
        await one.run(first)
        assert [step.id for step in await one.db.list_ready()] == [second]


@pytest.mark.parametrize("limit", [0, 1, 7])
async def test_max_retries_is_kept_and_zero_stays_zero(tmp_path: Path, limit: int) -> None:
    async with bench(tmp_path) as one:
        stored = await one.db.create_proposal(proposal(max_retries=limit))
        assert (await one.get(id_of(stored))).max_retries == limit


@pytest.mark.parametrize(("own", "ceiling", "tries"), [(3, 10, 3), (10, 3, 3), (0, 3, 0)])
async def test_retries_stop_at_the_proposals_limit_under_the_ceiling(
    tmp_path: Path, own: int, ceiling: int, tries: int
) -> None:
    async with bench(tmp_path) as one:
        one.retry = RetryConfig(max_attempts=ceiling)
        failed = proposal(status=ActionStatus.FAILED, max_retries=own)
        stored = id_of(await one.db.create_proposal(failed))
        answers = [await one.executor().schedule_next_retry(stored, "e") for _ in range(12)]
        assert [answer is not None for answer in answers].count(True) == max(tries - 1, 0)
        assert (await one.get(stored)).next_retry_at is None


@pytest.mark.parametrize("attempt", [0, 5, 1_024, 10**9])
def test_delays_are_clamped_with_jitter_and_never_overflow(attempt: int) -> None:
    config = RetryConfig(max_wait_seconds=60.0, jitter_fraction=0.5)
    assert 0 < config.delay_seconds(attempt) <= 60.0


async def test_times_are_aware_utc_in_one_canonical_text(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        tokyo = one.clock.now().astimezone()
        stored = await one.db.create_proposal(proposal(scheduled_at=tokyo))
        assert stored.scheduled_at == tokyo
        assert stored.proposed_at.tzinfo is UTC
        (row,) = await one.rows("proposal.get", id=stored.id)
        assert row["scheduled_at"] == "2026-01-26T15:00:00.000000+00:00"


def test_calculate_next_retry_answers_in_the_words_it_was_asked() -> None:
    """Naive without a now, as the seed's snippet subtracts; aware with an aware one."""
    config = RetryConfig()
    assert config.calculate_next_retry(0).tzinfo is None
    assert config.calculate_next_retry(0, datetime.now(UTC)).tzinfo is UTC
    assert config.calculate_next_retry(0) - datetime.now() < timedelta(seconds=2)  # noqa: DTZ005


# "except Exception: pass round migrations": test_ledger_trouble.py shows the errors.


@pytest.mark.parametrize(
    "status",
    [
        ActionStatus.PROPOSED,
        ActionStatus.VALIDATED,
        ActionStatus.COMPLETED,
        ActionStatus.CANCELLED,
    ],
)
async def test_reset_for_retry_takes_failed_rows_only(tmp_path: Path, status: ActionStatus) -> None:
    async with bench(tmp_path) as one:
        stored = id_of(await one.db.create_proposal(proposal(status=status)))
        with pytest.raises(TransitionError):
            await one.db.reset_for_retry(stored)
        assert await one.status(stored) is status


async def test_reset_for_retry_needs_retries_left(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        failed = proposal(status=ActionStatus.FAILED, retry_count=3)
        stored = id_of(await one.db.create_proposal(failed))
        with pytest.raises(TransitionError):
            await one.db.reset_for_retry(stored)


async def test_status_writes_name_the_states_they_may_leave(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        stored = id_of(await one.db.create_proposal(proposal(status=ActionStatus.COMPLETED)))
        for status in ActionStatus:
            with pytest.raises(TransitionError):
                await one.db.update_proposal_status(stored, status)
        workflow_id = await one.db.create_workflow("w", "d", [proposal()])
        await one.db.update_workflow_status(workflow_id, WorkflowStatus.CANCELLED)
        for end in WorkflowStatus:
            with pytest.raises(TransitionError):
                await one.db.update_workflow_status(workflow_id, end)


async def test_the_mode_is_a_row_that_every_controller_sees(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        mine, theirs = one.safety, one.safety
        await theirs.set_mode(SafetyMode.OBSERVE)
        assert (await mine.state()).mode is SafetyMode.OBSERVE


async def test_only_registered_actions_are_called(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        row = proposal("secret", status=ActionStatus.VALIDATED, approved_at=one.clock.now())
        stored = id_of(await one.db.create_proposal(row))
        with pytest.raises(UnknownActionError):
            await one.run(stored)
        assert one.subject.effects == []
        assert await one.status(stored) is ActionStatus.FAILED


async def test_the_loser_of_a_race_gets_an_error(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        stored = id_of(await one.executor().propose_action(recommend()))
        both = await asyncio.gather(
            one.db.reject_proposal(stored),
            one.db.approve_proposal(stored),
            return_exceptions=True,
        )
        assert [isinstance(result, ConflictError) for result in both] == [False, True]

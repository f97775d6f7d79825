"""Every success criterion of seed phase 15-03: one test each, the criterion quoted."""

import inspect
import tomllib
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from engine_bench import Bench, bench, id_of, proposal, recommend
from operator_core.actions import ActionExecutor, RetryConfig
from operator_core.actions.types import ActionStatus, SafetyMode
from operator_core.errors import NotFoundError, ObserveOnlyError, ValidationError

CORE = Path(__file__).parents[2] / "packages" / "operator-core"


async def failed(one: Bench, **columns: int) -> int:
    stored = await one.db.create_proposal(proposal(status=ActionStatus.FAILED, **columns))
    return id_of(stored)


def test_the_seeds_constructors_take_what_they_say() -> None:
    """15-03 criterion 7: "ActionExecutor.__init__ accepts optional retry_config parameter"."""
    parameters = inspect.signature(ActionExecutor.__init__).parameters
    named = ["self", "db_path", "registry", "safety", "auditor", "approval_mode", "retry_config"]
    assert list(parameters)[:7] == named
    assert parameters["retry_config"].default is None


def test_15_03_tenacity_in_pyproject_dependencies() -> None:
    """Criterion 1: "tenacity>=8.2.0 in pyproject.toml dependencies"."""
    project = tomllib.loads((CORE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert "tenacity>=8.2.0" in project["dependencies"]


def test_15_03_retry_config_has_its_settings() -> None:
    """Criterion 2: "RetryConfig class with max_attempts, min_wait_seconds, ..."."""
    config = RetryConfig()
    assert (config.max_attempts, config.min_wait_seconds, config.max_wait_seconds) == (3, 1.0, 60.0)
    assert (config.exponential_base, config.jitter_fraction) == (2.0, 0.5)


def test_15_03_calculate_next_retry_is_exponential_with_jitter() -> None:
    """Criterion 3: "calculate_next_retry returns datetime with exponential backoff + jitter"."""
    config = RetryConfig(min_wait_seconds=1.0, jitter_fraction=0.5)
    now = datetime(2026, 1, 26)  # noqa: DTZ001 - the seeds' times have no zone
    for attempt in range(4):
        delay = (config.calculate_next_retry(attempt, now) - now) / timedelta(seconds=1)
        assert 2**attempt <= delay <= 1.5 * 2**attempt


def test_15_03_should_retry_while_count_is_below_max_attempts() -> None:
    """Criterion 4: "should_retry returns True when retry_count < max_attempts"."""
    config = RetryConfig(max_attempts=3)
    assert [config.should_retry(count) for count in range(5)] == [True] * 3 + [False] * 2


async def test_15_03_propose_workflow_validates_all_actions_first(tmp_path: Path) -> None:
    """Criterion 5: "propose_workflow validates all actions before creating workflow"."""
    async with bench(tmp_path) as one:
        executor = one.executor()
        with pytest.raises(ValueError, match=r"Unknown action 'nope'.*act, act_again"):
            await executor.propose_workflow("w", "d", [recommend(), recommend("nope")])
        with pytest.raises(ValidationError):
            await executor.propose_workflow("w", "d", [recommend(), recommend(value="x")])
        with pytest.raises(ValueError, match="at least one action"):
            await executor.propose_workflow("w", "d", [])
        assert await one.db.list_workflows() == []
        assert await one.db.list_proposals() == []


async def test_15_03_propose_workflow_creates_linked_proposals(tmp_path: Path) -> None:
    """Criterion 6: "propose_workflow creates workflow in database with linked proposals"."""
    async with bench(tmp_path) as one:
        workflow_id = await one.executor().propose_workflow(
            name="w", description="d", action_recommendations=[recommend(), recommend("act_again")]
        )
        steps = await one.db.list_workflow_actions(workflow_id)
        assert [step.action_name for step in steps] == ["act", "act_again"]
        assert {step.status for step in steps} == {ActionStatus.PROPOSED}


async def test_15_03_propose_workflow_is_refused_in_observe_mode(tmp_path: Path) -> None:
    """Task 2: "ObserveOnlyError: If safety mode is OBSERVE"."""
    async with bench(tmp_path) as one:
        await one.safety.set_mode(SafetyMode.OBSERVE)
        with pytest.raises(ObserveOnlyError):
            await one.executor().propose_workflow("w", "d", [recommend()])
        with pytest.raises(ObserveOnlyError):
            await one.executor().propose_action(recommend())


async def test_15_03_schedule_next_retry_increments_and_schedules(tmp_path: Path) -> None:
    """Criterion 8: "schedule_next_retry increments retry_count and schedules next attempt"."""
    async with bench(tmp_path) as one:
        stored = await failed(one)
        due = await one.executor().schedule_next_retry(stored, "no route")
        found = await one.get(stored)
        assert due == found.next_retry_at == one.in_seconds(1)
        assert (found.retry_count, found.last_error) == (1, "no route")


async def test_15_03_schedule_next_retry_returns_none_when_exhausted(tmp_path: Path) -> None:
    """Criterion 9: "schedule_next_retry returns None when max_retries exceeded"."""
    async with bench(tmp_path) as one:
        stored = await failed(one, retry_count=2)
        assert await one.executor().schedule_next_retry(stored, "no route") is None
        assert (await one.get(stored)).next_retry_at is None


async def test_15_03_schedule_next_retry_of_no_proposal_is_a_value_error(tmp_path: Path) -> None:
    """Task 3: "raise ValueError(f'Proposal {proposal_id} not found')"."""
    async with bench(tmp_path) as one:
        with pytest.raises(NotFoundError, match="Proposal 7 not found") as raised:
            await one.executor().schedule_next_retry(7, "no route")
        assert isinstance(raised.value, ValueError)


async def test_15_03_all_methods_log_audit_events(tmp_path: Path) -> None:
    """Criterion 10: "All methods log appropriate audit events"."""
    async with bench(tmp_path) as one:
        executor = one.executor()
        await executor.propose_workflow("w", "d", [recommend()])
        assert "workflow_created" in await one.events()
        stored = await failed(one, retry_count=1)
        await executor.schedule_next_retry(stored, "no route")
        await executor.schedule_next_retry(stored, "no route")
        told = await one.events(stored)
        assert [name for name in told if name.startswith("retry")] == [
            "retry_scheduled",
            "retry_cleared",
            "retry_exhausted",
        ]


def test_15_03_exports_work() -> None:
    """Verification 5: "from operator_core.actions import RetryConfig"."""
    assert RetryConfig.__module__ == "operator_core.actions.retry"


def test_15_03_executor_keeps_the_given_retry_config() -> None:
    """Task 3: "retry_config: Configuration for retry behavior"."""
    assert isinstance(inspect.getattr_static(ActionExecutor, "retry_config"), property)
    assert isinstance(inspect.getattr_static(ActionExecutor, "approval_mode"), property)

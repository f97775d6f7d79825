"""Every success criterion of the five seed documents: one test each, the criterion quoted."""

import inspect
from datetime import datetime
from pathlib import Path

import pytest

from engine_bench import Bench, bench, id_of, proposal
from operator_core.actions.types import (
    ActionProposal,
    ActionRecord,
    ActionStatus,
    ActionType,
    WorkflowProposal,
    WorkflowStatus,
)
from operator_core.db import ActionDB
from operator_core.db.schema import ACTIONS_SCHEMA_SQL, SCHEMA_SQL

CORE = Path(__file__).parents[2] / "packages" / "operator-core"
NEW_FIELDS = {
    "workflow_id",
    "execution_order",
    "depends_on_proposal_id",
    "scheduled_at",
    "retry_count",
    "max_retries",
    "next_retry_at",
    "last_error",
}


async def failed(one: Bench, **columns: int) -> int:
    stored = await one.db.create_proposal(proposal(status=ActionStatus.FAILED, **columns))
    return id_of(stored)


# --- phase 12-01: action foundation ----------------------------------------------------------


async def test_12_action_proposals_can_be_created_with_typed_parameters(tmp_path: Path) -> None:
    """Truth: "Action proposals can be created with typed parameters"."""
    parameters = {"region_id": 1, "to_store_id": "2", "force": True, "deep": {"list": [1.5, None]}}
    async with ActionDB(tmp_path / "l.db") as db:
        created = await db.create_proposal(proposal(parameters=parameters))
        fetched = await db.get_proposal(id_of(created))
        assert fetched is not None
        assert fetched.parameters == parameters


async def test_12_action_records_track_execution_state_transitions(tmp_path: Path) -> None:
    """Truth: "Action records track execution state transitions"."""
    async with bench(tmp_path) as one:
        record = await one.run(await one.validated())
        assert (record.success, record.error_message) == (True, None)
        assert record.started_at is not None
        assert record.completed_at is not None


async def test_12_action_data_persists_in_database_across_restarts(tmp_path: Path) -> None:
    """Truth: "Action data persists in database across restarts"."""
    async with ActionDB(tmp_path / "l.db") as db:
        created = await db.create_proposal(proposal())
    async with ActionDB(tmp_path / "l.db") as db:
        assert await db.get_proposal(id_of(created)) == created


def test_12_all_action_types_import_without_error() -> None:
    """Verification: "All action types import without error", from the package too."""
    actions = __import__("operator_core.actions", fromlist=["*"])
    for name in ("ActionProposal", "ActionRecord", "ActionStatus", "ActionType"):
        assert inspect.isclass(getattr(actions, name))


async def test_12_database_schema_creates_tables_when_context_entered(tmp_path: Path) -> None:
    """Verification: "Database schema creates tables when ActionDB context entered"."""
    async with ActionDB(tmp_path / "l.db") as db:
        assert await db.list_proposals() == []
        assert await db.list_records(1) == []


async def test_12_proposal_is_stored_and_retrieved_with_all_fields_intact(tmp_path: Path) -> None:
    """Verification: "ActionProposal can be created, stored, retrieved with all fields intact"."""
    given = proposal(
        action_type=ActionType.TOOL,
        status=ActionStatus.VALIDATED,
        proposed_at=datetime(2026, 1, 26, 15, 2, 43, 123456),  # noqa: DTZ001 - as the seeds write
        proposed_by="user",
    )
    async with ActionDB(tmp_path / "l.db") as db:
        created = await db.create_proposal(given)
        assert created == given.model_copy(update={"id": created.id})


async def test_12_action_record_can_be_created_and_linked_to_proposal(tmp_path: Path) -> None:
    """Verification: "ActionRecord can be created and linked to proposal"."""
    async with ActionDB(tmp_path / "l.db") as db:
        created = await db.create_proposal(proposal())
        record = await db.create_record(ActionRecord(proposal_id=id_of(created)))
        assert await db.list_records(id_of(created)) == [record]
        await db.update_record(id_of(record), success=True, result_data={"moved": 3})
        ended = await db.get_record(id_of(record))
        assert ended is not None
        assert (ended.success, ended.result_data) == (True, {"moved": 3})


async def test_12_cancel_all_pending_returns_correct_count(tmp_path: Path) -> None:
    """Verification: "cancel_all_pending returns correct count"."""
    async with ActionDB(tmp_path / "l.db") as db:
        for status in ActionStatus:
            if status is not ActionStatus.EXECUTING:
                await db.create_proposal(proposal(status=status))
        assert await db.cancel_all_pending() == 2
        assert await db.cancel_all_pending() == 0


def test_12_action_proposal_model_with_9_plus_fields() -> None:
    """Criterion: "ActionProposal Pydantic model with 9+ fields"."""
    named = {"id", "ticket_id", "action_name", "action_type", "parameters", "reason", "status"}
    assert named | {"proposed_at", "proposed_by"} <= set(ActionProposal.model_fields)
    assert all(field.description for field in ActionProposal.model_fields.values())


def test_12_action_record_model_with_7_plus_fields() -> None:
    """Criterion: "ActionRecord Pydantic model with 7+ fields"."""
    named = {"id", "proposal_id", "started_at", "completed_at", "success", "error_message"}
    assert named | {"result_data"} <= set(ActionRecord.model_fields)


def test_12_action_status_enum_with_6_states() -> None:
    """Criterion: "ActionStatus enum with 6 states"."""
    states = ["proposed", "validated", "executing", "completed", "failed", "cancelled"]
    assert [state.value for state in ActionStatus] == states
    assert issubclass(ActionStatus, str)


def test_12_action_type_enum_with_3_types() -> None:
    """Criterion: "ActionType enum with 3 types"."""
    assert [kind.value for kind in ActionType] == ["subject", "tool", "workflow"]


@pytest.mark.parametrize(
    "text",
    [
        "CREATE TABLE IF NOT EXISTS action_proposals",
        "idx_action_proposals_status ON action_proposals(status)",
        "idx_action_proposals_ticket ON action_proposals(ticket_id)",
        "CREATE TRIGGER IF NOT EXISTS action_proposals_updated_at",
    ],
)
def test_12_action_proposals_table_with_indexes(text: str) -> None:
    """Criterion: "action_proposals table with indexes"."""
    assert text in ACTIONS_SCHEMA_SQL
    assert text not in SCHEMA_SQL


def test_12_action_records_table_with_foreign_key_to_proposals() -> None:
    """Criterion: "action_records table with foreign key to proposals"."""
    assert "CREATE TABLE IF NOT EXISTS action_records" in ACTIONS_SCHEMA_SQL
    assert "FOREIGN KEY (proposal_id) REFERENCES action_proposals(id)" in ACTIONS_SCHEMA_SQL
    assert "idx_action_records_proposal ON action_records(proposal_id)" in ACTIONS_SCHEMA_SQL


def test_12_action_db_class_with_crud_operations() -> None:
    """Criterion: "ActionDB class with CRUD operations"."""
    for name in (
        "create_proposal",
        "get_proposal",
        "list_proposals",
        "update_proposal_status",
        "cancel_all_pending",
        "create_record",
        "update_record",
    ):
        assert inspect.iscoroutinefunction(getattr(ActionDB, name))


# --- phase 15-01: workflow, schedule and retry fields ----------------------------------------


async def test_15_01_action_proposal_can_reference_a_parent_workflow(tmp_path: Path) -> None:
    """Truth: "ActionProposal can reference a parent workflow"."""
    async with ActionDB(tmp_path / "l.db") as db:
        workflow_id = await db.create_workflow("w", "d", [proposal()])
        stored = await db.create_proposal(proposal(workflow_id=workflow_id, execution_order=1))
        assert stored.workflow_id == workflow_id


async def test_15_01_action_proposal_can_be_scheduled_for_future_execution(tmp_path: Path) -> None:
    """Truth: "ActionProposal can be scheduled for future execution"."""
    async with bench(tmp_path) as one:
        later = one.in_seconds(300)
        stored = await one.db.create_proposal(proposal(scheduled_at=later))
        assert stored.scheduled_at == later


async def test_15_01_action_proposal_tracks_retry_state(tmp_path: Path) -> None:
    """Truth: "ActionProposal tracks retry state"."""
    async with bench(tmp_path) as one:
        found = await one.get(await failed(one, retry_count=2, max_retries=5))
        assert (found.retry_count, found.max_retries, found.next_retry_at) == (2, 5, None)


def test_15_01_workflows_table_exists_for_grouping_actions() -> None:
    """Truth: "Workflows table exists for grouping actions"."""
    assert "CREATE TABLE IF NOT EXISTS workflows" in ACTIONS_SCHEMA_SQL


def test_15_01_action_proposal_has_8_new_fields() -> None:
    """Criterion: "ActionProposal has 8 new fields: workflow_id, execution_order, ..."."""
    assert set(ActionProposal.model_fields) >= NEW_FIELDS
    fresh = proposal()
    assert (fresh.execution_order, fresh.retry_count, fresh.max_retries) == (0, 0, 3)
    optional = NEW_FIELDS - {"execution_order", "retry_count", "max_retries"}
    assert {getattr(fresh, name) for name in optional} == {None}


def test_15_01_workflow_status_enum_has_5_states() -> None:
    """Criterion: "WorkflowStatus enum has 5 states: pending, in_progress, completed, ..."."""
    states = ["pending", "in_progress", "completed", "failed", "cancelled"]
    assert [state.value for state in WorkflowStatus] == states


def test_15_01_workflow_proposal_model_exists_with_its_fields() -> None:
    """Criterion: "WorkflowProposal model exists with id, name, description, ticket_id, ..."."""
    fresh = WorkflowProposal(name="w", description="d")
    assert (fresh.id, fresh.ticket_id, fresh.status) == (None, None, WorkflowStatus.PENDING)
    assert fresh.created_at.tzinfo is not None


@pytest.mark.parametrize(
    "text",
    [
        "CREATE TABLE IF NOT EXISTS workflows",
        (
            "idx_action_proposals_workflow\nON action_proposals(workflow_id) "
            "WHERE workflow_id IS NOT NULL"
        ),
        (
            "idx_action_proposals_scheduled\nON action_proposals(scheduled_at) "
            "WHERE scheduled_at IS NOT NULL"
        ),
        (
            "idx_action_proposals_retry\nON action_proposals(next_retry_at) "
            "WHERE next_retry_at IS NOT NULL"
        ),
        "CREATE TRIGGER IF NOT EXISTS workflows_updated_at",
    ],
)
def test_15_01_schema_includes_workflows_table_and_3_new_indexes(text: str) -> None:
    """Criterion: "ACTIONS_SCHEMA_SQL includes workflows table and 3 new indexes"."""
    assert text in ACTIONS_SCHEMA_SQL


async def test_15_01_row_to_proposal_parses_all_new_fields(tmp_path: Path) -> None:
    """Criterion: "_row_to_proposal correctly parses all new fields including datetime"."""
    async with bench(tmp_path) as one:
        first = await failed(one)
        workflow_id = await one.db.create_workflow("w", "d", [proposal()])
        given = proposal(
            workflow_id=workflow_id,
            execution_order=4,
            depends_on_proposal_id=first,
            scheduled_at=one.in_seconds(1.5),
            retry_count=2,
            max_retries=7,
            next_retry_at=one.in_seconds(2.25),
            last_error="no route",
        )
        stored = await one.db.create_proposal(given)
        assert stored.model_dump(include=NEW_FIELDS) == given.model_dump(include=NEW_FIELDS)


# --- phase 15-02: workflow, scheduling and retry methods -------------------------------------


async def test_15_02_create_workflow_creates_row_and_links_actions(tmp_path: Path) -> None:
    """Criterion 1: "create_workflow creates workflow row and links actions with ..."."""
    async with bench(tmp_path) as one:
        workflow_id = await one.db.create_workflow("w", "d", [proposal(), proposal("act_again")])
        steps = await one.db.list_workflow_actions(workflow_id)
        assert [step.workflow_id for step in steps] == [workflow_id] * 2
        assert [step.execution_order for step in steps] == [0, 1]


async def test_15_02_list_workflow_actions_returns_execution_order(tmp_path: Path) -> None:
    """Criterion 2: "list_workflow_actions returns actions for workflow in execution_order"."""
    async with bench(tmp_path) as one:
        names = [f"step{number}" for number in range(12)]
        workflow_id = await one.db.create_workflow("w", "d", [proposal(name) for name in names])
        await one.db.create_workflow("other", "d", [proposal("other")])
        found = await one.db.list_workflow_actions(workflow_id)
        assert [step.action_name for step in found] == names


async def test_15_02_get_workflow_returns_workflow_with_status(tmp_path: Path) -> None:
    """Criterion 3: "get_workflow returns WorkflowProposal with correct status"."""
    async with bench(tmp_path) as one:
        found = await one.db.get_workflow(await one.db.create_workflow("w", "d", [proposal()]))
        assert isinstance(found, WorkflowProposal)
        assert found.status is WorkflowStatus.PENDING
        assert await one.db.get_workflow(99) is None


async def test_15_02_update_workflow_status_changes_status(tmp_path: Path) -> None:
    """Criterion 4: "update_workflow_status changes workflow status"."""
    async with bench(tmp_path) as one:
        workflow_id = await one.db.create_workflow("w", "d", [proposal()])
        for status in (WorkflowStatus.IN_PROGRESS, WorkflowStatus.COMPLETED):
            await one.db.update_workflow_status(workflow_id, status)
            found = await one.db.get_workflow(workflow_id)
            assert found is not None
            assert found.status is status


async def test_15_02_list_ready_scheduled_returns_validated_due_approved(tmp_path: Path) -> None:
    """Criterion 5: "list_ready_scheduled returns validated+scheduled+approved ... <= now"."""
    async with bench(tmp_path) as one:
        validated = ActionStatus.VALIDATED
        due = {"scheduled_at": one.clock.now(), "approved_at": one.clock.now()}
        wanted = await one.db.create_proposal(proposal(status=validated, **due))
        for other in (
            {"status": ActionStatus.PROPOSED, **due},
            {"status": validated, "scheduled_at": one.clock.now()},
            {"status": validated, "approved_at": one.clock.now()},
            {"status": validated, **due, "scheduled_at": one.in_seconds(0.000001)},
        ):
            await one.db.create_proposal(proposal(**other))
        assert await one.db.list_ready_scheduled() == [wanted]


async def test_15_02_update_scheduled_at_sets_and_clears(tmp_path: Path) -> None:
    """Criterion 6: "update_scheduled_at sets/clears scheduled_at timestamp"."""
    async with bench(tmp_path) as one:
        stored = id_of(await one.db.create_proposal(proposal()))
        for when in (one.in_seconds(60), None):
            await one.db.update_scheduled_at(stored, when)
            assert (await one.get(stored)).scheduled_at == when


async def test_15_02_list_retry_eligible_returns_due_with_retries_left(tmp_path: Path) -> None:
    """Criterion 7: "... failed actions with retry_count < max_retries where next_retry_at ..."."""
    async with bench(tmp_path) as one:
        due = {"status": ActionStatus.FAILED, "next_retry_at": one.clock.now()}
        wanted = await one.db.create_proposal(proposal(**due, retry_count=2))
        for other in (
            {**due, "retry_count": 3},
            {**due, "next_retry_at": None},
            {**due, "next_retry_at": one.in_seconds(0.000001)},
            {**due, "status": ActionStatus.CANCELLED},
        ):
            await one.db.create_proposal(proposal(**other))
        assert await one.db.list_retry_eligible() == [wanted]


async def test_15_02_increment_retry_count_increases_and_records(tmp_path: Path) -> None:
    """Criterion 8: "increment_retry_count increases count and records error"."""
    async with bench(tmp_path) as one:
        stored = await failed(one, retry_count=1)
        await one.db.increment_retry_count(stored, "Second failure")
        found = await one.get(stored)
        assert (found.retry_count, found.last_error) == (2, "Second failure")


async def test_15_02_update_next_retry_sets_and_clears(tmp_path: Path) -> None:
    """Criterion 9: "update_next_retry sets/clears next_retry_at timestamp"."""
    async with bench(tmp_path) as one:
        stored = await failed(one)
        for when in (one.in_seconds(60), None):
            await one.db.update_next_retry(stored, when)
            assert (await one.get(stored)).next_retry_at == when


async def test_15_02_reset_for_retry_sets_validated_and_clears(tmp_path: Path) -> None:
    """Criterion 10: "reset_for_retry sets status back to validated and clears ..."."""
    async with bench(tmp_path) as one:
        stored = await failed(one)
        await one.db.update_next_retry(stored, one.clock.now())
        await one.db.reset_for_retry(stored)
        found = await one.get(stored)
        assert (found.status, found.next_retry_at) == (ActionStatus.VALIDATED, None)


async def test_15_02_all_methods_commit_changes(tmp_path: Path) -> None:
    """Verification 5: "All methods commit changes properly"."""
    async with bench(tmp_path) as one:
        workflow_id = await one.db.create_workflow("w", "d", [proposal()])
        stored = await failed(one)
        await one.db.increment_retry_count(stored, "why")
        await one.db.update_next_retry(stored, one.clock.now())
        await one.db.update_workflow_status(workflow_id, WorkflowStatus.IN_PROGRESS)
    async with ActionDB(tmp_path / "ledger.db") as again:
        kept = await again.get_proposal(stored)
        assert kept is not None
        assert (kept.retry_count, kept.last_error) == (1, "why")
        assert [one.status.value for one in await again.list_workflows()] == ["in_progress"]

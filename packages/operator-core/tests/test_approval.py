"""An approval covers exactly the calls that were there when it was given."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from engine_bench import bench, id_of, proposal
from operator_core.actions.approval import approved_steps, call_digest, covers
from operator_core.actions.types import ActionStatus
from operator_core.db.actions import ActionDB
from operator_core.errors import ApprovalRequiredError
from shelves import recommended, shelf_of, tidying

S = ActionStatus
ADDED = """
INSERT INTO action_proposals (workflow_id, action_name, parameters, reason, status, proposed_at,
                              execution_order, subject)
SELECT workflow_id, action_name, parameters, reason, 'validated', proposed_at, 7, subject
FROM action_proposals WHERE id = 1
"""
CHANGES = {
    "parameters": """UPDATE action_proposals SET parameters = '{"value": 8}' WHERE id = 1""",
    "action": "UPDATE action_proposals SET action_name = 'take' WHERE id = 1",
    "approved steps gone": "UPDATE workflows SET approved_steps = NULL",
    "approved steps empty": "UPDATE workflows SET approved_steps = '{}'",
}


def by_hand(folder: Path, statement: str) -> None:
    """Change the ledger past the engine, as a bug or another program would."""
    with closing(sqlite3.connect(folder / "ledger.db")) as file:
        file.execute(statement)
        file.commit()


def test_equal_calls_have_one_digest_and_others_another() -> None:
    assert call_digest("a", {"x": 1, "y": [2]}) == call_digest("a", {"y": [2], "x": 1})
    others: list[tuple[str, dict[str, object]]] = [
        ("b", {"x": 1}),
        ("a", {"x": 1.5}),
        ("a", {"x": "1"}),
        ("a", {}),
        ("a", {"x": True}),
    ]
    digests = {call_digest("a", {"x": 1}), *(call_digest(*other) for other in others)}
    assert len(digests) == len(others) + 1


def test_an_approval_covers_the_steps_it_was_given_for() -> None:
    step = proposal(id=4)
    approved = approved_steps([step])
    assert covers(approved, step)
    assert not covers(approved, step.model_copy(update={"id": 5}))
    assert not covers(approved, step.model_copy(update={"parameters": {"value": 2}}))
    assert not covers({}, step)
    assert not covers(None, step)


async def test_a_workflow_remembers_what_was_approved(tmp_path: Path) -> None:
    async with bench(tmp_path, approval_mode=True) as one:
        shelf_of(one)
        await tidying(one, ("put", 1), ("put", 2))
        (workflow,) = await one.db.list_workflows()
        assert workflow.approved_steps == {
            "1": call_digest("put", {"value": 1}),
            "2": call_digest("put", {"value": 2}),
        }


async def test_a_step_that_was_added_later_is_refused(tmp_path: Path) -> None:
    async with bench(tmp_path, approval_mode=True) as one:
        shelf = shelf_of(one)
        await tidying(one, ("put", 1), ("put", 2))
        by_hand(tmp_path, ADDED)
        assert [step.id for step in await one.db.list_ready()] == [1]
        with pytest.raises(ApprovalRequiredError, match="added or changed"):
            await one.run(3)
        await one.db.approve_proposal(3, approved_by="bob")
        assert [step.id for step in await one.db.list_ready()] == [1, 3]
        await one.run(3)
        assert shelf.done == [("put", 1)]


@pytest.mark.parametrize("change", CHANGES)
async def test_a_step_that_was_changed_since_is_refused(tmp_path: Path, change: str) -> None:
    async with bench(tmp_path, approval_mode=True) as one:
        shelf = shelf_of(one)
        await tidying(one, ("put", 1), ("put", 2))
        by_hand(tmp_path, CHANGES[change])
        with pytest.raises(ApprovalRequiredError):
            await one.run(1)
        kept = await one.get(1)
        assert (kept.status, kept.retry_count, shelf.done) == (S.VALIDATED, 0, [])


@pytest.mark.parametrize("changed", [True, False])
async def test_an_approval_before_validation_holds_for_the_same_arguments_only(
    tmp_path: Path, changed: bool
) -> None:
    async with bench(tmp_path, approval_mode=True) as one:
        shelf = shelf_of(one)
        executor = one.executor()
        target = id_of(await executor.propose_action(recommended("put", 1)))
        await one.db.approve_proposal(target, approved_by="alice")
        if changed:
            shelf.default = 5
        await one.executor().validate_proposal(target)
        kept = await one.get(target)
        assert kept.approved_by == (None if changed else "alice")
        assert ("approval_voided" in await one.events(target)) is changed
        ready = await ActionDB(one.ledger).list_ready()
        assert len(ready) == (0 if changed else 1)

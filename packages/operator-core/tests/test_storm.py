"""The judge of a storm finds what is wrong, and a short storm over each engine finds nothing."""

from argparse import Namespace
from pathlib import Path

import pytest

from operator_core.actions.types import (
    ActionProposal,
    ActionStatus,
    WorkflowProposal,
    WorkflowStatus,
)
from operator_core.testing.storm.__main__ import ENGINES, storm
from operator_core.testing.storm.judge import End, counts, faults
from operator_core.testing.storm.terms import Effect, SetClock
from operator_core.testing.storm.weather import Stillness
from operator_core.testing.storm.worker import BLIND, REPEATABLE, TOLD, UNDO

S = ActionStatus


def ended(status: ActionStatus, action: str = TOLD, **more: object) -> ActionProposal:
    """Return a proposal of item 7 as it stands at the end."""
    return ActionProposal.model_validate(
        {
            "id": 1,
            "action_name": action,
            "parameters": {"item": 7},
            "reason": "storm",
            "proposed_at": "2026-01-01T00:00:00Z",
            "status": status,
            **more,
        }
    )


def effects(*at_seconds: float, action: str = TOLD, item: int = 7) -> list[Effect]:
    """Return effects of one item, by a process each."""
    return [
        Effect(action, item, f"key:{pid}", pid, at) for pid, at in enumerate(at_seconds, start=1)
    ]


def assert_found(end: End, what: str | None) -> None:
    """Assert that this is wrong and nothing else; None: nothing is."""
    found = list(faults(end))
    assert [text for text in found if what is None or what not in text] == []
    assert bool(found) == (what is not None)


@pytest.mark.parametrize(
    ("end", "what"),
    [
        (End([ended(S.COMPLETED)], effects(1)), None),
        (End([ended(S.COMPLETED)], []), "never happened"),
        (End([ended(S.COMPLETED)], effects(1, 2)), "happened 2 times"),
        (End([ended(S.COMPLETED, REPEATABLE)], effects(1, 2, action=REPEATABLE)), None),
        (End([ended(S.FAILED)], []), None),
        (End([ended(S.FAILED)], effects(1)), "surely did not"),
        (End([ended(S.FAILED, REPEATABLE)], effects(1, action=REPEATABLE)), "surely did not"),
        (End([ended(S.CANCELLED)], effects(1)), "surely did not"),
        (End([ended(S.EXECUTING, BLIND, in_doubt=True)], effects(1, action=BLIND)), None),
        (End([ended(S.EXECUTING, in_doubt=True)], effects(1, 2)), "happened 2 times"),
        (End([ended(S.EXECUTING)], []), "neither settled nor in doubt"),
        (End([ended(S.PROPOSED)], []), "neither settled nor in doubt"),
        (End([], effects(1)), "the ledger knows nothing of it"),
        (End([], [], broken_audit={"id": 3}), "audit chain is broken"),
        (End([], [], settled=False), "did not bring all to its end"),
    ],
)
def test_what_is_wrong_is_found(end: End, what: str | None) -> None:
    assert_found(end, what)


@pytest.mark.parametrize(
    ("stillness", "excused"),
    [
        (Stillness(2, 5.0, 9.95), True),
        (Stillness(1, 5.0, 9.95), False),  # another process
        (Stillness(2, 9.2, 9.95), False),  # shorter than a lease
        (Stillness(2, 5.0, 9.0), False),  # it had long woken
        (Stillness(2, 5.0, 10.5), False),  # it still slept
    ],
)
@pytest.mark.parametrize("status", [S.COMPLETED, S.CANCELLED])
def test_only_a_request_that_left_late_may_come_twice_or_after_its_end(
    stillness: Stillness, excused: bool, status: ActionStatus
) -> None:
    first = effects(6.0) if status is S.COMPLETED else []
    late = [Effect(TOLD, 7, "key:2", 2, 10.0)]
    end = End([ended(status)], [*first, *late], stood_still=[stillness], lease_seconds=1.0)
    assert (list(faults(end)) == []) == excused


def steps(*statuses: ActionStatus, in_doubt: bool = False) -> list[ActionProposal]:
    """Return the steps of workflow 5, of items 1, 2 and so on."""
    return [
        ended(
            status,
            id=n,
            parameters={"item": n},
            workflow_id=5,
            execution_order=n - 1,
            in_doubt=in_doubt,
        )
        for n, status in enumerate(statuses, start=1)
    ]


DONE = steps(S.COMPLETED, S.COMPLETED)


@pytest.mark.parametrize(
    ("status", "proposals", "happened", "what"),
    [
        ("completed", DONE, (1.0, 2.0), None),
        ("completed", DONE, (2.0, 1.0), "which it comes after"),
        ("cancelled", steps(S.CANCELLED, S.COMPLETED), (None, 2.0), "which it comes after"),
        ("in_progress", DONE, (1.0, 2.0), "has not ended"),
        ("in_progress", steps(S.EXECUTING, S.VALIDATED, in_doubt=True), (1.0, None), None),
    ],
)
def test_steps_come_in_order_and_to_their_end(
    status: str,
    proposals: list[ActionProposal],
    happened: tuple[float | None, ...],
    what: str | None,
) -> None:
    workflow = WorkflowProposal(id=5, name="w", description="d", status=WorkflowStatus(status))
    seen = [
        Effect(TOLD, item, f"key:{item}", 1, at)
        for item, at in enumerate(happened, start=1)
        if at is not None
    ]
    assert_found(End(proposals, seen, [workflow]), what)


def undone(*step_ids: int) -> list[ActionProposal]:
    """Return two steps that are done, and what undoes steps of these ids, in this order."""
    undoings = [
        ended(
            S.COMPLETED,
            UNDO,
            id=10 + n,
            parameters={"item": step_id},
            workflow_id=5,
            execution_order=2 + n,
            compensates_proposal_id=step_id,
        )
        for n, step_id in enumerate(step_ids)
    ]
    return [*DONE, *undoings]


@pytest.mark.parametrize(
    ("step_ids", "happened", "what"),
    [
        ((2, 1), ((UNDO, 2, 3.0), (UNDO, 1, 4.0)), None),
        ((2, 1), ((UNDO, 2, 4.0), (UNDO, 1, 3.0)), "which it comes after"),
        ((2,), ((UNDO, 2, 1.5),), "which it comes after"),
        ((1, 2), ((UNDO, 1, 3.0), (UNDO, 2, 4.0)), "is not undone from its end on"),
        ((2,), (), "never happened"),
        ((2,), ((UNDO, 2, 3.0), (UNDO, 2, 4.0)), "happened 2 times"),
    ],
)
def test_steps_are_undone_from_the_end_on(
    step_ids: tuple[int, ...], happened: tuple[tuple[str, int, float], ...], what: str | None
) -> None:
    workflow = WorkflowProposal(id=5, name="w", description="d", status=WorkflowStatus.FAILED)
    done = [Effect(TOLD, item, f"key:{item}", 1, float(item)) for item in (1, 2)]
    back = [Effect(action, item, f"{action}:{item}", 1, at) for action, item, at in happened]
    assert_found(End(undone(*step_ids), [*done, *back], [workflow]), what)


def test_effects_are_counted() -> None:
    doubt = ended(S.EXECUTING, BLIND, in_doubt=True, id=2, parameters={"item": 8})
    never = ended(S.FAILED, id=3, parameters={"item": 9})
    assert counts(End([ended(S.COMPLETED), doubt, never], effects(1))) == {
        "once": 1,
        "in doubt": 1,
        "none": 1,
    }


def test_the_time_of_day_is_set_for_all(tmp_path: Path) -> None:
    one, two = (SetClock(tmp_path / "clock") for _ in range(2))
    before = two.now()
    one.set_ahead(3600.0)
    assert 3590 < (two.now() - before).total_seconds() < 3610


@pytest.mark.real
@pytest.mark.timeout(180)
@pytest.mark.parametrize("engine", ENGINES)
def test_a_short_storm_leaves_nothing_wrong(engine: str, tmp_path: Path) -> None:
    chosen = Namespace(seconds=5.0, seed=1, strike=None, keep=tmp_path)
    assert storm(engine, chosen) == []

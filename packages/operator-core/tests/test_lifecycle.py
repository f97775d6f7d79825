"""Every state and event of the three machines: what is not written here is refused."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from itertools import product
from typing import TypeVar

import pytest

from operator_core.actions.lifecycle import (
    ACTION_MACHINE,
    WORKFLOW_MACHINE,
    ActionEvent,
    WorkflowEvent,
)
from operator_core.actions.types import ActionStatus, WorkflowStatus
from operator_core.errors import ConflictError, TransitionError
from operator_core.lifecycle import Machine
from operator_core.monitor.lifecycle import TICKET_MACHINE, TicketEvent
from operator_core.monitor.types import TicketStatus

# Written out a second time on purpose: a table that is changed by mistake fails here.
ACTIONS = """
    proposed   validate  validated
    proposed   cancel    cancelled
    validated  cancel    cancelled
    validated  claim     executing
    validated  doubt     executing
    executing  complete  completed
    executing  fail      failed
    executing  abort     cancelled
    failed     retry     validated
"""
WORKFLOWS = """
    pending      start     in_progress
    pending      complete  completed
    pending      fail      failed
    pending      cancel    cancelled
    in_progress  complete  completed
    in_progress  fail      failed
    in_progress  cancel    cancelled
"""
TICKETS = """
    open          acknowledge  acknowledged
    open          diagnose     diagnosed
    acknowledged  diagnose     diagnosed
    diagnosed     diagnose     diagnosed
    open          resolve      resolved
    acknowledged  resolve      resolved
    diagnosed     resolve      resolved
    resolved      reopen       open
    diagnosed     stand_alone  open
"""


State = TypeVar("State", bound=StrEnum)
Event = TypeVar("Event", bound=StrEnum)


@dataclass(frozen=True)
class Case:
    """One question: what follows a state after an event? None: it is refused."""

    ask: Callable[[], StrEnum]
    name: str
    follows: str | None


def cases(
    machine: Machine[State, Event], states: type[State], events: type[Event], table: str
) -> list[Case]:
    """Return a case for every pair of state and event."""
    rows = [line.split() for line in table.strip().splitlines()]
    follows = {(state, event): after for state, event, after in rows}
    assert len(follows) == len(machine.table)
    return [
        Case(
            partial(machine.after, state, event),
            f"{machine.name} {state} {event}",
            follows.get((state.value, event.value)),
        )
        for state, event in product(states, events)
    ]


CASES = [
    *cases(ACTION_MACHINE, ActionStatus, ActionEvent, ACTIONS),
    *cases(WORKFLOW_MACHINE, WorkflowStatus, WorkflowEvent, WORKFLOWS),
    *cases(TICKET_MACHINE, TicketStatus, TicketEvent, TICKETS),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_pair_of_state_and_event(case: Case) -> None:
    if case.follows is not None:
        assert case.ask().value == case.follows
    else:
        with pytest.raises(TransitionError):
            case.ask()


def test_there_are_six_states_of_an_action_and_five_of_a_workflow() -> None:
    assert [one.value for one in ActionStatus] == [
        "proposed",
        "validated",
        "executing",
        "completed",
        "failed",
        "cancelled",
    ]
    assert len(WorkflowStatus) == 5


def test_only_a_claim_leads_into_executing_or_the_doubt_about_an_earlier_one() -> None:
    into = [event for (_, event), after in ACTION_MACHINE.table.items() if after == "executing"]
    assert into == [ActionEvent.CLAIM, ActionEvent.DOUBT]
    assert ACTION_MACHINE.sources(ActionEvent.CLAIM) == {ActionStatus.VALIDATED}


def test_pitfall_22_only_a_failed_action_is_retried() -> None:
    assert ACTION_MACHINE.sources(ActionEvent.RETRY) == {ActionStatus.FAILED}


def test_what_has_ended_well_accepts_nothing() -> None:
    for status in (ActionStatus.COMPLETED, ActionStatus.CANCELLED):
        assert ACTION_MACHINE.events_of(status) == []
    for ended in (WorkflowStatus.COMPLETED, WorkflowStatus.FAILED, WorkflowStatus.CANCELLED):
        assert WORKFLOW_MACHINE.events_of(ended) == []


def test_pitfall_28_a_resolved_ticket_is_not_diagnosed_back_to_life() -> None:
    assert TICKET_MACHINE.events_of(TicketStatus.RESOLVED) == ["reopen"]


def test_a_refusal_says_what_is_possible() -> None:
    with pytest.raises(
        ConflictError, match=r"A proposal that is proposed cannot claim. Possible: validate, cancel"
    ):
        ACTION_MACHINE.after(ActionStatus.PROPOSED, ActionEvent.CLAIM)
    with pytest.raises(TransitionError, match="nothing, it has ended"):
        ACTION_MACHINE.after(ActionStatus.COMPLETED, ActionEvent.RETRY)


def test_the_diagram_shows_every_transition() -> None:
    lines = TICKET_MACHINE.diagram().splitlines()
    assert lines[0] == "stateDiagram-v2"
    assert "    resolved --> open: reopen" in lines
    assert len(lines) == 1 + len(TICKET_MACHINE.table)

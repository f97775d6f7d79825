"""What the model of the engine is made of: proposals, workflows, and the moods of a subject."""

from dataclasses import dataclass
from enum import StrEnum

from operator_core.actions.types import ActionStatus, WorkflowStatus

S, W = ActionStatus, WorkflowStatus
WAITS = (S.PROPOSED, S.VALIDATED)
LIVE = (W.PENDING, W.IN_PROGRESS)

TRIES = 3
LEASE_SECONDS = 30
WAIT_SECONDS = 60
HOUR_SECONDS = 3_600

IDEMPOTENT, DISRUPTIVE, TOOLS = {"sweep"}, {"shake"}, {"wait"}
INVERSE = {"put": "take"}
"""What undoes an action."""
ACTIONS = ("put", "look", "sweep", "shake", "wait")


class Mood(StrEnum):
    """How the subject takes a call."""

    SUCCEED = "succeed"
    FAIL = "fail"
    REFUSE = "refuse"
    LOST_BEFORE = "lost before the effect"
    LOST_AFTER = "lost after the effect"


@dataclass
class Item:
    """A proposal.

    Attributes:
        acted: whether the present key had its effect, which is what a true probe says.
        again_at: when it is to be sent again, where it waits for that.
        resent: whether the present attempt is not the first one with its key.
        flow: its workflow, by index; so are ``after`` and ``undoes`` among the items.
    """

    action: str
    status: ActionStatus = S.PROPOSED
    approved: bool = False
    failures: int = 0
    retry_at: int | None = None
    scheduled_at: int | None = None
    lease_until: int = 0
    doubt: bool = False
    asked_to_stop: bool = False
    acted: bool = False
    again_at: int | None = None
    resent: bool = False
    effects: int = 0
    flow: int | None = None
    after: int | None = None
    undoes: int | None = None


@dataclass
class Flow:
    """A workflow; ``covered`` are the items that its approval was given for."""

    status: WorkflowStatus = W.PENDING
    covered: frozenset[int] | None = None
    paused: bool = False
    undo_due: bool = False

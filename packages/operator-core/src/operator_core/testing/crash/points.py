"""The crash points by name, and what can happen at one; pure.

A crash point is a boundary of an operation: before it is done, or after it is done and before
who asked for it hears of it. Operations are the effect and the probe on the system behind the
subject, and each transaction, named by the statement that is its purpose.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

EFFECT = "subject.effect"
PROBE = "subject.probe"
STOPPED = "proposal.abort"


class Side(StrEnum):
    """On which side of an operation something happens."""

    BEFORE = "before"
    """For a transaction: at the statement or some statements later, before the commit."""
    AFTER = "after"
    """It is done, and who asked for it has not heard of it."""


class Fault(StrEnum):
    """What happens at a crash point."""

    KILL = "SIGKILL"
    STOP = "SIGSTOP"
    """The process stands still until its leases have ended, and then goes on."""
    LOST = "lost"
    """The answer is lost: before the operation it never arrives, and the ledger stays away for a
    moment; after it only the answer is lost."""
    LATE = "late"
    """The answer is lost and the request is under way still: it arrives after all leases."""


class World(StrEnum):
    """What the system behind the subject can do against a second effect."""

    KEYS = "keys"
    """It honours idempotency keys, and a probe by key tells the truth."""
    LOOK = "look"
    """It knows no keys; a probe sees whether the effect is there, and takes that for certain."""
    BLIND = "blind"
    """It knows no keys; a probe that sees no effect cannot say that none is under way."""


OPERATIONS = {
    "proposal.insert": 1,
    "proposal.insert_claimed": 2,
    "workflow.insert": 1,
    "proposal.validate": 4,
    "schedule.advance": 1,
    "proposal.claim": 3,
    "proposal.renew_lease": 1,
    "proposal.complete": 3,
    "proposal.fail": 1,
    STOPPED: 1,
    "proposal.retry": 1,
    "proposal.mark_in_doubt": 1,
    "proposal.await_resend": 2,
    "proposal.resend": 1,
    "proposal.take_over": 2,
    "proposal.expire_leases": 1,
    "effect.insert": 1,
    "effect.applied": 1,
    "effect.doubt": 1,
    "effect.end": 1,
    "effect.set_undo": 1,
    EFFECT: 8,
    PROBE: 3,
}
"""Each operation, and in how many transactions at least it takes place in a run without a fault.

Claims that come together are one.
"""


@dataclass(frozen=True, order=True)
class CrashPoint:
    """A place where something happens."""

    operation: str
    side: Side

    def __str__(self) -> str:
        """Return its name."""
        return f"{self.operation} {self.side.value}"


@dataclass(frozen=True, order=True)
class Blow:
    """A crash point and what happens there."""

    point: CrashPoint
    fault: Fault

    def __str__(self) -> str:
        """Return its name."""
        return f"{self.point} {self.fault.value}"


EVERYWHERE = (Fault.KILL, Fault.STOP, Fault.LOST)
"""What can happen at every crash point; only a request can be late."""


def points() -> Iterator[CrashPoint]:
    """Yield every crash point."""
    for operation in OPERATIONS:
        for side in Side:
            yield CrashPoint(operation, side)


def blows() -> Iterator[Blow]:
    """Yield everything that can happen everywhere."""
    for point in points():
        for fault in EVERYWHERE:
            yield Blow(point, fault)
    yield Blow(CrashPoint(EFFECT, Side.BEFORE), Fault.LATE)


def is_out_of_reach(blow: Blow, world: World) -> bool:
    """Return whether no engine can keep the effect to one here, or never comes by.

    The request leaves, or arrives, after others have looked for its effect, in a world that
    neither honours keys nor warns that something may be under way. And nothing ends as surely
    stopped in a world where no probe can say so.
    """
    if blow.point.operation == STOPPED:
        return world is World.BLIND
    late = blow.fault in (Fault.STOP, Fault.LATE)
    return world is World.LOOK and late and blow.point == CrashPoint(EFFECT, Side.BEFORE)

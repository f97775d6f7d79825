"""What a replay is made of: a decision as it was and as it is made now; pure."""

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from operator_core.actions.policy import LoadedPolicy
from operator_core.runtime.incident.archive import canonical
from operator_core.subject import FullSubject


@dataclass(frozen=True)
class Replayed:
    """One decision, as it was and as it is made now.

    Attributes:
        at: when it was made.
        stage: which stage made it.
        what: about what.
        recorded: what was decided, as canonical JSON.
        now: what is decided now.
    """

    at: datetime
    stage: str
    what: str
    recorded: str
    now: str

    @property
    def is_same(self) -> bool:
        """Whether it is decided the same way, to the byte."""
        return self.recorded == self.now

    @property
    def first_difference(self) -> str:
        """Where the two part, for people."""
        if self.is_same:
            return ""
        pairs = enumerate(zip(self.recorded, self.now, strict=False))
        place = next((i for i, (a, b) in pairs if a != b), min(len(self.recorded), len(self.now)))
        begin = max(0, place - 30)
        return f"{self.recorded[begin : place + 60]} → {self.now[begin : place + 60]}"


class Means(NamedTuple):
    """What decisions are made with.

    Attributes:
        subject: the plugin's subject, for its rules, causes and actions; never reached for.
        policy: instead of the recorded ones, if any.
        until: nothing later is replayed.
    """

    subject: FullSubject
    policy: LoadedPolicy | None = None
    until: datetime | None = None


def replayed(at: datetime, stage: str, what: str, recorded: object, now: object) -> Replayed:
    """Return a decision with both of its answers as canonical JSON."""
    return Replayed(at, stage, what, canonical(recorded).decode(), canonical(now).decode())

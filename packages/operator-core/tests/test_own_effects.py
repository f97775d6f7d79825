"""What Operator itself did on purpose is no incident, for a while."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from operator_core.actions.types import ActionDefinition, ActionProposal, ActionStatus
from operator_core.db.actions import ActionDB
from operator_core.db.ledger import Ledger
from operator_core.db.sharing import LedgerUse
from operator_core.monitor.tickets import MonitorStage
from operator_core.monitor.types import Invariant, Observation, OwnEffect, Part, Violation
from operator_core.subject import SubjectDefaults

HOUR = 3600.0


@dataclass
class Clock:
    """A clock that the test moves."""

    moment: datetime = field(default_factory=lambda: datetime(2026, 3, 1, tzinfo=UTC))

    def now(self) -> datetime:
        return self.moment

    async def sleep(self, seconds: float) -> None:
        self.moment += timedelta(seconds=seconds)


def drained(_: Observation) -> list[Violation]:
    effect = OwnEffect(action_name="drain", parameters={"store": 4}, within_seconds=HOUR)
    return [
        Violation(invariant="drained", target="store-4", message="no leaders", meant_after=effect)
    ]


@dataclass
class Drained(SubjectDefaults):
    """A cluster with a drained store."""

    name: str = "prod"
    clock: Clock = field(default_factory=Clock)

    async def observe(self) -> Observation:
        part = Part(source="memory", observed_at=self.clock.now())
        return Observation(observed_at=self.clock.now(), parts={"stores": part})

    def get_action_definitions(self) -> list[ActionDefinition]:
        return []

    def invariants(self) -> Sequence[Invariant]:
        return [Invariant("drained", "", drained, needs=("stores",))]


async def tickets_after(path: Path, proposal: dict[str, Any], seconds: float) -> int:
    """How many tickets a look opens, so long after a proposal that was made."""
    subject = Drained()
    async with LedgerUse(path, subject.clock) as ledger:
        await _store(ledger, proposal)
        await subject.clock.sleep(seconds)
        look = await MonitorStage(ledger, subject, clock=subject.clock).step()
    return len(look.tickets)


async def _store(ledger: Ledger, proposal: dict[str, Any]) -> None:
    fields = {
        "action_name": "drain",
        "parameters": {"store": 4},
        "reason": "maintenance",
        "subject": "prod",
        "status": ActionStatus.COMPLETED,
        **proposal,
    }
    await ActionDB(ledger).create_proposal(ActionProposal(**fields))


@pytest.mark.parametrize(
    ("proposal", "seconds", "tickets"),
    [
        ({}, 60, 0),
        ({}, HOUR + 1, 1),
        ({"parameters": {"store": 5}}, 60, 1),
        ({"action_name": "other"}, 60, 1),
        ({"subject": "staging"}, 60, 1),
        ({"status": ActionStatus.FAILED}, 60, 1),
        ({"status": ActionStatus.PROPOSED}, 60, 1),
    ],
)
async def test_only_what_operator_itself_did_of_late_is_meant(
    tmp_path: Path, proposal: dict[str, Any], seconds: float, tickets: int
) -> None:
    assert await tickets_after(tmp_path / "o.db", proposal, seconds) == tickets

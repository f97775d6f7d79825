"""Diagnoses in the ledger: what is stored was evaluated, whoever said it."""

from datetime import timedelta
from pathlib import Path

import pytest

from operator_core.agent.diagnosis import Predicate
from operator_core.db.tickets import TicketDB
from operator_core.monitor.types import Violation
from operator_core.testing.clock import ManualClock
from test_support import FALSE, LOOKS, NOW, TRUE, claim, diagnosis


async def test_there_is_no_way_to_store_a_false_claim(tmp_path: Path) -> None:
    async with TicketDB(
        tmp_path / "ledger.db", clock=ManualClock(NOW + timedelta(seconds=1))
    ) as db:
        ids = [await db.record_look(one, {}, subject=str(one.subject)) for one in LOOKS.values()]
        assert ids == [1, 2, 3, 4]
        await db.report(Violation(invariant="full", target="s", message="m"), subject="a")
        await db.add_diagnosis(diagnosis(*TRUE, *FALSE, ticket_id=1, observation_id=1))
        (stored,) = await db.list_diagnoses(1)
    assert stored.evidence == TRUE
    assert len(stored.struck) == len(FALSE)
    assert stored.confidence == len(TRUE) / (len(TRUE) + len(FALSE))


@pytest.mark.parametrize("subject", [None, "b"])
async def test_a_diagnosis_is_of_its_tickets_cluster(tmp_path: Path, subject: str | None) -> None:
    """Whoever names no cluster, or another, gets no claims in that hold elsewhere."""
    elsewhere = claim("state/v", Predicate.EQ, "Down", at=3)
    async with TicketDB(
        tmp_path / "ledger.db", clock=ManualClock(NOW + timedelta(seconds=1))
    ) as db:
        for one in LOOKS.values():
            await db.record_look(one, {}, subject=str(one.subject))
        await db.report(Violation(invariant="full", target="s", message="m"), subject="a")
        said = diagnosis(elsewhere, TRUE[0], ticket_id=1, observation_id=1, subject=subject)
        stored = await db.add_diagnosis(said)
    assert (stored.subject, stored.evidence) == ("a", [TRUE[0]])
    assert [one.claim for one in stored.struck] == [elsewhere]

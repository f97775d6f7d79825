"""Diagnoses in the ledger: what is stored was evaluated, whoever said it."""

from pathlib import Path

from operator_core.db.tickets import TicketDB
from operator_core.monitor.types import Violation
from test_support import FALSE, LOOKS, TRUE, diagnosis


async def test_there_is_no_way_to_store_a_false_claim(tmp_path: Path) -> None:
    async with TicketDB(tmp_path / "ledger.db") as db:
        ids = [await db.record_look(one, {}, subject=str(one.subject)) for one in LOOKS.values()]
        assert ids == [1, 2, 3]
        await db.report(Violation(invariant="full", target="s", message="m"), subject="a")
        await db.add_diagnosis(diagnosis(*TRUE, *FALSE, ticket_id=1, observation_id=1))
        (stored,) = await db.list_diagnoses(1)
    assert stored.evidence == TRUE
    assert len(stored.struck) == len(FALSE)
    assert stored.confidence == len(TRUE) / (len(TRUE) + len(FALSE))

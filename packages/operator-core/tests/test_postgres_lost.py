"""A server that lacks what it had acknowledged: its ledger begins anew (ADR 69)."""

import asyncio

import psycopg
import pytest

from engine_bench import proposal
from operator_core.actions.types import ActionStatus
from operator_core.clock import utc_now
from operator_core.db.actions import ActionDB
from operator_core.db.control import ControlDB
from operator_core.db.ledger import Ledger, open_ledger
from operator_core.db.postgres import writer
from operator_core.errors import LedgerGoneError
from operator_core.types import RunMode

pytestmark = pytest.mark.real

_TAKE_OVER = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND application_name LIKE 'operator %'
"""
"""What sessions see of another server's taking over."""


def told(url: str, *statements: str) -> None:
    """Run statements on a database, as its administrator does."""
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


async def working(url: str) -> Ledger:
    """Open a ledger that acts and has approved work."""
    ledger = await open_ledger(url)
    await ControlDB(ledger).set_mode(RunMode.EXECUTE, actor="ann")
    approved = {"approved_at": utc_now(), "approved_by": "ann"}
    await ActionDB(ledger).create_proposal(proposal(status=ActionStatus.VALIDATED, **approved))
    return ledger


async def act(ledger: Ledger) -> None:
    """Write with each writer, so that the one that has seen more is among them."""
    for _ in range(4):
        await asyncio.gather(
            *(ActionDB(ledger).create_proposal(proposal()) for _ in range(4)),
        )


@pytest.mark.parametrize(
    "lost", ["UPDATE operator.commit_marks SET number = 0", "DELETE FROM operator.commit_marks"]
)
async def test_a_server_that_lacks_what_it_acknowledged_begins_anew(
    empty_database: str, lost: str
) -> None:
    """What it had lost was done again, under the same keys, and nobody was told."""
    one, other = await working(empty_database), await open_ledger(empty_database)
    try:
        await act(one)
        told(empty_database, lost, _TAKE_OVER)
        found = await asyncio.gather(*(act(one) for _ in range(4)), return_exceptions=True)
        assert all(isinstance(error, LedgerGoneError) for error in found)
        assert any("lacks what it had acknowledged" in str(error) for error in found)
        with pytest.raises(LedgerGoneError):
            await act(one)
        with pytest.raises(LedgerGoneError):  # it has seen nothing that is missing
            await ActionDB(other).list_proposals()
    finally:
        await one.engine.close()
        await other.engine.close()
    async with ActionDB(empty_database) as db:
        control = ControlDB(db.ledger)
        assert db.ledger.ledger_id != one.ledger_id
        assert (await control.safety_state()).mode is RunMode.OBSERVE
        assert all(waiting.held for waiting in await db.list_proposals())
        assert len(await control.list_events(event_type="ledger_restored")) == 1
        assert await control.first_broken_audit_row() is None


async def test_a_server_that_has_all_that_it_acknowledged_goes_on(
    empty_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So does one whose marks were tidied up, as they are once they are old."""
    ledger = await working(empty_database)
    try:
        await act(ledger)
        told(empty_database, _TAKE_OVER)
        await act(ledger)
        monkeypatch.setattr(writer, "MARK_STAYS_SECONDS", -1.0)
        told(empty_database, "DELETE FROM operator.commit_marks", _TAKE_OVER)
        await act(ledger)
        assert (await ControlDB(ledger).safety_state()).mode is RunMode.EXECUTE
    finally:
        await ledger.engine.close()

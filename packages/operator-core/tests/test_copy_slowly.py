"""Moving or upgrading a whole ledger takes its time, whatever limits a server sets."""

from pathlib import Path

import pytest

from engine_bench import bench
from operator_core.clock import block
from operator_core.db.copy import move_ledger
from operator_core.db.postgres import connection as connecting
from operator_core.db.postgres.connection import Address, unhurried

pytestmark = pytest.mark.real

LIMITS = ("statement_timeout", "idle_in_transaction_session_timeout")


async def test_a_copy_may_pause_between_two_tables(
    tmp_path: Path, empty_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To count a large table takes SQLite longer than a session may stand idle."""
    monkeypatch.setitem(connecting._SETTINGS, LIMITS[1], "50ms")
    async with bench(tmp_path) as one:
        await one.run(await one.validated())
    pauses = iter([0.2])
    report = await move_ledger(
        tmp_path / "ledger.db",
        empty_database,
        actor="ann",
        tell=lambda *_: block(next(pauses, 0.0)),
    )
    assert report.rows["action_proposals"] == 1


def test_limits_of_the_server_are_lifted_for_one_connection(
    empty_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(connecting._SETTINGS, LIMITS[0], "9s")
    with Address(empty_database).connect("slow") as slow, Address(empty_database).connect("x") as x:
        unhurried(slow)
        told = [
            [one.execute(f"SHOW {name}".encode()).fetchall() for name in LIMITS]
            for one in (slow, x)
        ]
    assert told == [[[("0",)], [("0",)]], [[("9s",)], [("3s",)]]]

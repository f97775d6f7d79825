"""Columns that seldom say anything are read as one, and the rows are as they stand."""

import pytest

from engine_bench import proposal
from operator_core.db.actions import ActionDB
from operator_core.db.engine import Row, Tx
from operator_core.db.ledger import Ledger, scratch_ledger
from operator_core.db.sqlite.seldom import OFTEN, SELDOM, TOLD
from operator_core.db.sqlite.statement import named_statements
from operator_core.testing.clock import LeapingClock

FLAGS = ("in_doubt", "held", "failure_counted", "compensates_proposal_id")
NUMBERS = {"retry_count": 2, "fence": 7, "effect": 3, "schedule_id": 4}
SAID = dict.fromkeys(SELDOM, 'late\u00e9 "x"') | dict.fromkeys(FLAGS, 1) | NUMBERS


async def stored(ledger: Ledger) -> int:
    return int((await ActionDB(ledger).create_proposal(proposal())).id or 0)


def as_it_stands(tx: Tx, row_id: int) -> Row:
    connection = tx._cursor.connection  # type: ignore[attr-defined]  # SQLite's alone
    text = "SELECT * FROM action_proposals WHERE id = ?"
    return dict(connection.execute(text, (row_id,)).fetchone())


def say(tx: Tx, row_id: int, column: str) -> None:
    connection = tx._cursor.connection  # type: ignore[attr-defined]  # SQLite's alone
    text = f"UPDATE action_proposals SET {column} = ? WHERE id = ?"  # noqa: S608 - a name of ours
    connection.execute(text, (SAID[column], row_id))


async def test_a_proposal_that_has_just_begun_says_nothing_in_them() -> None:
    async with scratch_ledger(LeapingClock()) as ledger:
        row_id = await stored(ledger)
        row = await ledger.read(lambda tx: as_it_stands(tx, row_id))
        found = await ledger.read(lambda tx: tx.one("proposal.get", id=row_id))
    assert found == row
    assert set(row) == {*OFTEN, *SELDOM}, "a new column needs a place in one of the two"
    assert {name: row[name] for name in SELDOM} == SELDOM


@pytest.mark.parametrize("column", SELDOM)
async def test_what_one_of_them_says_is_read(column: str) -> None:
    def work(tx: Tx) -> tuple[Row, Row | None]:
        say(tx, row_id, column)
        return as_it_stands(tx, row_id), tx.one("proposal.get", id=row_id)

    async with scratch_ledger(LeapingClock()) as ledger:
        row_id = await stored(ledger)
        row, found = await ledger.write(work)
    assert row[column] == SAID[column]
    assert found == row


def test_whoever_reads_whole_proposals_reads_them_so() -> None:
    texts = {name: one.text for name, one in named_statements().items()}
    assert f"AS {TOLD} FROM" in texts["proposal.get"]
    assert [name for name, text in texts.items() if "SELECT * FROM action_proposals" in text] == []

"""SQLite writes rows that wait together with one run of a statement, as it writes one alone."""

import asyncio
import re
from itertools import pairwise
from typing import cast

import pytest

from engine_bench import proposal
from operator_core.actions.types import ActionStatus
from operator_core.db import creation, safety
from operator_core.db.actions import ActionDB
from operator_core.db.changes import Stamp
from operator_core.db.engine import Tx, Value
from operator_core.db.ledger import Ledger, scratch_ledger
from operator_core.db.secrets import cleaned_each
from operator_core.db.sqlite.statement import Statement, named_statements
from operator_core.db.statements import alike
from operator_core.errors import ConstraintError, NotFoundError
from operator_core.testing.clock import LeapingClock

NOW = "2026-01-01T00:00:00.000000+00:00"
RECORD = (
    "proposal_id",
    "started_at",
    "completed_at",
    "success",
    "error_message",
    "result_data",
    "outcome",
    "idempotency_key",
    "owner",
    "fence",
)


async def stored(ledger: Ledger, count: int) -> list[int]:
    """Store proposals in one transaction, each with its number as its reason."""
    stamp = Stamp("test", ledger.clock.now())
    wanted = [
        creation.Creation(proposal().model_copy(update={"reason": str(number)}), stamp)
        for number in range(count)
    ]
    made = await ledger.write(lambda tx: creation.create_each(tx, wanted))
    return [one.id or 0 for one in made if not isinstance(one, Exception)]


@pytest.mark.parametrize("count", [1, 7, 8, 9, 31, 32, 33, 75])
async def test_each_row_of_a_run_has_the_id_that_its_caller_is_told(count: int) -> None:
    async with scratch_ledger(LeapingClock()) as ledger:
        ids = await stored(ledger, count)
        found = {one.id: one.reason for one in await ActionDB(ledger).list_proposals()}
    assert found == {row_id: str(number) for number, row_id in enumerate(ids)}
    assert len(ids) == count


async def test_the_audit_of_many_rows_is_one_chain_in_their_order() -> None:
    async with scratch_ledger(LeapingClock()) as ledger:
        ids = await stored(ledger, 75)
        rows = await ledger.read(lambda tx: tx.all("audit.of_type", event_type="proposal_created"))
    assert [row["proposal_id"] for row in rows] == ids
    assert all(after["prev_hash"] == before["hash"] for before, after in pairwise(rows))
    assert [row["seq"] for row in rows] == list(range(rows[0]["seq"], rows[0]["seq"] + 75))


async def test_a_bad_row_of_a_run_is_told_as_one_alone_is() -> None:
    def work(tx: Tx) -> None:
        good: dict[str, Value] = dict.fromkeys(RECORD)
        tx.insert("record.insert", [good | {"proposal_id": one} for one in (10**9, *ids)])

    async with scratch_ledger(LeapingClock()) as ledger:
        ids = await stored(ledger, 9)
        with pytest.raises(ConstraintError):
            await ledger.write(work)


@pytest.mark.parametrize("apart", [False, True], ids=["alike", "each its own"])
async def test_only_rows_in_the_right_state_are_changed_and_counted(*, apart: bool) -> None:
    def work(tx: Tx) -> int:
        tx.run("proposal.cancel", id=ids[3], now=NOW)
        shared = {"parameters": None, "disruptive": None, "approved_at": None, "now": NOW}
        names = (str(one) if apart else "policy" for one in ids)
        sets = [
            {**shared, "id": one, "approved_by": name}
            for one, name in zip([*ids, 10**9], [*names, "policy"], strict=True)
        ]
        return tx.each("proposal.validate", sets)

    async with scratch_ledger(LeapingClock()) as ledger:
        ids = await stored(ledger, 20)
        assert await ledger.write(work) == 19
        found = {one.id: one for one in await ActionDB(ledger).list_proposals()}
    assert [row_id for row_id, one in found.items() if one.status.value != "validated"] == [ids[3]]
    expected = [str(one) if apart else "policy" for one in ids if one != ids[3]]
    assert [one.approved_by for one in found.values() if one.status == "validated"] == expected


def test_sets_that_differ_in_their_id_alone_are_one() -> None:
    sets = [{"id": one, "now": "then" if one == 2 else "now"} for one in (1, 2, 3)]
    assert [(one["now"], one["ids"]) for one in alike(sets)] == [("now", "[1, 3]"), ("then", "[2]")]


def test_runs_take_the_rows_in_order_and_each_once() -> None:
    statement = Statement("INSERT INTO t (a, b, c) VALUES (:a, :b, :a)")
    rows = [(number, -number) for number in range(43)]
    runs = list(statement.inserts(rows))
    assert [count for _, _, count in runs] == [32, 8, 1, 1, 1]
    assert [bound for _, bounds, _ in runs for bound in bounds] == [
        one for row in rows for one in row
    ]
    assert runs[1][0].endswith(
        "(?1, ?2, ?1), "
        + ", ".join(f"(?{2 * n + 1}, ?{2 * n + 2}, ?{2 * n + 1})" for n in range(1, 8))
    )


@pytest.mark.parametrize("name", sorted(n for n in named_statements() if n.endswith(".each")))
async def test_a_statement_for_many_rows_finds_them_by_their_ids(name: str) -> None:
    """An index of states would walk through all rows that are in one."""
    async with scratch_ledger(LeapingClock()) as ledger:
        plan = await ledger.read(lambda tx: planned(tx, name))
    assert any("USING INTEGER PRIMARY KEY (rowid=?)" in step for step in plan), plan


def planned(tx: Tx, name: str) -> list[str]:
    statement = named_statements()[name]
    cursor = tx._cursor.connection.cursor()  # type: ignore[attr-defined]  # SQLite's alone
    places = len(set(re.findall(r"\?\d+", statement.text)))
    found = cursor.execute(f"EXPLAIN QUERY PLAN {statement.text}", ["[]"] * places).fetchall()
    return [str(dict(row)["detail"]) for row in found]


async def test_what_is_asked_in_one_round_of_the_loop_has_one_moment() -> None:
    async with scratch_ledger(LeapingClock()) as ledger:
        first, second = ledger.shared_stamp("agent"), ledger.shared_stamp("agent")
        assert first is second
        assert ledger.shared_stamp("other").actor == "other"
        await asyncio.sleep(0)
        assert ledger.shared_stamp("agent") is not first


async def test_what_is_missing_is_still_told_one_by_one() -> None:
    async with scratch_ledger(LeapingClock()) as ledger:
        stamp = Stamp("test", ledger.clock.now())
        lost = proposal().model_copy(update={"ticket_id": 7})
        wanted = [creation.Creation(one, stamp) for one in (proposal(), lost, proposal())]
        made = await ledger.write(lambda tx: creation.create_each(tx, wanted))
    assert [type(one) for one in made if isinstance(one, Exception)] == [NotFoundError]


class _Counted:
    """A transaction that counts what it is asked."""

    def __init__(self, tx: Tx) -> None:
        self.asked = 0
        self._tx = tx

    def __getattr__(self, name: str) -> object:
        self.asked += 1
        return getattr(self._tx, name)


async def _asked_by_kill(waiting: int) -> int:
    def work(tx: Tx) -> tuple[int, safety.KillReport]:
        counted = _Counted(tx)
        report = safety.kill(cast("Tx", counted), "enough", stamp).report
        return counted.asked, report

    async with scratch_ledger(LeapingClock()) as ledger:
        stamp = Stamp("test", ledger.clock.now())
        await stored(ledger, waiting)
        for _ in range(waiting):
            await ActionDB(ledger).create_workflow("w", "", [proposal(), proposal()])
        asked, report = await ledger.write(work)
        left = await ActionDB(ledger).list_proposals(ActionStatus.PROPOSED)
    assert (len(report.cancelled), len(report.workflows_cancelled)) == (3 * waiting, waiting)
    assert left == []
    return asked


async def test_a_kill_asks_no_more_however_much_waits() -> None:
    assert await _asked_by_kill(2) == await _asked_by_kill(40)


def test_a_secret_in_any_of_many_rows_is_found_although_most_say_the_same() -> None:
    rows: list[dict[str, Value]] = [
        {"reason": "it leaks", "actor": f"one {number}", "id": number} for number in range(9)
    ]
    names = ("reason", "actor")
    assert cleaned_each(rows, names) is rows
    rows[7]["actor"] = "postgres://me:secret-word@host"
    found = cleaned_each(rows, names)
    assert [one["actor"] for one in found if "secret-word" in str(one["actor"])] == []
    assert [one["reason"] for one in found] == ["it leaks"] * 9
    assert cleaned_each(rows, ("reason",)) is rows


def test_sets_are_alike_wherever_the_id_stands() -> None:
    assert alike([]) == []
    sets = [{"now": "now", "id": one, "by": "me"} for one in (4, 2)]
    assert alike(sets) == [{"now": "now", "ids": "[4, 2]", "by": "me"}]

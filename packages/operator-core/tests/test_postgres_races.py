"""Several processes on one PostgreSQL ledger: each effect once, and the switch holds."""

import asyncio
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

import engine_worker
from engine_bench import Bench, id_of, recommend
from operator_core.actions.types import ActionStatus, SafetyMode
from operator_core.clock import SYSTEM_CLOCK
from operator_core.db.claims import ClaimTerms
from operator_core.db.executions import ExecutionDB
from operator_core.db.ledger import Ledger, open_ledger
from operator_core.db.tickets import TicketDB
from operator_core.errors import ConflictError, LimitError, ObserveOnlyError, OperatorError
from operator_core.monitor.types import Violation
from operator_core.testing.clock import ManualClock
from operator_core.testing.fakes import FakeSubject

pytestmark = pytest.mark.real


def on(ledger: Ledger) -> Bench:
    made = Bench(ledger, ManualClock(), FakeSubject())
    made.clock = SYSTEM_CLOCK  # type: ignore[assignment] # real processes, real time
    return made


async def validated(one: Bench, count: int, name: str = "act") -> list[int]:
    executor = one.executor()
    stored = await asyncio.gather(*[executor.propose_action(recommend(name)) for _ in range(count)])
    ids = [id_of(each) for each in stored]
    await asyncio.gather(*[executor.validate_proposal(each) for each in ids])
    return sorted(ids)


def terms(owner: str) -> ClaimTerms:
    return ClaimTerms(owner, "test", 30.0, require_approval=False)


async def test_three_processes_claim_a_thousand_each_once(
    postgres_url: str, tmp_path: Path
) -> None:
    ledger = await open_ledger(postgres_url)
    one = on(ledger)
    await one.control.set_mode(SafetyMode.EXECUTE, actor="test")
    await validated(one, 1_000)
    command = (sys.executable, engine_worker.__file__, postgres_url, str(tmp_path / "effects"))
    processes = [
        await asyncio.create_subprocess_exec(*command, "ok", "30", stderr=subprocess.PIPE)
        for _ in range(3)
    ]
    for process in processes:
        _, error = await process.communicate()
        assert (process.returncode, error) == (0, b"")
    lines = (tmp_path / "effects").read_text(encoding="utf-8").splitlines()
    counts = Counter(line.rsplit(" ", maxsplit=1)[-1] for line in lines)
    assert (len(counts), set(counts.values())) == (1_000, {1})
    assert len(await one.db.list_proposals(ActionStatus.COMPLETED)) == 1_000
    assert await one.control.first_broken_audit_row() is None
    await ledger.engine.close()


async def test_no_claim_commits_after_a_kill(postgres_url: str) -> None:
    ledgers = [await open_ledger(postgres_url) for _ in range(3)]
    one = on(ledgers[0])
    await one.control.set_mode(SafetyMode.EXECUTE, actor="test")
    ids = await validated(one, 300)
    killed = asyncio.Event()
    late: list[int] = []

    async def claim(ledger: Ledger, proposal_id: int) -> None:
        begun_after = killed.is_set()
        try:
            await ExecutionDB(ledger).claim(proposal_id, terms(f"{id(ledger)}"))
        except (ObserveOnlyError, ConflictError):
            return
        if begun_after:
            late.append(proposal_id)

    async def claims(ledger: Ledger) -> None:
        for start in range(0, 300, 10):
            await asyncio.gather(*[claim(ledger, each) for each in ids[start : start + 10]])

    async def kill() -> None:
        while not await one.db.list_proposals(ActionStatus.EXECUTING):  # noqa: ASYNC110 - a race
            await asyncio.sleep(0)
        report = await on(ledgers[2]).control.kill(actor="test", reason="stop")
        killed.set()
        states = Counter(each.status for each in await one.db.list_proposals())
        assert states == {
            ActionStatus.EXECUTING: len(report.running),
            ActionStatus.CANCELLED: len(report.cancelled),
        }

    await asyncio.gather(claims(ledgers[0]), claims(ledgers[1]), kill())
    assert late == []
    assert await one.control.first_broken_audit_row() is None
    for ledger in ledgers:
        await ledger.engine.close()


async def test_kill_races_with_steps_that_end_and_people_who_decide(postgres_url: str) -> None:
    """Work on both ends of a lock order meets: nobody waits for a deadlock to be found."""
    ledgers = [await open_ledger(postgres_url) for _ in range(2)]
    one, other = (on(ledger) for ledger in ledgers)
    await one.control.set_mode(SafetyMode.EXECUTE, actor="test")
    for _ in range(8):
        await one.control.set_mode(SafetyMode.EXECUTE, actor="test")
        flows = await asyncio.gather(*[one.workflow("act", "act", "act") for _ in range(8)])
        work = [one.run(steps[0]) for steps in flows]
        people = [other.db.cancel_proposal(steps[2]) for steps in flows[::2]]
        kill = other.control.kill(actor="test", reason="stop")
        async with asyncio.timeout(10):
            *rest, report = await asyncio.gather(*work, *people, kill, return_exceptions=True)
        assert not isinstance(report, BaseException), report
        assert all(isinstance(each, OperatorError) for each in rest if isinstance(each, Exception))
        assert await one.db.list_proposals(ActionStatus.VALIDATED) == []
    assert await one.control.first_broken_audit_row() is None
    for ledger in ledgers:
        await ledger.engine.close()


async def test_one_disruptive_action_at_a_time_over_processes(postgres_url: str) -> None:
    ledgers = [await open_ledger(postgres_url) for _ in range(3)]
    one = on(ledgers[0])
    await one.control.set_mode(SafetyMode.EXECUTE, actor="test")
    ids = await validated(one, 6, "act_alone")
    calls = [
        ExecutionDB(ledgers[place % 3]).claim(each, terms(f"o{place}"))
        for place, each in enumerate(ids)
    ]
    results = await asyncio.gather(*calls, return_exceptions=True)
    refused = [each for each in results if isinstance(each, LimitError)]
    assert len(refused) == len(ids) - 1, results
    for ledger in ledgers:
        await ledger.engine.close()


async def test_two_monitors_open_one_ticket(postgres_url: str) -> None:
    """Pitfall 30: two open tickets for one key."""
    ledgers = [await open_ledger(postgres_url) for _ in range(3)]
    seen = [Violation(invariant="up", target=f"s{n}", message="down") for n in range(20)]
    tickets = await asyncio.gather(
        *[TicketDB(ledger).report(each, subject="x") for each in seen for ledger in ledgers]
    )
    assert len({ticket.id for ticket in tickets}) == 20
    found = await TicketDB(ledgers[0]).list_tickets()
    assert sorted(ticket.occurrence_count for ticket in found) == [3] * 20
    for ledger in ledgers:
        await ledger.engine.close()

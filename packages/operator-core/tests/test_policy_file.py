"""The policy's file: reloaded when it changes; a faulty one changes nothing, loudly."""

import os
from pathlib import Path

import pytest

from engine_bench import Bench, bench
from gate_kit import ALLOW, ASK_ONE
from operator_core.actions.policy import PolicyError, load, shipped_policy
from operator_core.db.policy import PolicyDB
from operator_core.monitor.types import Ticket, TicketStatus
from operator_core.runtime.policy_file import INVARIANT, SHIPPED, PolicyKeeper
from operator_core.types import Severity


async def digest(one: Bench) -> str | None:
    """Return which policy is in force."""
    loaded = await PolicyDB(one.ledger).in_force()
    return loaded.digest if loaded else None


async def complaints(one: Bench) -> list[Ticket]:
    """Return the tickets about policy files."""
    found = await one.tickets.list_tickets()
    return [ticket for ticket in found if ticket.invariant_name == INVARIANT]


def write(path: Path, text: str, mtime: int) -> Path:
    """Write a file, changed at a moment."""
    path.write_text(text, encoding="utf-8")
    os.utime(path, (mtime, mtime))
    return path


async def test_without_a_file_the_shipped_policy_comes_into_force_once(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        await PolicyKeeper(one.ledger, None).start()
        assert await digest(one) == load(shipped_policy()).digest
        await PolicyKeeper(one.ledger, None).start()
        assert (await one.events()).count("policy_in_force") == 1


async def test_an_older_shipped_policy_is_replaced_and_another_one_is_not(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        policies = PolicyDB(one.ledger)
        await policies.enforce(load(ASK_ONE), source=SHIPPED, actor="root")
        await PolicyKeeper(one.ledger, None).start()
        assert await digest(one) == load(shipped_policy()).digest
        await policies.enforce(load(ASK_ONE), source="mine.toml", actor="root")
        await PolicyKeeper(one.ledger, None).start()
        assert await digest(one) == load(ASK_ONE).digest


async def test_who_wants_no_default_gets_none(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        await PolicyKeeper(one.ledger, None, default=False).start()
        assert await digest(one) is None


async def test_a_change_of_the_file_is_a_change_of_the_policy(tmp_path: Path) -> None:
    told: list[str] = []
    async with bench(tmp_path) as one:
        path = write(tmp_path / "p.toml", ASK_ONE, 1)
        keeper = PolicyKeeper(one.ledger, path, tell=told.append)
        await keeper.start()
        assert await digest(one) == load(ASK_ONE).digest
        await keeper.step()
        write(path, ALLOW, 2)
        await keeper.step()
        assert await digest(one) == load(ALLOW).digest
        assert len(told) == 2


@pytest.mark.parametrize("fault", ["not toml", None, "\udcff"])
async def test_a_faulty_file_changes_nothing_and_is_told_of(
    tmp_path: Path, fault: str | None
) -> None:
    told: list[str] = []
    async with bench(tmp_path) as one:
        path = write(tmp_path / "p.toml", ASK_ONE, 1)
        keeper = PolicyKeeper(one.ledger, path, tell=told.append)
        await keeper.start()
        if fault is None:
            path.unlink()
        else:
            path.write_bytes(fault.encode("utf-8", "surrogateescape"))
        await keeper.step()
        await keeper.step()
        assert await digest(one) == load(ASK_ONE).digest
        (ticket,) = await complaints(one)
        assert (ticket.severity, ticket.occurrence_count) == (Severity.CRITICAL, 1)
        assert ["refused" in line for line in told] == [False, True]
        write(path, ALLOW, 3)
        await keeper.step()
        (ticket,) = await complaints(one)
        assert ticket.status is TicketStatus.RESOLVED
        assert await digest(one) == load(ALLOW).digest


async def test_a_faulty_file_and_no_policy_before_it_is_no_start(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        path = write(tmp_path / "p.toml", "rules = 1", 1)
        with pytest.raises(PolicyError, match="rules"):
            await PolicyKeeper(one.ledger, path).start()
        assert await digest(one) is None
        await PolicyDB(one.ledger).enforce(load(ASK_ONE), source="before", actor="root")
        await PolicyKeeper(one.ledger, path).start()
        assert await digest(one) == load(ASK_ONE).digest

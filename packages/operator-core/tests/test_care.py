"""The ledger's storage is looked after: damage is found, and what is old goes."""

import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

import old_ledgers as old
from engine_bench import Bench, bench, proposal
from operator_core.agent.diagnosis import Diagnosis
from operator_core.db import prune
from operator_core.db.actions import ActionDB
from operator_core.db.care import CareDB
from operator_core.db.prune import PruneReport
from operator_core.errors import ConflictError, RequestError
from operator_core.monitor.types import Observation, Part, Sighting, Violation
from operator_core.testing.clock import ManualClock

DAY = 86_400


async def wrong(one: Bench) -> dict[str, str]:
    """Return what the check finds wrong."""
    return {found.check: found.detail for found in await CareDB(one.ledger).check() if not found.ok}


def change(folder: Path, *statements: str) -> None:
    """Change the file behind the ledger's back."""
    with closing(sqlite3.connect(folder / "ledger.db")) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


# --- check --------------------------------------------------------------------------------


async def test_a_sound_ledger_passes_every_check(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        await one.run(await one.validated())
        found = await CareDB(one.ledger).check()
        assert [result.check for result in found] == ["schema", "file", "links", "rows", "audit"]
        assert await wrong(one) == {}


async def test_a_link_that_leads_nowhere_is_found(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        await one.validated()
        change(tmp_path, "UPDATE action_proposals SET ticket_id = 77")
        found = await wrong(one)
        assert found.keys() == {"links"}
        assert "action_proposals 1 to tickets" in found["links"]


@pytest.mark.parametrize(
    ("damage", "row"),
    [
        ("UPDATE action_proposals SET proposed_at = '\"026-01-26' WHERE id = 2", "Action 2"),
        ("UPDATE action_proposals SET parameters = '{' WHERE id = 1", "Action 1"),
        ("UPDATE workflows SET created_at = 'x'", "Workflow 1"),
        ("UPDATE tickets SET metric_snapshot = '{'", "Ticket 1"),
    ],
)
async def test_a_row_that_cannot_be_read_is_found(tmp_path: Path, damage: str, row: str) -> None:
    """It was called a fault in Operator, and the check saw nothing."""
    async with bench(tmp_path) as one:
        await one.workflow("act", "act")
        await one.tickets.report(Violation(invariant="full", target="s1", message="-"))
        change(tmp_path, damage)
        assert (await wrong(one))["rows"].startswith(f"{row} is damaged")


async def test_tampering_with_the_audit_is_found(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        await one.validated()
        change(tmp_path, "UPDATE audit_log SET actor = 'mallory' WHERE seq = 2")
        assert (await wrong(one)).keys() == {"audit"}


async def test_an_index_that_lacks_rows_is_found(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        await one.validated()
        change(
            tmp_path,
            "PRAGMA writable_schema = ON",
            "CREATE TABLE empty (status TEXT)",
            "CREATE INDEX other ON empty(status)",
            "UPDATE sqlite_schema SET rootpage = (SELECT rootpage FROM sqlite_schema "
            "WHERE name = 'other') WHERE name = 'idx_action_proposals_status'",
        )
    async with bench(tmp_path) as one:
        found = await wrong(one)
        assert "idx_action_proposals_status" in found["file"]


async def test_a_ledger_whose_schema_is_not_complete_is_found(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        change(tmp_path, "DELETE FROM schema_migrations WHERE version > 1")
        assert (await wrong(one)).keys() == {"schema"}


# --- prune --------------------------------------------------------------------------------


def _look(one: Bench, subject: str = "fake") -> Observation:
    now = one.clock.now()
    part = Part(source="memory://", observed_at=now, data={"at": now.isoformat()})
    return Observation(subject=subject, observed_at=now, parts={"a": part})


async def _past(one: Bench, days: int = 10) -> None:
    """Let something happen each day."""
    for _ in range(days):
        await one.db.create_proposal(proposal())
        one.clock.advance(DAY)


async def _prune(one: Bench, days: float, *, dry_run: bool = False) -> PruneReport:
    before = one.clock.now() - timedelta(days=days)
    return await CareDB(one.ledger).prune(before, actor="ann", dry_run=dry_run)


async def test_the_audit_can_be_verified_after_pruning_and_pruning_again(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        await _past(one)
        counted = await _prune(one, 4.5, dry_run=True)
        assert counted.audit_rows > 4
        assert await _prune(one, 4.5) == counted
        assert await one.control.first_broken_audit_row() is None
        await _past(one)
        assert (await _prune(one, 4.5)).audit_rows > 4
        assert await one.control.first_broken_audit_row() is None
        assert len(await one.control.list_events(event_type="audit_pruned")) == 1
        assert (await _prune(one, 4.5)).total == 0
        assert len(await one.db.list_proposals()) == 20
    async with bench(tmp_path) as one:
        assert await one.control.first_broken_audit_row() is None


async def test_pruning_all_there_is_keeps_the_last_row(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        await _past(one)
        await _prune(one, 0)
        await one.db.create_proposal(proposal())
        assert await one.control.first_broken_audit_row() is None
        change(tmp_path, "DELETE FROM audit_log WHERE seq = (SELECT MIN(seq) FROM audit_log)")
        assert await one.control.first_broken_audit_row() is not None


TAMPERING = {
    "changed": "UPDATE audit_log SET actor = 'mallory' WHERE seq = (SELECT MIN(seq) + 1 FROM "
    "audit_log)",
    "more gone": "DELETE FROM audit_log WHERE seq = (SELECT MIN(seq) FROM audit_log)",
    "middle gone": "DELETE FROM audit_log WHERE seq = (SELECT MIN(seq) + 2 FROM audit_log)",
    "event gone": "DELETE FROM audit_log WHERE event_type = 'audit_pruned'",
    "anchor moved": "UPDATE audit_log SET event_data = REPLACE(event_data, '\"seq\": ', "
    "'\"seq\": 1') WHERE event_type = 'audit_pruned'",
    "row put back": "INSERT INTO audit_log (writer, seq, timestamp, event_type, actor, "
    "event_data, prev_hash, hash) SELECT writer, 1, timestamp, event_type, actor, event_data, "
    "prev_hash, 'x' FROM audit_log LIMIT 1",
}


@pytest.mark.parametrize("how", TAMPERING)
async def test_tampering_after_pruning_is_found(tmp_path: Path, how: str) -> None:
    async with bench(tmp_path) as one:
        await _past(one)
        await _prune(one, 4.5)
        await _past(one, 2)
        change(tmp_path, TAMPERING[how])
        assert await one.control.first_broken_audit_row() is not None


async def test_rows_taken_away_without_pruning_are_missed(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        await _past(one)
        change(tmp_path, "DELETE FROM audit_log WHERE seq <= 4")
        assert await one.control.first_broken_audit_row() is not None
        with pytest.raises(ConflictError, match="tampered"):
            await _prune(one, 1)


async def _looked(one: Bench, subject: str, sightings: dict[str, Sighting] | None = None) -> int:
    return await one.tickets.record_look(_look(one, subject), sightings or {}, subject=subject)


async def test_only_looks_that_nothing_needs_are_dropped(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        violation = Violation(invariant="full", target="s1", message="full")
        ticket = await one.tickets.report(violation, subject="fake")
        diagnosed = await _looked(one, "fake")
        await one.tickets.add_diagnosis(
            Diagnosis(
                ticket_id=ticket.id,
                diagnoser="d",
                hypothesis="h",
                confidence=0.5,
                cause="c",
                observation_id=diagnosed,
            )
        )
        _, latest = await _looked(one, "fake"), await _looked(one, "fake")
        now = one.clock.now()
        sighting = Sighting(violation=violation, first_seen_at=now, last_seen_at=now)
        other = await _looked(one, "other", {violation.key: sighting})
        one.clock.advance(10 * DAY)
        report = await _prune(one, 5)
        assert (report.observations, report.sightings) == (1, 1)
        kept = old.query(tmp_path / "ledger.db", "SELECT id FROM observations ORDER BY id")
        assert [row for (row,) in kept] == [diagnosed, latest, other]
        assert await one.tickets.load_sightings("other") == {}
        assert len(await one.tickets.list_tickets()) == 1


async def test_pruning_goes_on_in_small_transactions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prune, "BATCH", 2)
    async with bench(tmp_path) as one:
        await _past(one)
        for _ in range(5):
            await _looked(one, "fake")
        one.clock.advance(10 * DAY)
        report = await _prune(one, 5)
        assert report.observations == 4
        assert report.audit_rows >= 9
        assert await one.control.first_broken_audit_row() is None


@pytest.mark.real
async def test_each_chain_of_a_server_is_pruned_and_verified(postgres_url: str) -> None:
    clock = ManualClock()
    for _ in range(3):
        async with ActionDB(postgres_url, clock=clock) as db:
            for _ in range(3):
                await db.create_proposal(proposal())
        clock.advance(DAY)
    async with CareDB(postgres_url, clock=clock) as care:
        before = clock.now() - timedelta(days=1.5)
        counted = await care.prune(before, actor="ann", dry_run=True)
        assert counted.audit_rows > 0
        assert await care.prune(before, actor="ann") == counted
        fine = [found.check for found in await care.check() if found.ok]
        assert fine == ["schema", "rows", "audit"]
        with pytest.raises(RequestError, match="pg_dump"):
            await care.backup(Path("copy.db"))
    with psycopg.connect(postgres_url) as connection:
        connection.execute(
            "UPDATE operator.audit_log SET actor = 'mallory' WHERE event_type <> 'audit_pruned'"
        )
    async with CareDB(postgres_url, clock=clock) as care:
        assert [found.check for found in await care.check() if not found.ok] == ["audit"]

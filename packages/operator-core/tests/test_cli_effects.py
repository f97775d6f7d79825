"""`operator effects`, and what `operator doctor` says of leaks, also of a backup."""

import json
import shutil
import sqlite3
from collections.abc import Collection
from contextlib import closing
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest

from cli_kit import Cli, FakePlugin, FakeSubject, install, now_do
from operator_core.actions.types import (
    ActionDefinition,
    ActionProposal,
    ActionStatus,
    Outcome,
    ParamDef,
)
from operator_core.clock import utc_now
from operator_core.db.actions import ActionDB
from operator_core.db.attempts import Ending
from operator_core.db.claims import ClaimTerms
from operator_core.db.control import ControlDB
from operator_core.db.effect_leases import EffectDB
from operator_core.db.executions import ExecutionDB
from operator_core.db.gate import Sight
from operator_core.db.sqlite.reading import undisturbed
from operator_core.monitor.types import Observation
from operator_core.types import RunMode
from test_cli_diagnose import seen

SHUT = ActionDefinition(
    name="shut",
    description="shut",
    parameters={"value": ParamDef(type="int")},
    inverse="lift",
    temporary_effect="shut/{value}",
)
LIFT = ActionDefinition(name="lift", description="lift", parameters={"value": ParamDef(type="int")})


@dataclass
class Weir(FakeSubject):
    """A cluster on which effects are to be seen."""

    shut: list[int] = field(default_factory=list)

    async def observe(self) -> Observation:
        """Look."""
        return Observation(observed_at=utc_now(), parts=dict(self.parts))

    def temporary_effects(self, observation: Observation) -> Collection[str]:
        """Return what is shut."""
        del observation
        return [f"shut/{value}" for value in self.shut]


async def leased(path: Path, value: int, seen: tuple[str, ...] = ()) -> None:
    """Shut a sluice, as an executor does."""
    sight = Sight({"shut": SHUT, "lift": LIFT}.get, effects=seen)
    async with ActionDB(path) as db, ExecutionDB(path) as executions:
        await ControlDB(db.ledger).set_mode(RunMode.EXECUTE, actor="ann")
        made = await db.create_proposal(
            ActionProposal(
                subject="fake",
                action_name="shut",
                parameters={"value": value},
                reason="it leaks",
                status=ActionStatus.VALIDATED,
                approved_at=utc_now(),
                approved_by="ann",
            )
        )
        terms = ClaimTerms("me", db.ledger.ledger_id, 30.0, require_approval=True, sight=sight)
        attempt = await executions.claim(int(made.id or 0), terms)
        await executions.finish(attempt, Ending(Outcome.SUCCEEDED))


def weir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *shut: int) -> Cli:
    subject = Weir(shut=list(shut))
    install(monkeypatch, FakePlugin(subject=subject))
    cli = Cli(tmp_path)
    cli.ok("connect", "fake", "--address", "x")
    return cli


def effects(cli: Cli, code: int, *arguments: str) -> dict[str, str]:
    result = cli.invoke(*arguments, "doctor", "--json")
    assert result.exit_code == code, result.output
    found = json.loads(result.stdout)
    return {one["check"]: one["state"] for one in found if "effect" in one["check"]}


def test_what_a_lease_covers_is_no_leak(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cli = weir(tmp_path, monkeypatch, 4)
    now_do(leased(cli.db_path, 4))
    assert effects(cli, 0) == {"temporary effects": "ok"}
    (one,) = cli.json("effects", "list")
    assert (one["effect"], one["proposal_id"], one["applied"]) == ("shut/4", 1, True)
    assert one["undo"] == {"action_name": "lift", "parameters": {"value": 4}}
    assert "it leaks" in cli.ok("effects", "list")


def test_what_no_lease_covers_and_what_is_gone_are_leaks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli = weir(tmp_path, monkeypatch, 5)
    now_do(leased(cli.db_path, 4))
    found = effects(cli, 1)
    assert found == {
        "temporary effects": "ok",
        "effect shut/4": "wrong",
        "effect shut/5": "wrong",
    }


def test_what_others_made_is_worth_a_note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cli = weir(tmp_path, monkeypatch, 4)
    now_do(leased(cli.db_path, 4, seen=("shut/4",)))
    assert effects(cli, 0)["effect shut/4"] == "note"
    assert cli.json("effects", "list") == []
    assert "was there before" in cli.ok("effects", "list", "--ended")


def test_what_is_released_is_overdue_until_it_is_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli = weir(tmp_path, monkeypatch, 4)
    now_do(leased(cli.db_path, 4))
    later = cli.json("effects", "renew", "1", "--for", "2d")
    assert later["kept"] is True
    assert "ends now" in cli.ok("effects", "release", "1")
    assert effects(cli, 1) == {"effect shut/4": "wrong"}
    assert "Lease 7 not found" in cli.fails(2, "effects", "release", "7")
    cli.fails(2, "effects", "renew", "1", "--for", "soon")


def test_a_backup_tells_of_leaks_and_stays_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli = weir(tmp_path, monkeypatch, 5)
    now_do(leased(cli.db_path, 4))
    copy = tmp_path / "copy.db"
    cli.ok("ledger", "backup", str(copy))
    before = copy.read_bytes()
    assert effects(cli, 1, "--db", str(copy))["effect shut/5"] == "wrong"
    assert copy.read_bytes() == before
    assert sorted(one.name for one in tmp_path.glob("copy.db*")) == ["copy.db"]


@pytest.mark.parametrize("command", [("doctor",), ("diagnose", "recheck", "1")])
def test_a_plain_copy_is_read_and_stays_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    cli = seen(tmp_path, monkeypatch)
    cli.ok("diagnose", "1")
    copy = tmp_path / "elsewhere" / "copy.db"
    copy.parent.mkdir()
    shutil.copy(cli.db_path, copy)
    with closing(sqlite3.connect(copy)) as connection:  # as an older version left it
        connection.execute("DELETE FROM schema_migrations WHERE version > 10")
        connection.execute("DROP INDEX idx_tickets_span")
        for name in ("idx_observations_kept", "idx_observations_gives_way"):
            connection.execute(f"DROP INDEX {name}")
        connection.execute("DROP INDEX idx_diagnoses_observation")
        connection.execute("DROP TABLE looks_stored")
        connection.execute("ALTER TABLE observations DROP COLUMN size_bytes")
        connection.execute("ALTER TABLE observations DROP COLUMN kept_as")
        connection.execute("ALTER TABLE rehearsals DROP COLUMN observation_id")
        connection.execute("ALTER TABLE verifications DROP COLUMN came_back_at")
        connection.execute("ALTER TABLE ledger DROP COLUMN place")
        connection.commit()
    before = copy.read_bytes()
    cli.ok(*command, "--db", str(copy))
    assert copy.read_bytes() == before
    assert [file.name for file in copy.parent.iterdir()] == ["copy.db"]


def is_there(path: Path | str) -> bool:
    return Path(path).exists()


async def test_a_ledger_that_somebody_has_open_is_read_itself(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    async with ActionDB(path):
        with undisturbed(path) as read:
            assert read == path
    with undisturbed(path) as read:
        assert read != path
    assert not is_there(read)


def test_lists_are_paged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cli = weir(tmp_path, monkeypatch, 4, 5)
    now_do(leased(cli.db_path, 4))
    now_do(leased(cli.db_path, 5))
    assert "--after 1" in cli.invoke("effects", "list", "--limit", "1").stderr
    assert [one["effect"] for one in cli.json("effects", "list", "--after", "1")] == ["shut/5"]


async def test_a_lease_lasts_as_long_as_its_action_says(tmp_path: Path) -> None:
    await leased(tmp_path / "o.db", 4)
    async with EffectDB(tmp_path / "o.db") as db:
        (lease,) = await db.list_leases()
    assert lease.expires_at - lease.taken_at == timedelta(seconds=SHUT.effect_seconds)

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from cli_kit import Cli, add_proposals, now_do


def made(folder: Path) -> Cli:
    """Return the command line on a ledger that exists."""
    cli = Cli(folder)
    cli.ok("mode", "execute")
    return cli


def test_check_tells_each_thing_it_looked_at(tmp_path: Path) -> None:
    cli = made(tmp_path)
    found = cli.json("ledger", "check")
    assert [one["check"] for one in found] == ["schema", "file", "links", "rows", "audit"]
    assert all(one["ok"] for one in found)
    assert "Nothing is wrong" in cli.ok("ledger", "check")


def test_check_exits_with_1_where_something_is_wrong(tmp_path: Path) -> None:
    cli = made(tmp_path)
    with closing(sqlite3.connect(cli.db_path)) as connection:
        connection.execute("UPDATE audit_log SET actor = 'mallory'")
        connection.commit()
    result = cli.invoke("ledger", "check")
    assert result.exit_code == 1
    assert "wrong" in result.stdout
    assert "1 wrong." in result.stdout


def test_a_backup_is_made_and_taken_as_a_ledger_in_observe(tmp_path: Path) -> None:
    cli = made(tmp_path)
    now_do(add_proposals(cli.db_path))
    target = tmp_path / "copy.db"
    told = cli.json("ledger", "backup", str(target))
    assert told == {"file": str(target), "bytes": target.stat().st_size}
    assert cli.json("mode")["mode"] == "execute"
    restored = cli.json("--db", str(target), "mode")
    assert restored["mode"] == "observe"
    (action,) = cli.json("--db", str(target), "actions", "list")
    assert action["held"]
    assert "held: approve it anew" in cli.ok("--db", str(target), "actions", "show", "1")


def test_a_backup_replaces_nothing_unless_forced(tmp_path: Path) -> None:
    cli = made(tmp_path)
    target = tmp_path / "copy.db"
    cli.ok("ledger", "backup", str(target))
    assert "--force" in cli.fails(2, "ledger", "backup", str(target))
    assert "copied" in cli.ok("ledger", "backup", str(target), "--force")


def test_there_is_nothing_to_care_for_without_a_ledger(tmp_path: Path) -> None:
    assert "No ledger" in Cli(tmp_path).fails(5, "ledger", "check")


def test_prune_counts_and_drops(tmp_path: Path) -> None:
    cli = made(tmp_path)
    told = cli.json("ledger", "prune", "--older-than", "90d", "--dry-run")
    assert (told["dry_run"], told["audit_rows"]) == (True, 0)
    assert "audit rows" in cli.ok("ledger", "prune", "--older-than", "90d")
    assert cli.json("audit", "verify")["whole"]


@pytest.mark.parametrize("age", ["0d", "5m", "999999999d", "soon", "-1d"])
def test_an_age_that_makes_no_sense_is_refused(tmp_path: Path, age: str) -> None:
    cli = made(tmp_path)
    assert "--older-than" in cli.fails(2, "ledger", "prune", f"--older-than={age}")


@pytest.mark.real
def test_a_ledger_is_moved_to_a_database(tmp_path: Path, empty_database: str) -> None:
    cli = made(tmp_path)
    now_do(add_proposals(cli.db_path))
    told = cli.invoke("ledger", "copy", str(cli.db_path), empty_database)
    assert told.exit_code == 0
    assert "action_proposals: " in told.stderr
    assert "only-for-tests" not in told.stdout + told.stderr
    assert cli.json("ledger", "check", "--db", empty_database)[0]["ok"]
    again = cli.invoke("ledger", "copy", str(cli.db_path), empty_database)
    assert again.exit_code == 4
    assert "was moved away" in again.stderr


@pytest.mark.parametrize(
    ("source", "target", "said"),
    [
        ("none.db", "postgresql://h/d", "No ledger at"),
        ("postgresql://h/d", "none.db", "a file first"),
        ("none.db", "other.db", "a file first"),
    ],
)
def test_what_cannot_be_copied_is_told(tmp_path: Path, source: str, target: str, said: str) -> None:
    told = Cli(tmp_path).invoke("ledger", "copy", source, target)
    assert told.exit_code == 2
    assert said in told.stderr

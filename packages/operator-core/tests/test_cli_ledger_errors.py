import sqlite3
import sys
from pathlib import Path

import pytest

from cli_kit import Cli

NEED_A_LEDGER = [
    ("tickets", "list"),
    ("tickets", "show", "1"),
    ("tickets", "ack", "1"),
    ("tickets", "comment", "1", "x"),
    ("tickets", "resolve", "1"),
    ("tickets", "hold", "1"),
    ("tickets", "unhold", "1"),
    ("diagnose", "1"),
    ("actions", "list"),
    ("actions", "show", "1"),
    ("actions", "approve", "1"),
    ("actions", "reject", "1"),
    ("actions", "cancel", "1"),
    ("actions", "retry", "1"),
    ("actions", "settle", "1", "--done"),
    ("workflows", "list"),
    ("workflows", "show", "1"),
    ("workflows", "approve", "1"),
    ("workflows", "cancel", "1"),
    ("kill",),
    ("audit", "list"),
    ("audit", "verify"),
    ("doctor",),
]
WRITE = [
    ("mode", "execute"),
    ("tickets", "open", "-m", "x"),
    ("up",),
]


@pytest.mark.parametrize("words", NEED_A_LEDGER, ids=" ".join)
def test_a_ledger_that_is_not_there_is_an_error_and_is_not_made(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    cli = Cli(tmp_path)
    assert f"No ledger at {cli.db_path}" in cli.fails(5, *words)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("words", [*NEED_A_LEDGER, *WRITE], ids=" ".join)
def test_a_file_that_is_no_ledger_is_an_error_and_is_not_changed(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    cli = Cli(tmp_path)
    garbage = b"this is no ledger " * 100
    cli.db_path.write_bytes(garbage)
    assert "is not a ledger or is damaged" in cli.fails(5, *words)
    assert cli.db_path.read_bytes() == garbage


def test_a_database_of_another_program_is_not_taken_over(tmp_path: Path) -> None:
    cli = Cli(tmp_path)
    with sqlite3.connect(cli.db_path) as connection:
        connection.execute("CREATE TABLE invoices (id INTEGER)")
    connection.close()
    assert "another program" in cli.fails(5, "tickets", "list")


def test_a_folder_is_no_ledger(tmp_path: Path) -> None:
    cli = Cli(tmp_path)
    cli.db_path.mkdir()
    assert str(cli.db_path) in cli.fails(5, "tickets", "list")


def test_a_place_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    cli = Cli(Path("/proc/operator-test"))
    assert "cannot be opened" in cli.fails(5, "mode", "execute")
    cli = Cli(tmp_path)
    (tmp_path / "file").touch()
    cli.db_path = tmp_path / "file" / "operator.db"
    assert "--db" in cli.fails(5, "mode", "execute")


def test_a_home_that_nobody_has_is_an_error(tmp_path: Path) -> None:
    cli = Cli(tmp_path)
    said = cli.fails(2, "mode", "execute", "--db", "~nosuchuser/x.db")
    assert "a home that nobody has" in said


def test_links_in_a_circle_are_an_error(tmp_path: Path) -> None:
    """Python says so when it follows them, and since 3.13 only when it opens what they name."""
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    code = 2 if sys.version_info < (3, 13) else 5
    assert str(loop) in Cli(tmp_path).fails(code, "mode", "execute", "--db", str(loop))


def test_a_folder_that_was_deleted_under_the_shell_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    cli = Cli(tmp_path)
    assert "leads nowhere" in cli.fails(2, "mode", "execute", "--db", "x.db")
    cli.ok("mode", "execute")
    assert "leads nowhere" in cli.fails(2, "ledger", "backup", "x.db")


def test_a_locked_ledger_is_an_error_after_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli = Cli(tmp_path)
    cli.ok("tickets", "open", "-m", "x")
    monkeypatch.setattr("operator_core.db.sqlite.tx.BUSY_SECONDS", 0.1)
    other = sqlite3.connect(cli.db_path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        assert "is locked by another process" in cli.fails(5, "tickets", "ack", "1")
        assert len(cli.json("tickets", "list")) == 1
    finally:
        other.close()
    cli.ok("tickets", "ack", "1")


def test_an_empty_file_is_a_new_ledger(tmp_path: Path) -> None:
    cli = Cli(tmp_path)
    cli.db_path.touch()
    assert cli.json("tickets", "list") == []

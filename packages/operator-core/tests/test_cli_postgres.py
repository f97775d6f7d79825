"""The command line on a ledger in PostgreSQL, named by its URL."""

import json
import subprocess
import sys

import pytest

pytestmark = pytest.mark.real


def run(url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command on the ledger of a URL."""
    command = [sys.executable, "-m", "operator_core.cli.main", "--db", url, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


def test_the_ledger_can_be_a_database(empty_database: str) -> None:
    assert run(empty_database, "mode", "execute").returncode == 0
    opened = run(empty_database, "tickets", "open", "-m", "disk is full", "--json")
    assert json.loads(opened.stdout)["id"] == 1, opened.stderr
    listed = run(empty_database, "tickets", "list", "--json")
    assert [one["message"] for one in json.loads(listed.stdout)] == ["disk is full"]
    killed = run(empty_database, "kill", "--reason", "test", "--json")
    assert killed.returncode == 0, killed.stderr
    assert json.loads(run(empty_database, "mode", "--json").stdout)["mode"] == "observe"
    assert run(empty_database, "audit", "verify").returncode == 0


def test_a_server_that_is_not_there_is_one_line_without_the_password() -> None:
    url = "postgresql://ann:secret@127.0.0.1:1/ledger?connect_timeout=2"
    failed = run(url, "tickets", "list")
    assert failed.returncode == 5
    assert "secret" not in failed.stdout + failed.stderr
    assert "Traceback" not in failed.stderr
    assert "127.0.0.1" in failed.stderr

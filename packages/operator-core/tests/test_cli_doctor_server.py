"""`operator doctor` says what the word of a ledger's server is worth."""

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from cli_kit import Cli
from operator_core.testing.postgres import PostgresServer, programs

pytestmark = pytest.mark.real

_LIMIT_SECONDS = 20.0


@contextmanager
def standby(url: str, folder: Path) -> Iterator[None]:
    """Let somebody take what the server writes, as a standby does."""
    command = [str(programs() / "pg_receivewal"), "--synchronous", "-d", url, "-D", str(folder)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as taker:
        try:
            _until_seen(url)
            yield
        finally:
            taker.kill()


def _until_seen(url: str) -> None:
    end = time.monotonic() + _LIMIT_SECONDS
    with psycopg.connect(url, autocommit=True) as one:
        while one.execute("SELECT COUNT(*) FROM pg_stat_replication").fetchone() == (0,):
            assert time.monotonic() < end
            time.sleep(0.02)


def server_of(url: str, folder: Path, code: int = 0) -> tuple[str, str]:
    """Return state and detail of what is said of the server."""
    result = Cli(folder).invoke("doctor", "--no-reach", "--json", "--db", url)
    assert result.exit_code == code, result.output
    (found,) = [one for one in json.loads(result.stdout) if one["check"] == "server"]
    return found["state"], found["detail"]


def test_a_server_whose_word_is_not_on_its_disk_is_wrong(postgres_url: str, tmp_path: Path) -> None:
    """As all servers of these tests."""
    state, detail = server_of(postgres_url, tmp_path, 1)
    assert (state, "fsync = on" in detail) == ("wrong", True)


@pytest.mark.parametrize(("names", "state"), [("''", "note"), ("'pg_receivewal'", "ok")])
def test_a_standby_that_may_lack_something_is_worth_a_note(
    tmp_path: Path, names: str, state: str
) -> None:
    with PostgresServer({"synchronous_standby_names": names}) as server:
        with standby(server.url, tmp_path):
            found = server_of(server.url, tmp_path)
        assert found[0] == state
        assert ("synchronous_standby_names" in found[1]) == (state == "note")


def test_a_server_alone_outlives_nothing_but_a_loss_of_power(tmp_path: Path) -> None:
    with PostgresServer() as server:
        assert server_of(server.url, tmp_path)[0] == "ok"

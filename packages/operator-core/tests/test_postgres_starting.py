"""A server that starts, as after a power failure, is waited for by whoever opens its ledger."""

import psycopg
import pytest

from operator_core.db.postgres import connection
from operator_core.db.postgres.connection import Address
from operator_core.errors import LedgerUnavailableError

STARTING = 'connection to server at "127.0.0.1", port 5432 failed: FATAL:  the database system is '
URL = "postgresql://127.0.0.1:5432/x"


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let the server refuse with these words, one after the other, and then take us."""
    words: list[str] = []

    def connect(_: Address, name: str, *, lock_seconds: float) -> str:
        del lock_seconds
        if words:
            raise psycopg.OperationalError(words.pop(0))
        return name

    monkeypatch.setattr(Address, "connect", connect)
    monkeypatch.setattr(connection, "_FIRST_PAUSE_SECONDS", 0.001)
    monkeypatch.setattr(connection, "_LONGEST_PAUSE_SECONDS", 0.001)
    return words


def test_a_server_that_starts_is_waited_for(answers: list[str]) -> None:
    """The operator ended with an error where both machines had come up together."""
    answers += [STARTING + "starting up", STARTING + "not yet accepting connections"]
    assert str(Address(URL).connect_once("operator")) == "operator"
    assert answers == []


def test_a_server_that_is_not_there_is_said_at_once(answers: list[str]) -> None:
    answers += ["connection refused", "connection refused"]
    with pytest.raises(LedgerUnavailableError, match="connection refused"):
        Address(URL).connect_once("operator")
    assert answers == ["connection refused"]


def test_nobody_waits_for_ever(answers: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "STARTING_SECONDS", 0.0)
    answers += [STARTING + "starting up"] * 3
    with pytest.raises(LedgerUnavailableError, match="starting up"):
        Address(URL).connect_once("operator")
    assert len(answers) == 2

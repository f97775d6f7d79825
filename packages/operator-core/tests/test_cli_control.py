import sqlite3
from pathlib import Path

import pytest

from cli_kit import NASTY, Cli, add_proposals, add_workflow, claimed, now_do
from operator_core.actions.types import Outcome
from operator_core.clock import utc_now
from operator_core.db.attempts import Ending
from operator_core.db.control import ControlDB
from operator_core.db.executions import ExecutionDB
from operator_core.db.safety import KillReport
from operator_core.errors import (
    LedgerAwayError,
    LedgerFullError,
    LedgerUnavailableError,
    OperatorError,
)
from operator_core.runtime import loops


def test_the_mode_is_observe_until_somebody_sets_it(tmp_path: Path) -> None:
    cli = Cli(tmp_path)
    assert cli.json("mode")["mode"] == "observe"
    assert not cli.db_path.exists()
    state = cli.json("mode", "execute")
    assert (state["mode"], state["changed_by"]) == ("execute", "ann")
    assert state["changed_at"]
    text = cli.ok("mode")
    assert "ann" in text
    assert "execute" in text
    assert cli.json("mode", "observe")["mode"] == "observe"


def test_a_mode_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    cli = Cli(tmp_path)
    told = cli.fails(2, "mode", "autopilot")
    assert "Invalid value for 'MODE': 'autopilot' is not one of" in told
    assert not cli.db_path.exists()


def test_kill_stops_what_waits_and_holds_for_every_process(tmp_path: Path) -> None:
    cli = Cli(tmp_path)
    now_do(add_proposals(cli.db_path, 2))
    now_do(add_workflow(cli.db_path))
    data = cli.json("kill", "--reason", "wrong cluster")
    assert data["killed"] is True
    assert data["report"]["cancelled"] == [1, 2, 3, 4]
    assert data["report"]["workflows_cancelled"] == [1]
    assert data["not_stopped"] == []
    state = cli.json("mode")
    assert (state["killed_by"], state["kill_reason"]) == ("ann", "wrong cluster")
    assert "kill switch" in cli.fails(3, "actions", "propose", "wait", "-p", "seconds=1")
    assert cli.json("mode", "observe")["killed_at"] is not None
    assert cli.json("mode", "execute")["killed_at"] is None


def test_kill_lists_what_could_not_be_stopped(tmp_path: Path) -> None:
    cli = Cli(tmp_path)
    now_do(add_proposals(cli.db_path, 1, subject="prod"))
    now_do(claimed(cli.db_path, 1))
    text = cli.ok("kill", "--wait", "0")
    assert "could not be stopped" in text
    assert "operator actions show" in text
    assert [one["id"] for one in cli.json("kill", "--wait", "0.1")["not_stopped"]] == [1]


def test_kill_does_not_wait_for_what_is_in_doubt(tmp_path: Path) -> None:
    cli = Cli(tmp_path)

    async def prepare() -> None:
        await add_proposals(cli.db_path)
        attempt = await claimed(cli.db_path, 1)
        async with ExecutionDB(cli.db_path) as db:
            await db.finish(attempt, Ending(Outcome.UNKNOWN, "no answer"))

    now_do(prepare())
    assert [one["in_doubt"] for one in cli.json("kill", "--wait", "60")["not_stopped"]] == [True]


def test_kill_lists_what_waits_to_be_sent_again(tmp_path: Path) -> None:
    cli = Cli(tmp_path)

    async def prepare() -> None:
        await add_proposals(cli.db_path, 1)
        attempt = await claimed(cli.db_path, 1)
        async with ExecutionDB(cli.db_path) as db:
            await db.await_resend(attempt, "no answer", utc_now())

    now_do(prepare())
    data = cli.json("kill", "--wait", "60")
    assert (data["report"]["in_doubt"], data["report"]["cancelled"]) == ([1], [])
    assert [(one["id"], one["in_doubt"]) for one in data["not_stopped"]] == [(1, True)]


def test_kill_without_a_ledger_says_that_nothing_was_killed(tmp_path: Path) -> None:
    assert "No ledger at" in Cli(tmp_path).fails(5, "kill")


def in_trouble(patch: pytest.MonkeyPatch, errors: list[OperatorError]) -> None:
    """Let the ledger take no kill before it has said all these errors."""
    kill = ControlDB.kill

    async def pull(db: ControlDB, *, actor: str, reason: str) -> KillReport:
        if errors:
            raise errors.pop(0)
        return await kill(db, actor=actor, reason=reason)

    patch.setattr(loops, "TROUBLE_PAUSE_SECONDS", 0.001)
    patch.setattr(ControlDB, "kill", pull)


def test_a_kill_is_tried_until_the_ledger_takes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli = Cli(tmp_path)
    cli.ok("mode", "execute")
    in_trouble(monkeypatch, [LedgerFullError("Free some space."), LedgerAwayError("No answer.")])
    done = cli.invoke("kill")
    assert done.exit_code == 0
    assert "not on yet; waiting for the ledger: Free some space." in done.stderr
    assert "Kill switch is on" in done.stdout
    assert cli.json("mode")["killed_at"] is not None


def test_a_kill_that_was_given_up_says_that_nothing_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli = Cli(tmp_path)
    cli.ok("mode", "execute")
    in_trouble(monkeypatch, [LedgerFullError("Free some space.")] * 1_000_000)
    assert "The kill switch is not on" in cli.fails(5, "kill", "--within", "0")
    assert cli.json("mode")["killed_at"] is None


def test_a_kill_that_nothing_mends_ends_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli = Cli(tmp_path)
    cli.ok("mode", "execute")
    in_trouble(monkeypatch, [LedgerUnavailableError("Wrong password.")])
    assert "Wrong password" in cli.fails(5, "kill")


@pytest.mark.parametrize("arguments", [("--reason", ""), ("--wait", "-1"), ("--wait", "x")])
def test_kill_refuses_what_means_nothing(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    cli = Cli(tmp_path)
    cli.ok("mode", "execute")
    cli.fails(2, "kill", *arguments)
    assert cli.json("mode")["mode"] == "execute"


def test_a_reason_is_never_markup(tmp_path: Path) -> None:
    cli = Cli(tmp_path)
    cli.ok("mode", "execute")
    cli.ok("kill", "-r", NASTY)
    for text in (cli.ok("mode"), cli.ok("audit", "list")):
        assert "[bold]b[/bold]" in text
        assert not set(text) & set("\x1b\x07\u202e\u200b")


# --- audit ------------------------------------------------------------------------------


def audited(tmp_path: Path) -> Cli:
    """Return a command line whose audit has four rows."""
    cli = Cli(tmp_path)
    cli.ok("tickets", "open", "-m", "a")
    cli.ok("tickets", "ack", "1")
    cli.ok("mode", "execute")
    return cli


def types(events: list[dict[str, str]]) -> list[str]:
    """Return what happened, in order."""
    return [one["event_type"] for one in events]


def test_the_audit_lists_who_did_what(tmp_path: Path) -> None:
    cli = audited(tmp_path)
    every = ["ticket_opened", "ticket_acknowledged", "mode_changed"]
    assert types(cli.json("audit", "list")) == every
    assert types(cli.json("audit", "list", "--last", "2")) == every[1:]
    assert types(cli.json("audit", "list", "--ticket", "1")) == every[:2]
    assert types(cli.json("audit", "list", "--event", "mode_changed")) == every[2:]
    assert cli.json("audit", "list", "--action", "1") == []
    assert cli.json("audit", "list", "--workflow", "1") == []
    more = cli.invoke("audit", "list", "--limit", "1", "--json")
    assert "More follow" in more.stderr
    assert "Nothing happened" in cli.ok("audit", "list", "--action", "1")


def test_a_whole_audit_is_verified(tmp_path: Path) -> None:
    cli = audited(tmp_path)
    assert "whole" in cli.ok("audit", "verify")
    assert cli.json("audit", "verify") == {"whole": True, "first_broken_row": None}


def test_a_changed_row_is_found(tmp_path: Path) -> None:
    cli = audited(tmp_path)
    with sqlite3.connect(cli.db_path) as connection:
        connection.execute("UPDATE audit_log SET actor = 'nobody' WHERE id = 2")
    connection.close()
    result = cli.invoke("audit", "verify")
    assert result.exit_code == 1
    assert "tampered with" in result.stdout
    assert cli.invoke("doctor").exit_code == 1

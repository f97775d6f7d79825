import json
from datetime import timedelta
from pathlib import Path

import pytest

from cli_kit import (
    NASTY,
    Cli,
    FakePlugin,
    FakeSubject,
    add_proposals,
    claimed,
    install,
    now_do,
    part,
    unreachable,
)
from operator_core.actions.types import Outcome
from operator_core.clock import utc_now
from operator_core.db.attempts import Ending
from operator_core.db.executions import ExecutionDB
from operator_core.db.sqlite.disk import Disk, Kind
from operator_core.testing.clock import ManualClock


@pytest.fixture(autouse=True)
def on_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the ledgers of these tests lie on a disk, wherever they do."""
    lies_on(monkeypatch, Disk("ext4", Kind.LASTING))


def lies_on(monkeypatch: pytest.MonkeyPatch, disk: Disk) -> None:
    monkeypatch.setattr("operator_core.cli.doctor.disk_of", lambda _: disk)


def found(cli: Cli, code: int, *arguments: str) -> dict[str, str]:
    """Return the state of each check."""
    result = cli.invoke("doctor", "--json", *arguments)
    assert result.exit_code == code, result.output
    return {one["check"]: one["state"] for one in json.loads(result.stdout)}


def test_a_sound_ledger_has_nothing_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch)
    cli = Cli(tmp_path)
    cli.ok("connect", "fake", "--address", "x")
    assert set(found(cli, 0).values()) == {"ok"}
    assert "Nothing is wrong" in cli.ok("doctor")


@pytest.mark.parametrize(
    ("disk", "code", "state"),
    [
        (Disk("nfs4", Kind.SHARED), 1, "wrong"),
        (Disk("tmpfs", Kind.FLEETING), 0, "note"),
        (Disk("ext4", Kind.LASTING), 0, "ok"),
    ],
)
def test_what_a_ledger_lies_on_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, disk: Disk, code: int, state: str
) -> None:
    cli = Cli(tmp_path)
    cli.ok("mode", "execute")
    lies_on(monkeypatch, disk)
    assert found(cli, code)["disk"] == state
    assert disk.name in cli.invoke("doctor").stdout


def test_a_ledger_with_two_names_is_told(tmp_path: Path) -> None:
    cli = Cli(tmp_path)
    cli.ok("mode", "execute")
    (tmp_path / "other").hardlink_to(cli.db_path)
    assert found(cli, 1)["disk"] == "wrong"


def test_without_a_cluster_it_says_so(tmp_path: Path) -> None:
    cli = Cli(tmp_path)
    cli.ok("mode", "execute")
    assert found(cli, 0)["clusters"] == "note"


def test_the_kill_switch_is_worth_a_note(tmp_path: Path) -> None:
    cli = Cli(tmp_path)
    cli.ok("mode", "execute")
    cli.ok("kill")
    assert found(cli, 0)["kill switch"] == "note"


def test_a_cluster_that_cannot_be_read_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(monkeypatch, unreachable())
    cli = Cli(tmp_path)
    cli.ok("connect", "fake", "--address", "x", "--no-check")
    assert found(cli, 1)["cluster fake"] == "wrong"
    assert "cluster fake" not in found(cli, 0, "--no-reach")
    text = cli.invoke("doctor").stdout
    assert "[bold]b[/bold]" in text
    assert not set(text) & set("\x1b\x07\u202e\u200b")


def test_a_cluster_that_is_partly_seen_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = {"stores": part({"a": 1}), NASTY: part({}, error="x")}
    install(monkeypatch, FakePlugin(subject=FakeSubject(parts=parts)))
    cli = Cli(tmp_path)
    cli.ok("connect", "fake", "--address", "x")
    assert found(cli, 1)["cluster fake"] == "wrong"


def test_a_plugin_that_is_gone_or_broken_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plugin = install(monkeypatch, FakePlugin(subject=FakeSubject(error=KeyError("stores"))))
    cli = Cli(tmp_path)
    cli.ok("connect", "fake", "--address", "x", "--no-check")
    assert found(cli, 1)["cluster fake"] == "wrong"
    plugin.name = "renamed"
    install(monkeypatch, plugin)
    assert "No plugin 'fake'" in cli.invoke("doctor").stdout


def test_what_is_in_doubt_and_what_is_abandoned_is_wrong(tmp_path: Path) -> None:
    cli = Cli(tmp_path)

    async def prepare() -> None:
        await add_proposals(cli.db_path, 2)
        attempt = await claimed(cli.db_path, 1)
        async with ExecutionDB(cli.db_path) as db:
            await db.finish(attempt, Ending(Outcome.UNKNOWN, "no answer"))
        await claimed(cli.db_path, 2, lease_seconds=0)

    now_do(prepare())
    states = found(cli, 1, "--no-reach")
    assert (states["action 1"], states["action 2"]) == ("wrong", "wrong")
    assert "operator actions settle 1" in cli.invoke("doctor").stdout


@pytest.mark.parametrize(("late_seconds", "state"), [(3600, "wrong"), (0, None)])
def test_what_nobody_sends_again_is_wrong(
    tmp_path: Path, late_seconds: float, state: str | None
) -> None:
    cli = Cli(tmp_path)

    async def prepare() -> None:
        await add_proposals(cli.db_path, 1)
        attempt = await claimed(cli.db_path, 1)
        then = utc_now() - timedelta(seconds=late_seconds)
        async with ExecutionDB(cli.db_path, clock=ManualClock(then)) as db:
            await db.await_resend(attempt, "no answer", then)

    now_do(prepare())
    assert found(cli, 1 if state else 0, "--no-reach").get("action 1") == state
    shown = cli.ok("actions", "show", "1")
    assert "to be sent again (executing)" in shown
    assert "operator actions settle 1" in shown
    cli.ok("actions", "settle", "1", "--done")
    assert "completed" in cli.ok("actions", "show", "1")

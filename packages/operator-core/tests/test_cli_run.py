import json
from collections.abc import Callable
from pathlib import Path

import pytest

from cli_kit import NASTY, Cli, FakePlugin, FakeSubject, install, unreachable
from operator_core.monitor.retention import MIB, Retention
from operator_core.runtime.options import RunOptions


def connected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, plugin: FakePlugin) -> Cli:
    """Return a command line that is connected to the cluster in memory."""
    install(monkeypatch, plugin)
    cli = Cli(tmp_path)
    cli.ok("connect", "fake", "--address", "x", "--no-check")
    return cli


def asked_of_the_loop(monkeypatch: pytest.MonkeyPatch) -> list[RunOptions]:
    """Replace the loop by one that only notes how it was started."""
    asked: list[RunOptions] = []

    async def note(_: Path, options: RunOptions) -> None:
        asked.append(options)
        if options.on_event is not None:
            options.on_event(f"ticket {NASTY}")

    monkeypatch.setattr("operator_core.cli.run.run_loop", note)
    return asked


def up_until(is_done: Callable[[], bool], cli: Cli, *options: str) -> str:
    """Let Operator run for a moment, and again until it came to it, however slow the machine is.

    Returns what it told.
    """
    told = ""
    while not is_done():
        moment = ["--lifetime-seconds", "0.3", "--interval-seconds", "0.05"]
        told += cli.ok("up", *moment, *options)
    assert "watching fake" in told
    return told


def test_up_watches_and_opens_tickets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cli = connected(tmp_path, monkeypatch, FakePlugin())
    told = up_until(lambda: cli.invoke("diagnose", "1").exit_code == 0, cli)
    assert "ticket 1 opened (fake): " in told
    assert "ticket 1 diagnosed (fake): disk" in told
    assert [one["target"] for one in cli.json("tickets", "list")] == ["s1"]
    assert cli.json("diagnose", "1")["hypothesis"] == "disk"


def test_events_are_one_json_object_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked_of_the_loop(monkeypatch)
    lines = Cli(tmp_path).ok("up", "--json").splitlines()
    assert [json.loads(line)["event"] for line in lines] == [f"ticket {NASTY}"]


def test_events_are_never_markup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked_of_the_loop(monkeypatch)
    text = Cli(tmp_path).ok("up")
    assert "[/x] [bold]b[/bold]" in text
    assert not set(text) & set("\x1b\x07\u202e\u200b")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("up",), (True, True, True, ())),
        (("up", "--approval"), (True, True, True, ())),
        (
            ("up", "--no-approval", "--subject", "a", "--subject", "b"),
            (True, True, False, ("a", "b")),
        ),
        (("monitor", "run"), (True, False, None, ())),
        (("agent", "start", "--no-approval"), (False, True, False, ())),
        (("agent", "start", "--approval"), (False, True, True, ())),
    ],
)
def test_options_reach_the_loop(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    expected: tuple[object, ...],
) -> None:
    asked = asked_of_the_loop(monkeypatch)
    Cli(tmp_path).ok(*arguments)
    [options] = asked
    found = (options.monitor, options.agent, options.require_approval, options.subjects)
    assert found == expected


def test_without_an_option_the_environment_says_who_approves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = asked_of_the_loop(monkeypatch)
    for text in ("false", "true"):
        monkeypatch.setenv("OPERATOR_APPROVAL_MODE", text)
        Cli(tmp_path).ok("up", "--lease-seconds", "4")
    assert [one.require_approval for one in asked] == [False, True]
    assert asked[0].lease_seconds == 4
    monkeypatch.setenv("OPERATOR_APPROVAL_MODE", "perhaps")
    assert "OPERATOR_APPROVAL_MODE" in Cli(tmp_path).fails(2, "up")


def test_what_is_kept_is_as_given_or_as_the_environment_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = asked_of_the_loop(monkeypatch)
    cli = Cli(tmp_path)
    cli.ok("up")
    cli.ok("up", "--keep-mib", "2", "--keep-days", "3", "--keep-around-minutes", "5")
    monkeypatch.setenv("OPERATOR_KEEP_MIB", "0.5")
    cli.ok("monitor", "run", "--keep-days", "7")
    assert [one.retention for one in asked] == [
        Retention(),
        Retention(2 * MIB, 3 * 86_400, 300),
        Retention(MIB // 2, 7 * 86_400),
    ]
    monkeypatch.setenv("OPERATOR_KEEP_MIB", "much")
    assert "OPERATOR_KEEP_MIB is 'much'" in cli.fails(2, "up")


def test_the_budget_is_shown_as_the_monitor_goes_by_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli = connected(tmp_path, monkeypatch, FakePlugin(subject=FakeSubject()))
    assert "no monitor has looked yet" in cli.ok("ledger", "info")
    up_until(lambda: int(cli.json("ledger", "info")["looks"]) > 1, cli, "--keep-mib", "3")
    told = cli.json("ledger", "info")
    assert told["limits"]["budget_bytes"] == 3 * MIB
    assert [one["kept_as"] for one in told["kinds"]] == ["fresh", "evidence"]
    assert told["looks"] == sum(one["looks"] for one in told["kinds"]) > 1
    assert "of 3.0 MiB, at most 90 days old" in cli.ok("ledger", "info")
    assert "of 3.0 MiB" in cli.ok("doctor", "--no-reach")


def test_logs_go_to_stderr_without_a_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli = connected(tmp_path, monkeypatch, unreachable())
    while not (result := cli.invoke("up", "--lifetime-seconds", "0.2", "--json")).stderr:
        assert result.exit_code == 0, result.output
    assert result.exit_code == 0, result.output
    assert all(json.loads(line) for line in result.stdout.splitlines())
    assert "observation_failed" in result.stderr
    assert "Traceback" not in result.stderr
    assert not set(result.stderr) & set("\x1b\x07\u202e\u200b")


@pytest.mark.parametrize("command", [("up",), ("monitor", "run"), ("agent", "start")])
def test_without_a_cluster_it_says_how_to_connect_one(
    tmp_path: Path, command: tuple[str, ...]
) -> None:
    assert "operator connect" in Cli(tmp_path).fails(2, *command)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--interval-seconds", "0"), "--interval-seconds"),
        (("--interval-seconds", "nan"), "--interval-seconds"),
        (("--interval-seconds", "soon"), "--interval-seconds"),
        (("--lease-seconds", "0"), "--lease-seconds"),
        (("--lifetime-seconds", "-1"), "--lifetime-seconds"),
        (("--lifetime-seconds", "inf"), "--lifetime-seconds"),
        (("--keep-mib", "0"), "--keep-mib"),
        (("--keep-days", "nan"), "--keep-days"),
        (("--keep-around-minutes", "inf"), "--keep-around-minutes"),
        (("--subject", "nobody"), "Subject nobody not found"),
    ],
)
def test_options_that_mean_nothing_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], message: str
) -> None:
    cli = connected(tmp_path, monkeypatch, FakePlugin(subject=FakeSubject()))
    assert message in cli.fails(2, "up", *arguments)

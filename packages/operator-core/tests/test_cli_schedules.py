from datetime import timedelta
from pathlib import Path

import pytest

from cli_kit import NASTY, Cli, install
from operator_core.cli.values import not_before
from operator_core.clock import utc_now
from operator_core.errors import RequestError

ADD = ("schedules", "add", "nightly", "wait", "-p", "seconds=5", "--cron", "0 3 * * *")


def with_schedule(tmp_path: Path, *more: str) -> Cli:
    """Return a command line whose ledger has one schedule."""
    cli = Cli(tmp_path)
    cli.ok("mode", "observe")
    cli.ok(*ADD, *more)
    return cli


def test_a_schedule_is_added_shown_and_listed(tmp_path: Path) -> None:
    cli = with_schedule(tmp_path, "--zone", "Europe/Berlin", "--missed", "skip", "-r", "tidy")
    found = cli.json("schedules", "show", "nightly")
    assert (found["cron"], found["time_zone"], found["missed_policy"]) == (
        "0 3 * * *",
        "Europe/Berlin",
        "skip",
    )
    assert (found["action_name"], found["action_type"]) == ("wait", "tool")
    assert found["parameters"]["seconds"] == 5
    assert (found["created_by"], found["reason"], found["enabled"]) == ("ann", "tidy", True)
    text = cli.ok("schedules", "show", "nightly")
    assert "0 3 * * * (Europe/Berlin)" in text
    assert "next run" in text
    assert [one["name"] for one in cli.json("schedules", "list")] == ["nightly"]
    assert "nightly" in cli.ok("schedules", "list")


def test_an_action_of_a_cluster_is_scheduled_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(monkeypatch)
    cli = Cli(tmp_path)
    cli.ok("connect", "fake", "--address", "here")
    cli.ok("schedules", "add", "s", "clean", "-p", "store=s1", "--cron", "*/5 * * * *")
    assert cli.json("schedules", "show", "s")["subject"] == "fake"


def test_a_schedule_is_disabled_enabled_and_removed(tmp_path: Path) -> None:
    cli = with_schedule(tmp_path)
    assert cli.json("schedules", "disable", "nightly")["enabled"] is False
    assert "disabled" in cli.ok("schedules", "list")
    assert "disabled already" in cli.fails(4, "schedules", "disable", "nightly")
    assert cli.json("schedules", "enable", "nightly")["enabled"] is True
    assert "enabled already" in cli.fails(4, "schedules", "enable", "nightly")
    assert "is removed" in cli.ok("schedules", "remove", "nightly")
    assert "No schedules" in cli.ok("schedules", "list")
    events = [one["event_type"] for one in cli.json("audit", "list")]
    told = [event for event in events if event.startswith("schedule_")]
    assert sorted(told) == [
        "schedule_created",
        "schedule_disabled",
        "schedule_enabled",
        "schedule_removed",
    ]


def test_schedules_are_paged(tmp_path: Path) -> None:
    cli = with_schedule(tmp_path)
    cli.ok("schedules", "add", "second", "wait", "-p", "seconds=5", "--cron", "0 4 * * *")
    assert "--after 1" in cli.invoke("schedules", "list", "--limit", "1").stderr
    assert [one["name"] for one in cli.json("schedules", "list", "--after", "1")] == ["second"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("x", "wait", "-p", "seconds=5", "--cron", "61 3 * *"), "has 4 fields"),
        (("x", "wait", "-p", "seconds=5", "--cron", "61 25 * * *"), "minute: '61'"),
        (("x", "wait", "-p", "seconds=5", "--cron", "61 25 * * *"), "hour: '25'"),
        (
            ("x", "wait", "-p", "seconds=5", "--cron", "0 3 * * *", "--zone", "Mars"),
            "time zone 'Mars'",
        ),
        (("x", "burn", "--cron", "0 3 * * *"), "Unknown action 'burn'"),
        (("x", "wait", "-p", "seconds=no", "--cron", "0 3 * * *"), "seconds"),
        ((" ", "wait", "-p", "seconds=5", "--cron", "0 3 * * *"), "NAME is empty"),
        (("x", "wait", "-p", "seconds=5", "--cron", "0 3 * * *", "-r", ""), "--reason is empty"),
    ],
)
def test_what_cannot_be_scheduled_is_one_clear_line(
    tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    cli = with_schedule(tmp_path)
    assert words in cli.fails(2, "schedules", "add", *arguments)
    assert len(cli.json("schedules", "list")) == 1


def test_a_name_that_is_taken_is_a_conflict(tmp_path: Path) -> None:
    assert "already" in with_schedule(tmp_path).fails(4, *ADD)


@pytest.mark.parametrize("command", ["show", "enable", "disable", "remove"])
def test_a_schedule_that_is_not_there_is_an_error(tmp_path: Path, command: str) -> None:
    cli = with_schedule(tmp_path)
    assert "Schedule other not found" in cli.fails(2, "schedules", command, "other")


def test_text_of_a_schedule_is_never_markup(tmp_path: Path) -> None:
    cli = Cli(tmp_path)
    cli.ok("mode", "observe")
    arguments = ("wait", "-p", "seconds=5", "--cron", "0 3 * * *", "-r", NASTY)
    cli.ok("schedules", "add", NASTY, *arguments)
    for text in (cli.ok("schedules", "list"), cli.ok("schedules", "show", NASTY)):
        assert "[bold]b[/bold]" in text
        assert not set(text) & set("\x1b\x07\u202e\u200b")


# --- once, later -------------------------------------------------------------------------


@pytest.mark.parametrize("when", [("--in", "5m"), ("--at", "soon")])
def test_an_action_is_proposed_for_later(tmp_path: Path, when: tuple[str, str]) -> None:
    cli = Cli(tmp_path)
    cli.ok("mode", "execute")
    option, text = when
    if text == "soon":
        text = (utc_now() + timedelta(hours=1)).isoformat()
    cli.ok("actions", "propose", "wait", "-p", "seconds=1", option, text)
    (found,) = cli.json("actions", "list")
    assert found["scheduled_at"] is not None
    assert "not before" in cli.ok("actions", "show", "1")


@pytest.mark.parametrize(
    ("later", "at", "words"),
    [
        ("5", None, "such as 5m"),
        ("-5m", None, "such as 5m"),
        ("", None, "such as 5m"),
        ("999999999d", None, "366 days"),
        (None, "tomorrow", "--at"),
        (None, "2001-01-01T00:00", "366 days"),
        (None, "9999-12-30T00:00", "366 days"),
        ("5m", "2031-01-01T00:00", "not both"),
    ],
)
def test_a_time_that_cannot_be_meant_is_an_error(
    later: str | None, at: str | None, words: str
) -> None:
    with pytest.raises(RequestError, match=words):
        not_before(later, at, utc_now())


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("5m", 300), ("2h", 7_200), ("1d", 86_400)]
)
def test_a_duration_is_read(text: str, seconds: int) -> None:
    now = utc_now()
    due = not_before(text, None, now)
    assert due is not None
    assert (due - now).total_seconds() == seconds

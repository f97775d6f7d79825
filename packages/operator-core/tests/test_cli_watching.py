"""`operator snooze` and `operator rules`, as a person types them."""

from pathlib import Path

import pytest

from cli_kit import NASTY, Cli, FakePlugin, FakeSubject, install, now_do, part
from operator_core.db.sharing import LedgerUse
from operator_core.monitor.tickets import Look
from operator_core.runtime.wiring import wire


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    install(monkeypatch)
    made = Cli(tmp_path)
    made.ok("connect", "fake", "--address", "here")
    return made


def look(cli: Cli, subject: FakeSubject | None = None) -> Look:
    async def once() -> Look:
        async with LedgerUse(cli.db_path) as ledger:
            wired = wire(ledger, subject or FakeSubject())
            seen = await wired.monitor.step()
            await wired.investigate.step()
            return seen

    return now_do(once())


def test_a_snoozed_rule_opens_no_ticket_until_it_is_ended(cli: Cli) -> None:
    made = cli.json("snooze", "full", "--for", "2h", "--reason", f"disks at noon {NASTY}")
    assert (made["rule"], made["target"], made["subject"]) == ("full", None, "fake")
    assert [one.target for one in look(cli).snoozed] == ["s1"]
    assert cli.json("tickets", "list") == []
    text = cli.ok("tickets", "list")
    assert "Snoozed: full" in text
    assert "disks at noon [/x]" in cli.ok("snooze", "list")
    assert "is over" in cli.ok("snooze", "end", "1")
    assert cli.fails(4, "snooze", "end", "1") == "Error: Snooze 1 is over already.\n"
    assert not look(cli).snoozed
    assert [one["target"] for one in cli.json("tickets", "list")] == ["s1"]
    assert cli.json("snooze", "list") == []
    assert len(cli.json("snooze", "list", "--all")) == 1
    events = [one["event_type"] for one in cli.json("audit", "list")]
    assert [one for one in events if one.startswith("snooze")] == ["snoozed", "snooze_ended"]


def test_an_open_ticket_is_marked_and_nobody_works_on_it(cli: Cli) -> None:
    broken = FakeSubject(parts={"stores": part({"s1": 0.95, "s2": 0.95})})
    cli.ok("snooze", "add", "s2", "--for", "1h", "-r", "new disk")
    look(cli, broken)
    cli.ok("tickets", "open", "-m", "s2 hurts", "--key", "full:s2", "--subject", "fake")
    look(cli, broken)
    states = {one["target"]: one["status"] for one in cli.json("tickets", "list")}
    assert states == {"s1": "diagnosed", "s2": "open"}
    assert "open (snoozed)" in cli.ok("tickets", "list")
    assert "new disk" in cli.ok("tickets", "show", "2")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("ful", "--for", "1h", "-r", "x"), "Did you mean full? Known: full, invariant_failed"),
        (("nope:s1", "--for", "1h", "-r", "x"), "There is no rule 'nope'"),
        (("full", "-r", "x"), "needs an end"),
        (("full", "--for", "1h", "-r", " "), "--reason"),
        (("full", "--until", "2001-01-01T00:00", "-r", "x"), "--for and --until must lie"),
        (("full", "--for", "soon", "-r", "x"), "--for 'soon'"),
        (("full", "--for", "1h", "--until", "2031-01-01", "-r", "x"), "not both"),
    ],
)
def test_what_cannot_be_snoozed_is_told(cli: Cli, arguments: tuple[str, ...], words: str) -> None:
    assert words in cli.fails(2, "snooze", *arguments)


def test_rules_are_listed_set_and_reset(cli: Cli) -> None:
    assert [one["rule"] for one in cli.json("rules", "list")] == ["full"]
    made = cli.json("rules", "set", "full", "--grace-seconds", "3600")
    assert (made["grace_seconds"], made["set"]) == (3600, True)
    cli.ok("rules", "set", "full", "--clear-seconds", "9")
    assert cli.json("rules", "list")[0]["grace_seconds"] == 3600
    look(cli)
    assert cli.json("tickets", "list") == []
    assert "here" in cli.ok("rules", "list")
    cli.ok("rules", "reset", "full")
    look(cli)
    assert len(cli.json("tickets", "list")) == 1
    assert "not found" in cli.fails(2, "rules", "reset", "full")
    events = [one["event_type"] for one in cli.json("audit", "list")]
    assert [one for one in events if one.startswith("rule_")] == [
        "rule_set",
        "rule_set",
        "rule_reset",
    ]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("fulll", "--grace-seconds", "1"), "no rule 'fulll' to set. Known: full."),
        (("full",), "Nothing to set"),
        (("full", "-t", "most=1"), "no threshold 'most'. Known: none."),
        (("full", "-t", "most"), "must be NAME=NUMBER"),
        (("full", "-t", "most=nan"), "must be NAME=NUMBER"),
        (("full", "--grace-seconds", "-1"), "grace_seconds"),
        (("full", "--grace-seconds", "inf"), "grace_seconds"),
    ],
)
def test_what_cannot_be_set_is_told(cli: Cli, arguments: tuple[str, ...], words: str) -> None:
    assert words in cli.fails(2, "rules", "set", *arguments)


def test_without_a_cluster_there_are_no_rules_but_a_target_can_be_snoozed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(monkeypatch, FakePlugin())
    cli = Cli(tmp_path)
    cli.ok("snooze", "store-4", "--for", "1h", "-r", "x")
    assert "every cluster" in cli.ok("snooze", "list")
    assert "operator connect" in cli.fails(2, "rules", "list")

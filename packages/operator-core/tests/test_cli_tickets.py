from pathlib import Path

import pytest

from cli_kit import NASTY, Cli, add_proposals, now_do
from operator_core.agent.diagnosis import Diagnosis
from operator_core.db.tickets import TicketDB


def opened(tmp_path: Path, *messages: str) -> Cli:
    """Return a command line whose ledger has a ticket for each message."""
    cli = Cli(tmp_path)
    for message in messages or ("store 4 is slow",):
        cli.ok("tickets", "open", "-m", message)
    return cli


def test_an_empty_list_says_what_to_do_next(tmp_path: Path) -> None:
    cli = opened(tmp_path)
    cli.ok("tickets", "resolve", "1")
    assert "operator up" in cli.ok("tickets", "list")
    assert cli.json("tickets", "list") == []


def test_a_ticket_is_opened_by_hand(tmp_path: Path) -> None:
    cli = Cli(tmp_path)
    ticket = cli.json(
        *("tickets", "open", "--message", "disk", "--severity", "critical"),
        *("--subject", "prod", "--target", "store-4"),
    )
    assert ticket["id"] == 1
    assert ticket["violation_key"] == "manual:store-4"
    assert (ticket["subject"], ticket["severity"]) == ("prod", "critical")
    (opened_by_hand,) = cli.json("audit", "list")
    assert opened_by_hand["event_type"] == "ticket_opened"
    assert opened_by_hand["actor"] == "ann"


@pytest.mark.parametrize(
    ("arguments", "key"),
    [
        ((), "manual:store-4-is-slow"),
        (("--target", "s4"), "manual:s4"),
        (("--key", "slow:s4"), "slow:s4"),
        (("--key", "slow"), "slow:"),
        (("--key", "slow", "--target", "s4"), "slow:s4"),
    ],
)
def test_the_key_is_given_or_derived(tmp_path: Path, arguments: tuple[str, ...], key: str) -> None:
    ticket = Cli(tmp_path).json("tickets", "open", "-m", "Store 4 is slow!", *arguments)
    assert ticket["violation_key"] == key


def test_the_same_key_is_the_same_ticket(tmp_path: Path) -> None:
    cli = opened(tmp_path, "slow", "slow")
    [ticket] = cli.json("tickets", "list")
    assert ticket["occurrence_count"] == 2


def test_the_list_is_filtered_and_paged(tmp_path: Path) -> None:
    cli = opened(tmp_path, "a", "b", "c")
    cli.ok("tickets", "ack", "2")
    cli.ok("tickets", "resolve", "3")
    ids = [one["id"] for one in cli.json("tickets", "list", "--status", "acknowledged")]
    assert ids == [2]
    assert [one["id"] for one in cli.json("tickets", "list")] == [1, 2]
    assert [one["id"] for one in cli.json("tickets", "list", "--all")] == [1, 2, 3]
    assert cli.json("tickets", "list", "--subject", "nobody") == []
    first = cli.invoke("tickets", "list", "--all", "--limit", "2", "--json")
    assert "--after 2" in first.stderr
    assert [one["id"] for one in cli.json("tickets", "list", "--all", "--after", "2")] == [3]


def test_a_ticket_goes_through_its_life(tmp_path: Path) -> None:
    cli = opened(tmp_path)
    assert "acknowledged by ann" in cli.ok("tickets", "ack", "1")
    assert cli.json("tickets", "comment", "1", "disk replaced")["author"] == "ann"
    assert cli.json("tickets", "hold", "1", "--reason", "mine")["held"] is True
    assert "(held)" in cli.ok("tickets", "list")
    assert cli.json("tickets", "unhold", "1")["held"] is False
    resolved = cli.json("tickets", "resolve", "1", "-r", "replaced")
    assert (resolved["status"], resolved["resolution"]) == ("resolved", "replaced")
    shown = cli.json("tickets", "show", "1")
    assert [one["body"] for one in shown["comments"]][-1] == "disk replaced"
    assert "ticket_resolved" in [one["event_type"] for one in shown["events"]]


def test_a_ticket_is_shown_with_its_diagnosis_and_actions(tmp_path: Path) -> None:
    cli = opened(tmp_path)

    async def prepare() -> None:
        await add_proposals(cli.db_path, ticket_id=1)
        async with TicketDB(cli.db_path) as db:
            await db.add_diagnosis(Diagnosis(ticket_id=1, cause="a small disk", confidence=0.9))

    now_do(prepare())
    text = cli.ok("tickets", "show", "1")
    assert "a small disk" in text
    assert "0%" in text  # nothing speaks for it
    assert "wait" in text
    data = cli.json("tickets", "show", "1")
    assert data["diagnosis"]["confidence"] == 0
    assert [one["id"] for one in data["proposals"]] == [1]


def test_text_is_never_markup_and_never_acts(tmp_path: Path) -> None:
    cli = opened(tmp_path, NASTY)
    cli.ok("tickets", "comment", "1", NASTY)
    cli.ok("tickets", "hold", "1", "-r", NASTY)
    for text in (cli.ok("tickets", "list"), cli.ok("tickets", "show", "1")):
        assert "[/x] [bold]b[/bold]" in text
        assert "\\x1b[31mred\\x07 \\u202egnp.exe\\u200b :smile:" in text
        assert not set(text) & set("\x1b\x07\u202e\u200b")
    assert cli.json("tickets", "list")[0]["message"] == NASTY
    assert cli.ok("tickets", "list", "--json").isascii()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("show", "99"), "Ticket 99 not found"),
        (("ack", "99"), "Ticket 99 not found"),
        (("comment", "99", "x"), "Ticket 99 not found"),
        (("resolve", "99"), "Ticket 99 not found"),
        (("comment", "1", " "), "The comment is empty"),
        (("comment", "1", "a\udc80"), "no valid Unicode"),
        (("resolve", "1", "-r", ""), "--reason is empty"),
        (("open", "-m", ""), "--message is empty"),
        (("open", "-m", "a", "--key", ":"), "The rule in --key is empty"),
        (("open", "-m", "a", "--key", "r:x", "--target", "y"), "--target says"),
        (("show", "0"), "ID"),
        (("show", "-1"), "-1"),
        (("show", "x"), "ID"),
        (("show", str(2**63)), "ID"),
        (("show",), "ID"),
        (("list", "--status", "broken"), "--status"),
        (("list", "--limit", "0"), "--limit"),
        (("open", "-m", "a", "--severity", "awful"), "--severity"),
        (("unknown",), "unknown"),
    ],
)
def test_a_request_that_means_nothing_is_refused(
    tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    assert message in opened(tmp_path).fails(2, "tickets", *arguments)


@pytest.mark.parametrize("command", ["ack", "resolve", "hold", "unhold"])
def test_a_step_that_the_life_cycle_does_not_have_is_a_conflict(
    tmp_path: Path, command: str
) -> None:
    cli = opened(tmp_path)
    cli.ok("tickets", "resolve", "1")
    assert "Ticket 1 is resolved" in cli.fails(4, "tickets", command, "1")

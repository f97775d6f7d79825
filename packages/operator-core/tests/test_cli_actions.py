from pathlib import Path

import pytest

from cli_kit import NASTY, Cli, add_proposals, add_workflow, claimed, install, now_do
from operator_core.actions.types import ActionStatus, Outcome
from operator_core.db.actions import ActionDB
from operator_core.db.attempts import Ending
from operator_core.db.executions import ExecutionDB


def proposed(tmp_path: Path, count: int = 1, **fields: object) -> Cli:
    """Return a command line whose ledger has proposals."""
    cli = Cli(tmp_path)
    now_do(add_proposals(cli.db_path, count, **fields))
    return cli


async def fail(path: Path, proposal_id: int, *, outcome: Outcome) -> None:
    """Attempt a proposal, with this outcome."""
    attempt = await claimed(path, proposal_id)
    async with ExecutionDB(path) as db:
        await db.finish(attempt, Ending(outcome, "the disk is gone"))


def test_actions_are_listed_filtered_and_paged(tmp_path: Path) -> None:
    cli = proposed(tmp_path, 3)
    cli.ok("actions", "reject", "2")
    assert [one["id"] for one in cli.json("actions", "list")] == [1, 2, 3]
    assert [one["id"] for one in cli.json("actions", "list", "--status", "proposed")] == [1, 3]
    assert cli.json("actions", "list", "--ticket", "1") == []
    assert cli.json("actions", "list", "--workflow", "1") == []
    assert cli.json("actions", "list", "--subject", "x") == []
    assert "--after 2" in cli.invoke("actions", "list", "--limit", "2").stderr
    assert [one["id"] for one in cli.json("actions", "list", "--after", "2")] == [3]
    assert "operator tickets list" in cli.ok("actions", "list", "--subject", "x")


def test_an_action_is_approved_once_by_name(tmp_path: Path) -> None:
    cli = proposed(tmp_path)
    assert "actions approve 1" in cli.ok("actions", "show", "1")
    assert cli.json("actions", "approve", "1")["approved_by"] == "ann"
    assert "proposed (approved)" in cli.ok("actions", "list")
    assert "approved already" in cli.fails(4, "actions", "approve", "1")


def test_an_action_is_rejected_with_a_reason(tmp_path: Path) -> None:
    cli = proposed(tmp_path)
    rejected = cli.json("actions", "reject", "1", "-r", "not by day")
    assert (rejected["status"], rejected["rejected_by"]) == ("cancelled", "ann")
    assert "not by day" in cli.ok("actions", "show", "1")
    assert "rejecting it is not possible" in cli.fails(4, "actions", "reject", "1")


def test_an_action_that_has_not_started_is_cancelled(tmp_path: Path) -> None:
    cli = proposed(tmp_path)
    assert cli.json("actions", "cancel", "1", "-r", "no")["status"] == "cancelled"
    assert "cancelling it is not possible" in cli.fails(4, "actions", "cancel", "1")


def test_a_running_action_is_asked_to_stop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("operator_core.actions.executor.CANCEL_WAIT_SECONDS", 0.2)
    cli = proposed(tmp_path)
    now_do(claimed(cli.db_path, 1))
    assert "still runs" in cli.fails(4, "actions", "cancel", "1")
    events = [one["event_type"] for one in cli.json("actions", "show", "1")["events"]]
    assert "cancel_requested" in events


def test_a_failed_action_is_tried_again(tmp_path: Path) -> None:
    cli = proposed(tmp_path)
    now_do(fail(cli.db_path, 1, outcome=Outcome.FAILED))
    text = cli.ok("actions", "show", "1")
    assert "the disk is gone" in text
    assert "operator actions retry 1" in text
    assert cli.json("actions", "retry", "1")["status"] == "validated"
    asked = [one for one in cli.json("audit", "list") if one["event_type"] == "retry_started"]
    assert [one["actor"] for one in asked] == ["ann"]
    assert "trying it again is not possible" in cli.fails(4, "actions", "retry", "1")


@pytest.mark.parametrize(("answer", "status"), [("--done", "completed"), ("--not-done", "failed")])
def test_a_person_settles_what_is_in_doubt(tmp_path: Path, answer: str, status: str) -> None:
    cli = proposed(tmp_path)
    now_do(fail(cli.db_path, 1, outcome=Outcome.UNKNOWN))
    assert "operator actions settle 1" in cli.ok("actions", "show", "1")
    assert "--done or --not-done" in cli.fails(2, "actions", "settle", "1")
    cli.json("actions", "settle", "1", answer)
    assert cli.json("actions", "show", "1")["proposal"]["status"] == status
    assert cli.fails(4, "actions", "settle", "1", answer)


def test_a_step_points_to_its_workflow(tmp_path: Path) -> None:
    cli = Cli(tmp_path)
    now_do(add_workflow(cli.db_path))
    assert "operator workflows show 1" in cli.ok("actions", "show", "2")


def test_text_of_an_action_is_never_markup(tmp_path: Path) -> None:
    cli = proposed(tmp_path, reason=NASTY, parameters={NASTY: NASTY}, subject=NASTY)
    cli.ok("actions", "reject", "1", "-r", NASTY)
    for text in (cli.ok("actions", "list"), cli.ok("actions", "show", "1")):
        assert "[bold]b[/bold]" in text
        assert not set(text) & set("\x1b\x07\u202e\u200b")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("show", "9"), "Proposal 9 not found"),
        (("approve", "9"), "Proposal 9 not found"),
        (("reject", "9"), "Proposal 9 not found"),
        (("cancel", "9"), "Proposal 9 not found"),
        (("retry", "9"), "Proposal 9 not found"),
        (("settle", "9", "--done"), "Proposal 9 not found"),
        (("approve", "zero"), "ID"),
        (("list", "--ticket", "-3"), "--ticket"),
        (("list", "--status", "running"), "--status"),
    ],
)
def test_an_action_that_is_not_there_is_an_error(
    tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    assert message in proposed(tmp_path).fails(2, "actions", *arguments)


# --- propose ----------------------------------------------------------------------------


def may_act(tmp_path: Path) -> Cli:
    """Return a command line in execute mode, connected to the cluster in memory."""
    cli = Cli(tmp_path)
    cli.ok("mode", "execute")
    cli.ok("connect", "fake", "--address", "here")
    return cli


def test_an_action_is_proposed_by_the_types_of_its_parameters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plugin = install(monkeypatch)
    cli = may_act(tmp_path)
    found = cli.json(
        *("actions", "propose", "clean", "-p", "store=4", "-p", "depth=2", "-p", "force=yes"),
        *("-p", "tags=[1]", "--params-json", '{"options": {"a": 1}}', "--reason", "full"),
    )
    assert found["parameters"] == {
        "store": "4",
        "share": 0.5,
        "depth": 2,
        "force": True,
        "tags": [1],
        "options": {"a": 1},
    }
    assert (found["subject"], found["proposed_by"], found["reason"]) == ("fake", "ann", "full")
    assert (found["status"], found["approved_at"]) == ("proposed", None)
    assert plugin.subject.closed


def test_general_tools_need_no_cluster(tmp_path: Path) -> None:
    cli = Cli(tmp_path)
    cli.ok("mode", "execute")
    cli.ok("tickets", "open", "-m", "x")
    found = cli.json("actions", "propose", "wait", "-p", "seconds=5", "--ticket", "1")
    assert (found["subject"], found["ticket_id"]) == (None, 1)


def test_in_observe_mode_nothing_is_proposed(tmp_path: Path) -> None:
    cli = Cli(tmp_path)
    assert "operator mode execute" in cli.fails(3, "actions", "propose", "wait", "-p", "seconds=1")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nothing",), "Unknown action 'nothing'. Available actions: clean"),
        (("clean",), "store: is missing"),
        (("clean", "-p", "store=1", "-p", "depth=0", "-p", "x=1"), "depth: must be at least 1"),
        (("clean", "-p", "store=1", "-p", "depth=0", "-p", "x=1"), "'x': unknown parameter"),
        (("clean", "-p", "store=1", "-p", "share=nan"), "share: must be float"),
        (("clean", "-p", "store"), "NAME=VALUE"),
        (("clean", "--params-json", "{"), "no JSON"),
        (("clean", "-p", "store=1", "--subject", "none"), "Subject none not found"),
        (("clean", "-p", "store=1", "--ticket", "7"), "Ticket 7 not found"),
        (("clean", "-p", "store=1", "--reason", " "), "--reason is empty"),
    ],
)
def test_a_proposal_that_does_not_fit_is_refused_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], message: str
) -> None:
    install(monkeypatch)
    cli = may_act(tmp_path)
    assert message in cli.fails(2, "actions", "propose", *arguments)
    assert cli.json("actions", "list") == []


def test_one_of_several_clusters_must_be_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(monkeypatch)
    cli = may_act(tmp_path)
    cli.ok("connect", "fake", "--address", "there", "--name", "other")
    propose = ("actions", "propose", "clean", "-p", "store=1")
    assert "--subject (fake, other)" in cli.fails(2, *propose)
    assert cli.json(*propose, "--subject", "other")["subject"] == "other"


def test_a_proposal_survives_the_command(tmp_path: Path) -> None:
    cli = Cli(tmp_path)
    cli.ok("mode", "execute")
    cli.ok("actions", "propose", "wait", "-p", "seconds=5")

    async def status() -> list[ActionStatus]:
        async with ActionDB(cli.db_path) as db:
            return [one.status for one in await db.list_proposals()]

    assert now_do(status()) == [ActionStatus.PROPOSED]

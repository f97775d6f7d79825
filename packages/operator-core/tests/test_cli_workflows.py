from pathlib import Path

import pytest

from cli_kit import NASTY, Cli, add_workflow, claimed, now_do
from operator_core.actions.types import Outcome
from operator_core.db.attempts import Ending
from operator_core.db.executions import ExecutionDB


def with_workflow(tmp_path: Path, **fields: str) -> Cli:
    """Return a command line whose ledger has a workflow of two steps."""
    cli = Cli(tmp_path)
    now_do(add_workflow(cli.db_path, **fields))
    return cli


async def leave_in_doubt(path: Path, proposal_id: int) -> None:
    """Take a step as another process does, and lose the answer."""
    attempt = await claimed(path, proposal_id)
    async with ExecutionDB(path) as db:
        await db.finish(attempt, Ending(Outcome.UNKNOWN, "no answer"))


def test_workflows_are_listed_filtered_and_paged(tmp_path: Path) -> None:
    cli = with_workflow(tmp_path)
    now_do(add_workflow(cli.db_path, name="second"))
    assert [one["name"] for one in cli.json("workflows", "list")] == ["drain", "second"]
    assert cli.json("workflows", "list", "--status", "completed") == []
    assert cli.json("workflows", "list", "--ticket", "1") == []
    assert "--after 1" in cli.invoke("workflows", "list", "--limit", "1").stderr
    assert "No workflows" in cli.ok("workflows", "list", "--status", "failed")


def test_a_step_in_doubt_is_seen_in_the_list_of_workflows(tmp_path: Path) -> None:
    """A cancelled or failed one looked as if everything about it were known."""
    cli = with_workflow(tmp_path)
    now_do(add_workflow(cli.db_path, name="second"))
    now_do(leave_in_doubt(cli.db_path, 1))
    cli.json("workflows", "cancel", "1", "-r", "no")
    found = {one["name"]: one["in_doubt"] for one in cli.json("workflows", "list")}
    assert found == {"drain": True, "second": False}
    for command in (["list"], ["show", "1"]):
        assert "cancelled (a step is in doubt)" in " ".join(cli.ok("workflows", *command).split())


def test_a_workflow_is_shown_with_its_steps_in_order(tmp_path: Path) -> None:
    cli = with_workflow(tmp_path)
    text = cli.ok("workflows", "show", "1")
    assert text.index("step 0") < text.index("step 1")
    assert "operator workflows approve 1" in text
    data = cli.json("workflows", "show", "1")
    assert [one["execution_order"] for one in data["steps"]] == [0, 1]


def test_a_workflow_is_approved_once(tmp_path: Path) -> None:
    cli = with_workflow(tmp_path)
    assert cli.json("workflows", "approve", "1")["approved_by"] == "ann"
    assert "approved already" in cli.fails(4, "workflows", "approve", "1")
    assert "Approved." in cli.ok("workflows", "show", "1")


def test_a_workflow_is_cancelled_with_its_steps(tmp_path: Path) -> None:
    cli = with_workflow(tmp_path)
    assert cli.json("workflows", "cancel", "1", "-r", "no")["status"] == "cancelled"
    steps = cli.json("actions", "list", "--workflow", "1")
    assert {one["status"] for one in steps} == {"cancelled"}
    assert "cancelling it is not possible" in cli.fails(4, "workflows", "cancel", "1")


def test_text_of_a_workflow_is_never_markup(tmp_path: Path) -> None:
    cli = with_workflow(tmp_path, name=NASTY, description=NASTY)
    for text in (cli.ok("workflows", "list"), cli.ok("workflows", "show", "1")):
        assert "[bold]b[/bold]" in text
        assert not set(text) & set("\x1b\x07\u202e\u200b")


@pytest.mark.parametrize("command", ["show", "approve", "cancel"])
def test_a_workflow_that_is_not_there_is_an_error(tmp_path: Path, command: str) -> None:
    assert "Workflow 9 not found" in with_workflow(tmp_path).fails(2, "workflows", command, "9")


def test_a_workflow_is_paused_and_resumed(tmp_path: Path) -> None:
    cli = with_workflow(tmp_path)
    assert cli.json("workflows", "pause", "1")["paused_by"] == "ann"
    assert "pending (paused)" in cli.ok("workflows", "list")
    assert "operator workflows resume 1" in cli.ok("workflows", "show", "1")
    assert "paused" in cli.fails(4, "workflows", "pause", "1")
    assert cli.json("workflows", "resume", "1")["paused_at"] is None
    assert "resuming it is not possible" in cli.fails(4, "workflows", "resume", "1")

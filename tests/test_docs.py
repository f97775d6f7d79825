"""The documents say what the program does: pictures from the tables, commands that exist."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from operator_core.actions.lifecycle import ACTION_MACHINE, WORKFLOW_MACHINE
from operator_core.cli.main import app
from operator_core.monitor.lifecycle import TICKET_MACHINE

ROOT = Path(__file__).parent.parent
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "diagram",
    [ACTION_MACHINE.diagram(), WORKFLOW_MACHINE.diagram(), TICKET_MACHINE.diagram()],
    ids=["proposal", "workflow", "ticket"],
)
def test_the_life_cycles_are_drawn_from_their_tables(diagram: str) -> None:
    assert f"```mermaid\n{diagram}\n```" in ARCHITECTURE


def test_every_module_that_the_architecture_names_exists() -> None:
    core = ROOT / "packages/operator-core/src/operator_core"
    named = re.findall(r"`((?:actions|agent|monitor|db|runtime)/[\w/]+\.(?:py|sql))`", ARCHITECTURE)
    assert named
    assert [name for name in named if not (core / name).is_file()] == []


def test_every_decision_gives_its_reason() -> None:
    decisions = sorted((ROOT / "docs" / "adr").glob("*.md"))
    assert decisions
    for path in decisions:
        text = path.read_text(encoding="utf-8")
        assert "**Decision.**" in text, path.name
        assert "**Why.**" in text, path.name


def commands_of(text: str) -> list[list[str]]:
    """Return the `operator` commands of a document's shell blocks, as words."""
    blocks = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    lines = [line.split("#")[0].strip() for block in blocks for line in block.splitlines()]
    calls = [line for line in lines if line.startswith((".venv/bin/operator ", "operator "))]
    return [shlex.split(call)[1:] for call in calls]


README_COMMANDS = commands_of((ROOT / "README.md").read_text(encoding="utf-8"))
LEDGER = (ROOT / "docs" / "ledger.md").read_text(encoding="utf-8")
SHOWN = [
    words
    for name in ("ledger", "engine", "etcd", "patroni")
    for words in commands_of((ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8"))
]


@pytest.mark.parametrize("words", [*README_COMMANDS, *SHOWN], ids=" ".join)
def test_every_command_that_is_shown_is_one_with_these_options(words: list[str]) -> None:
    names = [word for word in words if not word.startswith("-")]
    options = [word for word in words if word.startswith("--")]
    told = help_of(names)
    assert [option for option in options if option not in told] == []


def test_the_readme_names_commands() -> None:
    assert len(README_COMMANDS) >= 5


@pytest.mark.real
def test_a_backup_comes_back_as_it_is_told(tmp_path: Path) -> None:
    (block,) = [one for one in re.findall(r"```sh\n(.*?)```", LEDGER, re.DOTALL) if "saved" in one]
    programs = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    ran = subprocess.run(
        ["bash", "-ec", block],
        cwd=tmp_path,
        env={**os.environ, "PATH": programs},
        check=True,
        capture_output=True,
        text=True,
    )
    assert re.search(r"mode +observe .*\n.*set by +restore ", ran.stdout)
    assert "ledger_restored" in ran.stdout
    beside = {"ledger.db", "ledger.db-seen"}
    assert {path.name for path in tmp_path.iterdir()} == {*beside, "saved.db"}
    assert all(f"`{name}`" in LEDGER for name in beside)


def help_of(names: list[str]) -> str:
    """Return the help of the command that the words begin with; the rest are its arguments."""
    told = ""
    for end in range(1, len(names) + 1):
        answer = CliRunner().invoke(app, [*names[:end], "--help"], env={"COLUMNS": "200"})
        if answer.exit_code != 0:
            break
        told = answer.output
    assert told, f"operator {' '.join(names)} is no command"
    return told

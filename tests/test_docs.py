"""The documents say what the program does: pictures from the tables, commands that exist."""

import re
from pathlib import Path

import pytest

from operator_core.actions.lifecycle import ACTION_MACHINE, WORKFLOW_MACHINE
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

"""The page about actions says what the definitions say."""

from pathlib import Path

import pytest

from operator_tikv.actions.document import COMMANDS, table
from operator_tikv.actions.table import CHANGES

PAGE = Path(__file__).parents[3] / "docs" / "tikv-actions.md"


def test_the_table_is_what_the_definitions_say() -> None:
    written = PAGE.read_text(encoding="utf-8")
    assert written.endswith(f"\n\n{table()}\n"), (
        "Write the table anew: .venv/bin/python -m operator_tikv.actions.document"
    )


def test_each_action_names_its_command() -> None:
    assert COMMANDS.keys() == CHANGES.keys()


@pytest.mark.parametrize(
    "name",
    ["unsafe_remove_failed_stores", "delete_pd_member", "delete_gc_safepoint"],
)
def test_what_loses_data_is_critical_and_never_without_a_person(name: str) -> None:
    definition = CHANGES[name].definition
    assert definition.risk_level == "critical"
    assert "data-loss" in definition.tags
    assert definition.requires_approval

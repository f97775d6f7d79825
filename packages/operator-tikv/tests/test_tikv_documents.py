"""The page about actions says what the definitions say."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from operator_core.actions.policy import Effect, PolicyRequest, decide, load, shipped_policy
from operator_core.actions.policy.request import tags_of
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


@pytest.mark.parametrize("name", CHANGES)
def test_the_shipped_policy_asks_a_person_for_each_action(name: str) -> None:
    definition = CHANGES[name].definition
    request = PolicyRequest(
        action=name,
        now=datetime(2026, 1, 1, tzinfo=UTC),
        tags=tags_of(definition),
        risk=definition.risk_level,
    )
    decision = decide(load(shipped_policy()), request)
    wanted = 2 if "data-loss" in definition.tags or definition.risk_level == "critical" else 1
    assert decision.effect is Effect.APPROVE
    assert sum(demand.count for demand in decision.approvals) == wanted

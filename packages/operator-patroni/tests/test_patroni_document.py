"""What docs/patroni.md says of rules, causes and actions is what the code says."""

from __future__ import annotations

import re
from pathlib import Path

from operator_patroni.definitions import DEFINITIONS
from operator_patroni.hypotheses import HYPOTHESES
from operator_patroni.invariants import INVARIANTS
from operator_patroni.obstacles import SMALLEST

PAGE = (Path(__file__).parents[3] / "docs" / "patroni.md").read_text("utf-8")


def rows(heading: str) -> list[list[str]]:
    """Return the cells of the first table below a heading."""
    text = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def names(cell: str) -> set[str]:
    return set(re.findall(r"`(\w+)`", cell))


def test_rules_stand_with_their_grace() -> None:
    told = {row[0].strip("`"): float(row[3]) for row in rows("What is broken")}
    assert told == {one.name: one.grace_seconds for one in INVARIANTS}


def test_causes_stand_with_the_rules_that_they_explain() -> None:
    told = {
        (cause, rule)
        for row in rows("Causes")
        for rule in names(row[0])
        for cause in names(row[1]) | names(row[2])
    }
    assert told == {(one.name, rule) for one in HYPOTHESES for rule in one.explains}


def test_actions_stand_with_their_risk() -> None:
    told = {row[0].strip("`"): row[1] for row in rows("Actions")}
    assert told == {one.name: one.risk_level.value for one in DEFINITIONS}


def test_the_settings_that_may_be_changed_are_named() -> None:
    assert set(SMALLEST) <= names(
        PAGE.split("`set_config` changes")[1].split("and nothing else")[0]
    )

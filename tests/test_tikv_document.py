"""docs/tikv.md: no alert is missing, every row is held by a test, numbers are those of the code."""

import json
import re
from pathlib import Path

import pytest

from operator_tikv.invariants import INVARIANTS

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "docs" / "tikv.md").read_text(encoding="utf-8")
ALERTS = ROOT / "packages/operator-tikv/tests/fixtures/alerts/alerts.json"
RULES = {rule.name: rule for rule in INVARIANTS}

Row = dict[str, str]


def tables(text: str) -> list[list[Row]]:
    """Return the tables of a document, each as rows by column."""
    found: list[list[Row]] = []
    for block in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        header, _, *rows = [_cells(line) for line in block.splitlines()]
        found.append([dict(zip(header, row, strict=True)) for row in rows])
    return found


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


ROWS = [row for table in tables(TEXT) for row in table]
CLAIMS = [row for row in ROWS if "test" in row]
ALERT_ROWS = {row["alert"].strip("`"): row for row in ROWS if "alert" in row and "rule" in row}
RULE_ROWS = [row for row in ROWS if "rule" in row]


def shipped() -> set[str]:
    """Return the names of the alerts of every rule file."""
    files = json.loads(ALERTS.read_text(encoding="utf-8"))["files"]
    return {name for one in files for name in one["alerts"]}


def test_every_shipped_alert_has_a_row() -> None:
    assert set(ALERT_ROWS) == shipped()
    assert len(shipped()) > 50


def test_every_rule_has_a_row_and_every_row_a_rule() -> None:
    assert {row["rule"].strip("`") for row in RULE_ROWS} == set(RULES)


@pytest.mark.parametrize("name", sorted(RULES))
def test_thresholds_and_grace_are_those_of_the_code(name: str) -> None:
    rule = RULES[name]
    numbers = ", ".join(f"`{key}={value:g}`" for key, value in rule.thresholds.items()) or "none"
    for row in (row for row in RULE_ROWS if row["rule"] == f"`{name}`"):
        assert row["thresholds"] == numbers
        assert row["grace"] == f"{rule.grace_seconds:g} s"
        assert row["what it means"]
        assert row["what Operator does"]


def test_the_five_that_never_fire_are_named_and_covered() -> None:
    dead = [row for row in ROWS if "what covers what it meant" in row]
    assert len(dead) == 5
    for row in dead:
        alert, covering = row["alert"].strip("`"), row["what covers what it meant"]
        assert alert in shipped()
        assert ALERT_ROWS[alert]["rule"] in covering


def test_every_claim_names_a_test_that_exists() -> None:
    assert len(CLAIMS) > 100
    for row in CLAIMS:
        names = re.findall(r"`([\w.]+\.py)::(\w+)`", row["test"])
        assert names, row
        for file, test in names:
            (path,) = [*ROOT.glob(f"packages/*/tests/{file}"), *ROOT.glob(f"tests/{file}")]
            text = path.read_text(encoding="utf-8")
            assert re.search(rf"^(async )?def {test}\(", text, re.MULTILINE), f"{file}::{test}"


def test_tables_are_read() -> None:
    text = "x\n| a | b |\n|---|---|\n| 1 | `c|` |\n".replace("c|", "c")
    assert tables(text) == [[{"a": "1", "b": "`c`"}]]

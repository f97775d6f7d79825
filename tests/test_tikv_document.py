"""docs/tikv.md: no alert is missing, every row is held by a test, numbers are those of the code."""

import ast
import json
import re
from functools import lru_cache
from pathlib import Path

import pytest

from operator_tikv.invariants import INVARIANTS

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "docs" / "tikv.md").read_text(encoding="utf-8")
SIMULATOR = (ROOT / "docs" / "simulator.md").read_text(encoding="utf-8")
SEMANTICS = (ROOT / "docs" / "simulator-semantics.md").read_text(encoding="utf-8")
PROVED = "test, or why not"
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


def test_every_row_names_a_test_that_breaks_its_rule_from_its_source() -> None:
    for row in RULE_ROWS:
        of_clients = row["from"] == "Prometheus"
        file = "test_tikv_sight.py" if of_clients else "test_tikv_from_source.py"
        assert f"`{file}::" in row["test"], row["rule"]


def test_the_five_that_never_fire_are_named_and_covered() -> None:
    dead = [row for row in ROWS if "what covers what it meant" in row]
    assert len(dead) == 5
    for row in dead:
        alert, covering = row["alert"].strip("`"), row["what covers what it meant"]
        assert alert in shipped()
        assert ALERT_ROWS[alert]["rule"] in covering


def named_tests(rows: list[Row]) -> list[tuple[str, str]]:
    """Return file and name of every test that rows name; a row without one is a fault."""
    found = []
    for row in rows:
        names = re.findall(r"`([\w.]+\.py)::(\w+)`", row["test"])
        assert names, row
        found += names
    return found


@lru_cache(maxsize=256)
def _functions(source: str) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Return the functions of a module, which many rows name."""
    kinds = ast.FunctionDef | ast.AsyncFunctionDef
    return [node for node in ast.parse(source).body if isinstance(node, kinds)]


@lru_cache(maxsize=256)
def _source(file: str) -> str:
    (path,) = [*ROOT.glob(f"packages/*/tests/{file}"), *ROOT.glob(f"tests/{file}")]
    return path.read_text(encoding="utf-8")


def why_it_holds_nothing(source: str, test: str) -> str:
    """Return why a test of a module proves nothing; empty where it may fail and is run."""
    defined = [node for node in _functions(source) if node.name == test]
    if len(defined) != 1:
        return f"{len(defined)} tests of this name"
    marks = [ast.unparse(one) for one in defined[0].decorator_list]
    if any(re.search(r"mark\.(skip|skipif|xfail)\b", mark) for mark in marks):
        return "it is not run"
    return "" if any(map(_may_fail, ast.walk(defined[0]))) else "it asserts nothing"


def _may_fail(node: ast.AST) -> bool:
    if isinstance(node, ast.Assert):
        return not isinstance(node.test, ast.Constant)
    return isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.raises"


def test_every_claim_names_a_test_that_can_fail() -> None:
    simulator = [row for table in tables(SIMULATOR) for row in table if "test" in row]
    semantics = [{**row, "test": row.get(PROVED, row.get("test", ""))} for row in _semantics()]
    assert len(CLAIMS) > 100
    proved = [row for row in semantics if "::test_" in row["test"]]
    for file, test in sorted(set(named_tests(CLAIMS + simulator + proved))):
        assert why_it_holds_nothing(_source(file), test) == "", (file, test)


def _semantics() -> list[Row]:
    return [row for table in tables(SEMANTICS) for row in table]


def test_every_claim_of_the_semantics_has_a_test_or_a_reason() -> None:
    rows = _semantics()
    assert len(rows) > 70
    for row in rows:
        words = row.get(PROVED, row.get("test", ""))
        reason = words.removeprefix("not modelled: ")
        assert "::test_" in words or (reason != words and len(reason) > 20), row


def test_no_table_goes_without_tests() -> None:
    measured = "CPU seconds"  # figures of one run, which no test can hold
    bare = [table[0] for table in tables(TEXT) if "test" not in table[0]]
    assert [row for row in bare if measured not in row] == []


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("def test_x():\n    assert y\n", ""),
        ("def test_x():\n    with pytest.raises(E):\n        y()\n", ""),
        ("async def test_x():\n    assert y\n", ""),
        ("def test_x():\n    y()\n", "it asserts nothing"),
        ("def test_x():\n    assert True\n", "it asserts nothing"),
        ("@pytest.mark.skip\ndef test_x():\n    assert y\n", "it is not run"),
        ("@pytest.mark.xfail(reason='z')\ndef test_x():\n    assert y\n", "it is not run"),
        ('"""\ndef test_x():\n    assert y\n"""\n', "0 tests of this name"),
        ("def test_x():\n    assert y\ndef test_x():\n    assert z\n", "2 tests of this name"),
    ],
)
def test_a_test_that_proves_nothing_is_no_proof(source: str, why: str) -> None:
    assert why_it_holds_nothing(source, "test_x") == why


def test_tables_are_read() -> None:
    text = "x\n| a | b |\n|---|---|\n| 1 | `c|` |\n".replace("c|", "c")
    assert tables(text) == [[{"a": "1", "b": "`c`"}]]

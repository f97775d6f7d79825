"""`docs/accidents.md` is complete, and each of its commands names a test that exists."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "docs" / "accidents.md").read_text(encoding="utf-8")
ADR = (ROOT / "docs" / "adr" / "0014-accidents-that-cannot-happen.md").read_text(encoding="utf-8")
COUNTS = {"N": 34, "E": 71, "C": 28}
"""How many accidents: of neighbours, of first versions, of clocks and surroundings."""

ROWS = dict(re.findall(r"^\| ([NEC]\d+) \| [^|]+ \| ([^|]+) \|$", TEXT, re.MULTILINE))
COMMANDS = re.findall(r"`\.venv/bin/pytest (\S+)::(\S+) -q`", TEXT)
SHELL = re.compile(r"\bshell=|\bos\.(system|popen)\(|\bgetoutput\(|_shell\(|\bpty\.spawn\(")


def test_the_numbering_is_complete() -> None:
    expected = [f"{letter}{n}" for letter, count in COUNTS.items() for n in range(1, count + 1)]
    assert list(ROWS) == expected


def test_each_accident_has_a_test_a_reason_or_a_part_that_it_waits_for() -> None:
    for number, how in ROWS.items():
        assert how.startswith(("`.venv/bin/pytest ", "waits for: ", "no place to happen")), number
        if how.startswith("no place"):
            assert re.search(rf"\b{number}\b", ADR), number


@pytest.mark.parametrize(("path", "name"), COMMANDS)
def test_a_command_names_a_test(path: str, name: str) -> None:
    assert f"def {name}(" in (ROOT / path).read_text(encoding="utf-8")


def test_there_are_commands() -> None:
    assert len(COMMANDS) > 70


def test_production_code_starts_no_shell() -> None:
    """Peer bug 14: nothing is a command line; arguments are values with types."""
    modules = sorted((ROOT / "packages").glob("*/src/**/*.py"))
    assert len(modules) > 50
    found = [path for path in modules if SHELL.search(path.read_text(encoding="utf-8"))]
    assert found == []

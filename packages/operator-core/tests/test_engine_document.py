"""The program that docs/engine.md shows does what the page says."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[3] / "docs" / "engine.md").read_text("utf-8")

pytestmark = pytest.mark.real


def blocks(language: str) -> str:
    """Return the blocks of a language as one text."""
    return "".join(re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL))


def test_the_program_prints_what_the_page_says(tmp_path: Path) -> None:
    program = tmp_path / "orders.py"
    program.write_text(blocks("python"))
    done = subprocess.run(
        [sys.executable, "-W", "error", str(program)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.stderr == ""
    assert done.stdout == blocks("text")

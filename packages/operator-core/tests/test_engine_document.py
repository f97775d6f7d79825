"""The program that docs/engine.md shows does what the page says."""

import subprocess
import sys
from pathlib import Path

import pytest

from doc_pages import DocPage

PAGE = DocPage("engine.md")

pytestmark = pytest.mark.real


def test_the_program_prints_what_the_page_says(tmp_path: Path) -> None:
    program = tmp_path / "orders.py"
    program.write_text("".join(PAGE.blocks("python")))
    done = subprocess.run(
        [sys.executable, "-W", "error", str(program)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.stderr == ""
    assert done.stdout == "".join(PAGE.blocks("text"))

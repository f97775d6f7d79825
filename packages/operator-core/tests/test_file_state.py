"""Files are the same as long as nobody has written them, however coarse their system's time."""

import os
from pathlib import Path

import pytest

from operator_core.clock import utc_now
from operator_core.file_state import state_of


def written(path: Path, text: str, at_seconds: float) -> Path:
    """Write a file in place, at a moment as its file system tells it."""
    path.write_text(text, encoding="utf-8")
    os.utime(path, (at_seconds, at_seconds))
    return path


@pytest.mark.parametrize("ago_seconds", [3, 3_600, -3_600])
def test_what_nobody_has_written_is_the_same(tmp_path: Path, ago_seconds: float) -> None:
    file = written(tmp_path / "f", "a", utc_now().timestamp() - ago_seconds)
    assert state_of([file]) == state_of([str(file)])


def test_what_was_written_later_is_another(tmp_path: Path) -> None:
    file = written(tmp_path / "f", "a", 1_000)
    other = written(tmp_path / "g", "a", 1_000)
    before = state_of([file, other])
    written(other, "b", 1_001)
    assert state_of([file, other]) != before


def test_what_is_written_twice_within_one_step_of_time_is_another(tmp_path: Path) -> None:
    now_seconds = utc_now().timestamp()
    file = written(tmp_path / "f", "a", now_seconds)
    before = state_of([file])
    written(file, "b", now_seconds)
    assert state_of([file]) != before


def test_a_file_that_is_not_there_has_no_state(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        state_of([tmp_path / "f"])

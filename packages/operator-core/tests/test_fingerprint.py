"""What a process is made of: equal for equal code, another one after any change of a file."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from operator_core import process
from operator_core.runtime import fingerprint

FIXED_NS = 1_000_000_000


def written(path: Path, text: str) -> str:
    path.write_text(text, encoding="utf-8")
    os.utime(path, ns=(FIXED_NS, FIXED_NS))
    return str(path)


def test_words_and_files_count_whatever_their_order(tmp_path: Path) -> None:
    one, two = written(tmp_path / "one.py", "1"), written(tmp_path / "two.py", "2")
    made = fingerprint.of(["3.11"], [one, two])
    assert made == fingerprint.of(["3.11"], [two, one])
    assert made != fingerprint.of(["3.12"], [one, two])
    assert made != fingerprint.of(["3.11"], [one])


def test_a_file_that_changes_in_size_time_or_place_counts(tmp_path: Path) -> None:
    file = tmp_path / "one.py"
    made = {fingerprint.of([], [written(file, "1")]), fingerprint.of([], [written(file, "12")])}
    os.utime(file, ns=(FIXED_NS, FIXED_NS + 1))
    made.add(fingerprint.of([], [str(file)]))
    other = Path(written(tmp_path / "new.py", "12"))  # size and time of before
    made.add(fingerprint.of([], [str(other.rename(file))]))
    assert len(made) == 4


def test_a_file_that_is_gone_leaves_nothing_to_rest_on(tmp_path: Path) -> None:
    assert fingerprint.of([], [str(tmp_path / "gone.py")]) is None


def test_where_the_system_tells_too_little_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fingerprint, "this_process", lambda: None)
    assert fingerprint.of_this_process() is None


def test_operator_s_own_code_counts_before_it_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fingerprint, "_PACKAGE", str(tmp_path))
    (tmp_path / "canaries").mkdir()
    late = tmp_path / "canaries" / "table.py"
    made = {fingerprint.of_this_process()}
    for text in ("1", "12"):
        written(late, text)
        made.add(fingerprint.of_this_process())
    written(late.with_name("table.pyc"), "compiled")
    made.add(fingerprint.of_this_process())
    assert len(made) == 3
    assert None not in made


def test_shared_libraries_count_and_no_other_mapped_file() -> None:
    found = process.libraries()
    assert any("libc" in file for file in found)
    assert all(".so" in file for file in found)


@pytest.mark.real  # starts processes
def test_the_same_program_started_again_is_made_of_the_same() -> None:
    def told(imports: str) -> str:
        text = f"import {imports}; print(operator_core.runtime.fingerprint.of_this_process())"
        command = [sys.executable, "-c", text]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    first, again = (told("operator_core.runtime.fingerprint") for _ in range(2))
    assert first == again != "None\n"
    assert first != told("operator_core.runtime.fingerprint, operator_core.db.control")

"""The benchmarks run and their tables render; how fast anything is decides nothing here."""

import json
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
OURS = (
    "life-cycles/operator/sqlite/1",
    "life-cycles/operator/sqlite/64",
    "workflows-of-3-steps/operator/sqlite/64",
)


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the benchmarks be imported, which are no package of the workspace."""
    monkeypatch.syspath_prepend(str(ROOT))


def module(name: str) -> Any:  # noqa: ANN401 - found when it runs
    return import_module(f"benchmarks.{name}")


@pytest.mark.real
def test_our_contenders_run_and_the_table_renders(tmp_path: Path) -> None:
    results = tmp_path / "results.json"
    command = [sys.executable, "benchmarks/run.py", "--only", ",".join(OURS), "--rounds", "1"]
    done = subprocess.run(
        [*command, "--tasks", "5", "--json", str(results), "--save"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert re.search(r"Operator +SQLite +WAL, synchronous=FULL +64 +[\d,.]+ /s", done.stdout)
    assert "Workflows of 3 steps" in done.stdout
    saved = json.loads(results.read_text(encoding="utf-8"))
    assert sorted(saved["samples"]) == sorted(OURS)
    assert saved["left_out"] == {}


@pytest.mark.real
def test_the_floor_repeats_what_our_engine_ran(tmp_path: Path) -> None:
    lines = module("floor").report(tmp_path, 3, 2).splitlines()
    assert [line.split("µs", 1)[1].strip().split(":")[0] for line in lines] == [
        "the whole",
        "event loop",
        "writer",
        "statements and commits, run alone",
        "hashes of the audit, made alone",
    ]
    files = (tmp_path / "copy.db", tmp_path / "recorded.db")
    with closing(sqlite3.connect(files[0])) as copy, closing(sqlite3.connect(files[1])) as recorded:
        newest = "SELECT seq, hash FROM audit_log ORDER BY id DESC LIMIT 1"
        assert copy.execute(newest).fetchall() == recorded.execute(newest).fetchall()


def test_every_case_has_a_name_of_its_own() -> None:
    keys = [case.key for case in module("catalogue").CASES]
    assert sorted(set(keys)) == sorted(keys)


def test_every_target_names_cases_that_exist() -> None:
    keys = {case.key for case in module("catalogue").CASES}
    wanted = {
        where[0] for target in module("targets").TARGETS for where in (target.over, *target.under)
    }
    assert wanted <= keys


def test_ratios_are_taken_round_by_round_over_the_best() -> None:
    samples = {
        "ours": [{"per_second": 10.0}, {"per_second": 30.0}],
        "slow": [{"per_second": 1.0}, {"per_second": 1.0}],
        "fast": [{"per_second": 5.0}, {"per_second": 10.0}],
    }
    others = [("slow", "per_second"), ("fast", "per_second"), ("absent", "per_second")]
    found = module("summary").ratio(samples, ("ours", "per_second"), others)
    assert (found.low, found.median, found.high) == (2.0, 2.5, 3.0)


def test_a_contender_that_was_not_measured_gives_no_ratio() -> None:
    summary = module("summary")
    assert summary.ratio({"ours": [{"ms": 1.0}]}, ("ours", "ms"), [("theirs", "ms")]) is None


def test_less_is_better_where_time_is_measured() -> None:
    samples = {"ours": [{"p50_ms": 2.0}], "theirs": [{"p50_ms": 6.0}]}
    assert module("summary").advantage(samples, "ours", "theirs", "p50_ms").median == 3.0


def test_results_go_between_the_marks_of_the_document(tmp_path: Path) -> None:
    results = module("results")
    document = tmp_path / "performance.md"
    document.write_text(f"before\n{results.BEGIN}\nold\n{results.END}\nafter\n", encoding="utf-8")
    samples = {OURS[1]: [{"per_second": 1234.0}, {"per_second": 2000.0}]}
    made = results.Results("benchmarks/run.py", 2, {"Python": "3"}, {}, samples, {"x/y": "absent"})
    results.write_document(made, document)
    text = document.read_text(encoding="utf-8")
    assert text.startswith("before\n")
    assert text.endswith("\nafter\n")
    assert "old" not in text
    assert "| 1,617 /s | 1,234 to 2,000 |" in text
    assert "| x/y | absent |" in text


def test_the_documents_have_a_place_for_the_results() -> None:
    results = module("results")
    text = results.DOCUMENT.read_text(encoding="utf-8")
    assert text.count(results.BEGIN) == text.count(results.END) == 1

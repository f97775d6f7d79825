"""Every verify snippet of the five seed documents runs exactly as it is written."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SNIPPETS = Path(__file__).parent / "snippets"
BIN = Path(sys.executable).parent
INTEGRATION_FILE = Path("/tmp/test_actions.db")  # noqa: S108 - the seed's own text names it

pytestmark = pytest.mark.real


def snippets(suffix: str) -> list[Path]:
    return sorted(SNIPPETS.glob(f"*{suffix}"))


def run(command: list[str], folder: Path) -> str:
    environment = {"PATH": f"{BIN}:{os.defpath}", "HOME": str(folder), "TMPDIR": str(folder)}
    done = subprocess.run(  # noqa: PLW1510 - the test reads the code together with the error
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=50
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


EXPECTED = {
    "12-01-task-1.sh.txt": ["Types OK"],
    "12-01-task-2.sh.txt": ["Schema OK"],
    "12-01-task-3.sh.txt": ["ActionDB OK"],
    "15-01-task-1.sh.txt": ["workflow_id=None, scheduled_at=None, retry_count=0"],
    "15-01-task-2.sh.txt": ["Schema extensions present"],
    "15-01-task-3.sh.txt": ["Created proposal with workflow_id=None, retry_count=0"],
    "15-02-task-1.sh.txt": [
        "Created workflow 1",
        "Got 2 actions in order: ['step1', 'step2']",
        "Workflow status: pending",
    ],
    "15-02-task-2.sh.txt": ["Ready scheduled: 1 action(s)"],
    "15-02-task-3.sh.txt": ["Retry eligible: 1 action(s)", "Retry count after increment: 2"],
    "15-03-task-1.sh.txt": ["Should retry at 0: True", "Should retry at 3: False"],
    "15-03-task-2.sh.txt": ["propose_workflow method exists with correct signature"],
    "15-03-task-3.sh.txt": [
        "__init__ has retry_config parameter",
        "schedule_next_retry method exists with correct signature",
    ],
}


def test_no_snippet_is_left_out() -> None:
    assert [path.name for path in snippets(".sh.txt")] == sorted(EXPECTED)
    assert len(snippets(".py.txt")) == 1


@pytest.mark.parametrize("snippet", snippets(".sh.txt"), ids=lambda path: path.name)
def test_snippet_runs_as_written(snippet: Path, tmp_path: Path) -> None:
    said = run(["bash", "-c", snippet.read_text(encoding="utf-8")], tmp_path)
    for line in EXPECTED[snippet.name]:
        assert line in said.splitlines()


@pytest.mark.parametrize("task", ["15-01-task-3", "15-02-task-1", "15-02-task-2", "15-02-task-3"])
def test_snippet_leaves_nothing_open_behind(task: str, tmp_path: Path) -> None:
    """They delete the ledger right after they have closed it, and know of no file beside it.

    The one that says how far it was seen stays (ADR 81); whoever makes a ledger there replaces it.
    """
    run(["bash", "-c", (SNIPPETS / f"{task}.sh.txt").read_text(encoding="utf-8")], tmp_path)
    assert [path.name for path in tmp_path.iterdir() if not path.name.endswith(".db-seen")] == []


def test_integration_test_of_phase_12_runs_as_written_and_again(tmp_path: Path) -> None:
    """It names a file under /tmp, which a second run finds there."""
    text = (SNIPPETS / "12-01-task-3-integration.py.txt").read_text(encoding="utf-8")
    _forget_integration_file()
    try:
        for _ in range(2):
            assert run([sys.executable, "-c", text], tmp_path) == "Integration test passed\n"
    finally:
        _forget_integration_file()


def _forget_integration_file() -> None:
    for suffix in ("", "-wal", "-shm"):
        INTEGRATION_FILE.with_name(INTEGRATION_FILE.name + suffix).unlink(missing_ok=True)

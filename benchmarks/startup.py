"""How long a command line takes to say what it can do."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from time import perf_counter

from benchmarks.model import Job, Metrics

BARE = '''import typer

app = typer.Typer()


@app.command()
def hello(name: str = "you") -> None:
    """Say hello."""


app()
'''


def help_pages(job: Job) -> Metrics:
    """Ask `operator` and a bare typer program for their help, in turn."""
    bare = job.folder / "bare.py"
    bare.write_text(BARE, encoding="utf-8")
    operator = str(Path(sys.executable).with_name("operator"))
    commands = {"operator_help": [operator], "bare_typer_help": [sys.executable, str(bare)]}
    found: dict[str, list[float]] = {name: [] for name in commands}
    for number in range(job.tasks + 1):
        for name, command in commands.items():
            seconds = _seconds([*command, "--help"])
            if number:  # the first one warms the caches
                found[name].append(seconds)
    return {f"{name}_ms": median(times) * 1e3 for name, times in found.items()}


def _seconds(command: Sequence[str]) -> float:
    start = perf_counter()
    subprocess.run(command, check=True, capture_output=True)  # noqa: S603 - our own programs
    return perf_counter() - start

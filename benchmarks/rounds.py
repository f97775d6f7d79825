"""Running the cases: round after round, so that noise hits all alike, each in a process."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from benchmarks.model import Case, Job, Metrics

ROOT = Path(__file__).resolve().parent.parent
_UNCOMPILED = "PYTHONDONTWRITEBYTECODE"
SCRATCH = ROOT / ".cache"
"""On the disk of the checkout: a temporary folder may lie in memory and flatter everybody."""

LIMIT_SECONDS = 240.0
_LAST_LINES = 3


@dataclass(frozen=True)
class Plan:
    """What is to be run.

    Attributes:
        cases: in the order of each round.
        rounds: how often each case is measured.
        quick: whether the small sizes are taken.
        tasks: the size of every case instead of its own.
        tell: told in a line what happens.
    """

    cases: Sequence[Case]
    rounds: int = 3
    quick: bool = False
    tasks: int | None = None
    tell: Callable[[str], None] = print

    def size(self, case: Case) -> int:
        """Return how many pieces of work a case does."""
        return self.tasks or (case.quick_tasks if self.quick else case.tasks)


@dataclass
class Samples:
    """What was measured: by case, a set of metrics each round; and what could not be."""

    metrics: dict[str, list[Metrics]] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)


def run(plan: Plan) -> Samples:
    """Run every case in every round."""
    samples = Samples()
    SCRATCH.mkdir(exist_ok=True)
    cases = [case for case in plan.cases if _is_there(case, samples, plan.tell)]
    with _postgres(cases) as url:
        for number in range(plan.rounds):
            for case in cases:
                if case.key not in samples.left_out and not (case.once and number):
                    _sample(plan, case, url, number, samples)
    return samples


def _is_there(case: Case, samples: Samples, tell: Callable[[str], None]) -> bool:
    missing = [name for name in case.requires if find_spec(name) is None]
    if missing:
        samples.left_out[case.key] = f"{', '.join(missing)} is not installed"
        tell(f"left out {case.key}: {samples.left_out[case.key]}")
    return not missing


def _postgres(cases: Sequence[Case]) -> AbstractContextManager[str]:
    """Start a server of our own where a case needs one."""
    if not any(case.needs_postgres for case in cases):
        return nullcontext("")
    from benchmarks.server import started  # noqa: PLC0415 - needs what not all runs need

    return started()


def _sample(plan: Plan, case: Case, url: str, number: int, samples: Samples) -> None:
    with tempfile.TemporaryDirectory(dir=SCRATCH, prefix="bench-") as folder:
        job = Job(
            folder=Path(folder),
            tasks=plan.size(case),
            concurrency=case.concurrency,
            url=url if case.needs_postgres else "",
            options={**case.options, "store": case.store},
        )
        try:
            metrics = measured(case, job)
        except (RuntimeError, subprocess.TimeoutExpired) as error:
            samples.left_out[case.key] = f"failed: {error}"
            plan.tell(f"  {case.key}: failed: {error}")
            return
    samples.metrics.setdefault(case.key, []).append(metrics)
    told = ", ".join(f"{name} {value:,.4g}" for name, value in metrics.items())
    plan.tell(f"  round {number + 1}/{plan.rounds}  {case.key}: {told}")


def measured(case: Case, job: Job) -> Metrics:
    """Run a case once in a process of its own.

    Raises:
        RuntimeError: the contender failed; says how.
        subprocess.TimeoutExpired: it took far too long.
    """
    answer = job.folder / "answer.json"
    command = [sys.executable, "-m", "benchmarks.child", case.work, job.to_text(), str(answer)]
    done = subprocess.run(  # noqa: S603 - our own program
        command,
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
        check=False,
    )
    if done.returncode != 0 or not answer.exists():
        lines = done.stderr.strip().splitlines()[-_LAST_LINES:]
        raise RuntimeError(" / ".join(lines) or f"exit code {done.returncode}")
    metrics: Metrics = json.loads(answer.read_text(encoding="utf-8"))
    return metrics


def environment() -> dict[str, str]:
    """Return the environment of a contender: modules are compiled once, as where it is in use."""
    kept = {name: value for name, value in os.environ.items() if name != _UNCOMPILED}
    return {**kept, "PYTHONPATH": str(ROOT)}

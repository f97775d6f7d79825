"""Run the benchmarks: ``python benchmarks/run.py --help``."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def start() -> int:
    """Run the command line, whichever way this file was called."""
    sys.path.insert(0, str(ROOT))
    from benchmarks.cli import main  # noqa: PLC0415 - the path above makes it importable

    return main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(start())

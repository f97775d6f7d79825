"""What a process does before its first action: as little as it can."""

import subprocess
import sys

import pytest

ASKED = """
import contextlib, io, sys
from operator_core.cli.main import main
sys.argv = ["operator", "--version"]
with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):
    main()
import operator_core.runtime.supervisor
from operator_core.actions.policy.words import Demand, Match, Policy, Suspects
from operator_core.monitor.types import Observation
print([one.__name__ for one in (Demand, Match, Policy, Suspects, Observation)
       if one.__pydantic_complete__])
from pydantic.plugin import _loader
Policy()
print(_loader._plugins)
"""


@pytest.mark.real  # starts a process
def test_loading_makes_no_validator_and_looks_for_no_plugin() -> None:
    done = subprocess.run([sys.executable, "-c", ASKED], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["[]", "None"]

"""What is loaded late: after what was interrupted goes on, or never."""

import subprocess
import sys
from types import ModuleType

import pytest

from operator_core.late import late

NOT_FOR_A_RESTART = (
    "tomllib",
    "operator_core.actions.cage",
    "operator_core.actions.canaries.canary",
    "operator_core.actions.policy.loading",
    "operator_core.actions.policy.words",
    "operator_core.actions.schedule",
    "operator_core.agent.diagnosis",
    "operator_core.agent.investigate",
    "operator_core.agent.remedies",
    "operator_core.agent.rules",
    "operator_core.db.actions",
    "operator_core.db.tickets",
    "operator_core.monitor.detect",
    "operator_core.monitor.tickets",
)
"""What no effect needs that was interrupted, where no policy is in force."""


def test_a_name_is_loaded_when_it_is_asked_for_and_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    package = ModuleType("some_package")
    monkeypatch.setitem(sys.modules, package.__name__, package)
    give = late(package.__name__, {"LedgerError": "operator_core.errors"})
    found = give("LedgerError")
    assert vars(package)["LedgerError"] is found
    with pytest.raises(AttributeError, match="'some_package' has no attribute 'Other'"):
        give("Other")


@pytest.mark.real  # starts a process
def test_a_process_that_acts_loads_first_what_a_restart_needs() -> None:
    text = (
        "import sys, operator_core.runtime.supervisor\n"
        f"print([name for name in {NOT_FOR_A_RESTART!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"

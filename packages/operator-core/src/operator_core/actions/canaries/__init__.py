"""Canaries: planted bad actions by which the guards of the gate prove that they are alive."""

from typing import TYPE_CHECKING

from operator_core.late import late

if TYPE_CHECKING:
    from operator_core.actions.canaries.canary import Canary, release_all
    from operator_core.actions.canaries.table import CANARIES

_LAZY = {
    "CANARIES": "operator_core.actions.canaries.table",
    "Canary": "operator_core.actions.canaries.canary",
    "release_all": "operator_core.actions.canaries.canary",
}

__all__ = ["CANARIES", "Canary", "release_all"]

__getattr__ = late(__name__, _LAZY)

"""The invariants of a TiKV cluster: each check with what it needs and how long it waits."""

from dataclasses import replace
from typing import Final

from operator_core.monitor.types import Invariant
from operator_tikv.rules.cuts import CUT_RULES
from operator_tikv.rules.metrics import METRIC_RULES
from operator_tikv.rules.moving import MOVING_RULES
from operator_tikv.rules.pd import PD_RULES
from operator_tikv.rules.regions import REGION_RULES
from operator_tikv.rules.stores import STORE_RULES
from operator_tikv.rules.switches import SWITCH_RULES

INVARIANTS: Final[tuple[Invariant, ...]] = (
    *STORE_RULES,
    *CUT_RULES,
    *REGION_RULES,
    *MOVING_RULES,
    *PD_RULES,
    *SWITCH_RULES,
    *METRIC_RULES,
)


def hurried(time_scale: float) -> tuple[Invariant, ...]:
    """Return the invariants with their patience shortened.

    Args:
        time_scale: how many times faster than real time the cluster lives (1 for real ones).
    """
    return tuple(
        replace(
            invariant,
            grace_seconds=invariant.grace_seconds / time_scale,
            clear_seconds=invariant.clear_seconds / time_scale,
        )
        for invariant in INVARIANTS
    )

"""What one process does."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from operator_core.config import DEFAULT_LEASE_SECONDS
from operator_core.monitor.config import DEFAULT_SOAK_SECONDS
from operator_core.monitor.retention import KEEP, Retention


class RunOptions(NamedTuple):
    """What one process does.

    Attributes:
        monitor: whether it watches.
        agent: whether it diagnoses, proposes and executes.
        interval_seconds: pause between two looks at a cluster.
        require_approval: whether a person approves; None: as the environment says.
        lease_seconds: how long a claim holds without being renewed.
        soak_seconds: how long a problem must be gone before its remedy is verified.
        subjects: names of the clusters; empty: all that are connected.
        lifetime_seconds: end after this long; None: never.
        ends_with_parent: stop when the process that started this one is gone.
        policy: the policy's file; None: what is in force stays, else the shipped one.
        retention: how much of what was seen is kept.
        drain_seconds: how long running actions may take after a request to stop.
        on_event: told in a line what happens.
    """

    monitor: bool = True
    agent: bool = True
    interval_seconds: float = 5.0
    require_approval: bool | None = None
    lease_seconds: float = DEFAULT_LEASE_SECONDS
    soak_seconds: float = DEFAULT_SOAK_SECONDS
    subjects: tuple[str, ...] = ()
    lifetime_seconds: float | None = None
    ends_with_parent: bool = False
    policy: Path | None = None
    retention: Retention = KEEP
    drain_seconds: float = 20.0
    on_event: Callable[[str], None] | None = None

    def tell(self, line: str) -> None:
        """Say in a line what happens, where somebody listens."""
        if self.on_event is not None:
            self.on_event(line)

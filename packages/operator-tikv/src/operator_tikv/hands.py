"""What the actions work with: PD, a clock, and how often they look."""

from dataclasses import dataclass
from typing import Final

from operator_core.clock import SYSTEM_CLOCK, Clock
from operator_tikv import view
from operator_tikv.pd.api import PdApi

DEFAULT_POLL_SECONDS: Final = 1.0


@dataclass(frozen=True)
class Hands:
    """What the actions work with.

    Attributes:
        api: the cluster's PD.
        clock: time, for waiting.
        poll_seconds: how often the cluster is looked at while waiting.
    """

    api: PdApi
    clock: Clock = SYSTEM_CLOCK
    poll_seconds: float = DEFAULT_POLL_SECONDS

    async def view(self) -> view.View:
        """Look at everything the preflight needs."""
        return await view.look(self.api)

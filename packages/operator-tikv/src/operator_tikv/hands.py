"""What the actions work with: PD, a clock, and the patience to look until it is done."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from operator_core.clock import SYSTEM_CLOCK, Clock
from operator_core.errors import SubjectError
from operator_tikv import preflight
from operator_tikv.pd.api import PdApi
from operator_tikv.preflight import View

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

    async def until(self, is_done: Callable[[], Awaitable[bool]], limit_seconds: float) -> bool:
        """Look again and again until it is done; False where the time is over first."""
        start = self.clock.now()
        while True:
            if await _answer(is_done):
                return True
            if (self.clock.now() - start).total_seconds() >= limit_seconds:
                return False
            await self.clock.sleep(self.poll_seconds)

    async def view(self) -> View:
        """Look at everything the preflight needs."""
        return await preflight.look(self.api)


async def _answer(is_done: Callable[[], Awaitable[bool]]) -> bool:
    """A look that fails says nothing of the effect: it counts as not done yet."""
    try:
        return await is_done()
    except SubjectError:
        return False

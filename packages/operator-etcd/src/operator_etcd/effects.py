"""What the actions share: a look before, and waiting for an effect after it was sent."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from operator_core.clock import Clock, monotonic_seconds
from operator_core.errors import ActionFailedError, OutcomeUnknownError, SubjectError
from operator_core.process_supervisor import ProcessSupervisor
from operator_etcd.client import EtcdClient
from operator_etcd.survey import Survey, survey

Seen = TypeVar("Seen")


@dataclass(frozen=True)
class Hands:
    """What an action works with.

    Attributes:
        client: the calls to etcd.
        supervisor: the port to the members' processes.
        clock: what waiting uses.
        settle_seconds: how long to wait for an effect to be seen.
        poll_seconds: how long to wait between two looks.
    """

    client: EtcdClient
    supervisor: ProcessSupervisor
    clock: Clock
    settle_seconds: float = 20.0
    poll_seconds: float = 0.1
    rewriting: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while a member's database is rewritten: one member at a time."""

    async def survey(self) -> Survey:
        """Look at all members before an action.

        Raises:
            ActionFailedError: nothing can be seen, so nothing may be done.
        """
        try:
            return await survey(self.client)
        except SubjectError as error:
            raise ActionFailedError(f"Nothing was done: {error}") from error

    async def until(
        self, look: Callable[[], Awaitable[Seen]], reached: Callable[[Seen], bool]
    ) -> Seen:
        """Look until an effect that was sent is seen; a failed look is not an answer.

        Raises:
            OutcomeUnknownError: it was not seen in time.
        """
        end = monotonic_seconds() + self.settle_seconds
        last = "it is not to be seen"
        while True:
            try:
                seen = await look()
                if reached(seen):
                    return seen
            except SubjectError as error:
                last = str(error)
            if monotonic_seconds() >= end:
                raise OutcomeUnknownError(
                    f"Sent, but after {self.settle_seconds:.0f} s the effect was not seen: {last}"
                )
            await self.clock.sleep(self.poll_seconds)


@contextmanager
def before_effect() -> Iterator[None]:
    """Make any failure of a read before an effect a sure failure of the action.

    Raises:
        ActionFailedError: in place of what the read raised.
    """
    try:
        yield
    except OutcomeUnknownError as error:
        raise ActionFailedError(f"Nothing was done: {error}") from error

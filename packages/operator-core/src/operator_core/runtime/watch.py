"""Who watches a cluster: one monitor at a time, whatever the number of processes."""

import asyncio
from collections.abc import Callable

from operator_core.clock import Stopwatch
from operator_core.db.leases import Lease, LeaseDB
from operator_core.db.ledger import Ledger
from operator_core.process import is_dead

_HELD_SHARE = 2 / 3
_LOOK_SHARE = 1 / 5


class Watch:
    """The right to watch one cluster, held by a lease in the ledger.

    When its holder dies, another process has it within one lease; at once, where that process
    can see that the holder is dead. For that the right holds a little less than a lease, and
    who waits for it asks often enough.
    """

    def __init__(
        self,
        ledger: Ledger,
        subject: str,
        holder: str,
        lease_seconds: float,
        *,
        holder_is_dead: Callable[[str], bool] = is_dead,
    ) -> None:
        """Take what it is about.

        Args:
            ledger: shared by all who want to watch.
            subject: the cluster.
            holder: who wants to watch it; a name that nobody else has.
            lease_seconds: within this time another has it when its holder dies.
            holder_is_dead: tells of a holder whether it surely runs no more.
        """
        self.look_seconds = lease_seconds * _LOOK_SHARE
        self._leases = LeaseDB(ledger)
        self._name = f"monitor:{subject}"
        self._holder = holder
        self._seconds = lease_seconds * _HELD_SHARE
        self._is_dead = holder_is_dead
        self._clock = ledger.clock
        self._lease: Lease | None = None
        self._seen: tuple[Lease, Stopwatch] | None = None
        self._one_at_a_time = asyncio.Lock()

    async def is_mine(self) -> bool:
        """Return whether this process may look now; renews the lease, or tries to get it."""
        async with self._one_at_a_time:
            if self._lease is not None:
                self._lease = await self._leases.renew(self._lease, self._seconds)
            if self._lease is None:
                self._lease = await self._acquire()
            return self._lease is not None

    async def keep(self) -> None:
        """Renew the lease where this process has it: a look may last longer than a lease."""
        async with self._one_at_a_time:
            if self._lease is not None:
                self._lease = await self._leases.renew(self._lease, self._seconds)

    async def end(self) -> None:
        """Let somebody else watch at once."""
        async with self._one_at_a_time:
            if self._lease is not None:
                await self._leases.release(self._lease)
                self._lease = None

    async def _acquire(self) -> Lease | None:
        lease = await self._leases.acquire(self._name, self._holder, self._seconds)
        if lease is not None:
            return lease
        held = await self._leases.get(self._name)
        if held is None or not (self._is_dead(held.holder) or self._stood_still(held)):
            return None
        await self._leases.release(held, by=self._holder)
        return await self._leases.acquire(self._name, self._holder, self._seconds)

    def _stood_still(self, held: Lease) -> bool:
        """Return whether nobody renewed it for a lease; where clocks are set its end may be far."""
        if self._seen is None or self._seen[0] != held:
            self._seen = held, Stopwatch(self._clock)
        return self._seen[1].seconds() >= self._seconds
